"""One process at a time writes the files of a task: a lock that ends with its holder, however that ends.

It is a POSIX lock on a file beside the record, which the kernel (on a shared file system its server) lets go of when
the process is gone. The file says who holds it. The other processes of a training by several (torchrun) go on when the
first of them has it.
"""

import errno
import fcntl
import os
import socket
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from . import record
from .task import Task

SECONDS_BETWEEN_LOOKS = 1.0
TAKEN = {errno.EACCES, errno.EAGAIN}
UNKNOWN_HERE = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


@contextmanager
def held(tasks: Iterable[Task]) -> Iterator[None]:
    """Hold the locks of all tasks; wait for those that another process holds, and say so once."""
    with ExitStack() as stack:
        # In one sequence everywhere: two processes that want several never wait for each other.
        for task in sorted(tasks, key=lambda task: task.record):
            stack.enter_context(_held(task) if os.environ.get("RANK", "0") == "0" else _held_by_the_first(task))
        yield


def path_of(task: Task) -> Path:
    """Return the file that is locked while the files of a task are written."""
    return Path(f"{task.record}.lock")


@contextmanager
def _held(task: Task) -> Iterator[None]:
    path, said = path_of(task), False
    path.parent.mkdir(parents=True, exist_ok=True)
    while (file := _take(path)) is None:
        if not said:
            print(f"{task}: waiting for {_holder(path)}, which makes it", file=sys.stderr, flush=True)
        said = True
        time.sleep(SECONDS_BETWEEN_LOOKS)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        file.close()


@contextmanager
def _held_by_the_first(task: Task) -> Iterator[None]:
    """Wait until the first process of this training holds the lock, or found that nothing is to be done."""
    while not _text(path_of(task)).startswith(_run()):
        known = record.read(task.record)
        if known is not None and known["key"] == task.key:
            break
        time.sleep(SECONDS_BETWEEN_LOOKS)
    yield


def _take(path: Path) -> IO | None:
    """Return the locked file, with who holds it; None where another process has it."""
    file = open(path, "a", encoding="utf-8")  # noqa: SIM115 (open for as long as it is held)
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in TAKEN:
            file.close()
            return None
        if error.errno not in UNKNOWN_HERE:
            raise
        print(f"{path}: this file system has no locks; see that no other run makes the same now", file=sys.stderr)
    # Whoever held it may have removed it since it was opened here. (To open it again would let go of the lock.)
    if not path.is_file() or os.stat(path).st_ino != os.fstat(file.fileno()).st_ino:
        file.close()
        return None
    file.truncate(0)
    file.write(f"{_run()} {_who()}")
    file.flush()
    return file


def _run() -> str:
    """Return what the processes of one training have in common."""
    return os.environ.get("TORCHELASTIC_RUN_ID") or f"process-{os.getpid()}"


def _who() -> str:
    job = os.environ.get("SLURM_JOB_ID")
    return f"process {os.getpid()} on {socket.gethostname()}" + (f" (SLURM job {job})" if job else "")


def _holder(path: Path) -> str:
    return _text(path).partition(" ")[2] or "another process"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
