"""Locks: one process at a time writes a task's files, and one run at a time works in a folder.

The locked file is next to the task's record, or next to Snakemake's memory of a folder; it names the holder and since
when. A lock ends with its holder. Of a training in several processes (torchrun) the first takes the lock and the others
follow.
"""

import atexit
import errno
import os
import socket
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import StudyError
from . import record
from .task import Task

SECONDS_BETWEEN_LOOKS = 1.0
# Errors of file systems without locks.
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


@contextmanager
def held(tasks: Iterable[Task]) -> Iterator[None]:
    """Hold the locks of all tasks; wait, with one message, for those that another process holds."""
    hold = _held if os.environ.get("RANK", "0") == "0" else _held_by_the_first
    with ExitStack() as stack:
        # The same order everywhere prevents deadlocks.
        for task in sorted(tasks, key=lambda task: task.record):
            stack.enter_context(hold(task))
        yield


def path_of(task: Task) -> Path:
    """Return the file to lock while a task's files are written."""
    return Path(f"{task.record}.lock")


@contextmanager
def _held(task: Task) -> Iterator[None]:
    path = path_of(task)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The mere existence of a file would outlive a killed holder.
    lock = FileLock(path, fallback_to_soft=False)
    try:
        try:
            lock.acquire(blocking=False)
        except Timeout:
            holder = _text(path).partition(" ")[2] or "another process, which makes it"
            print(f"{task}: waiting for {holder}", file=sys.stderr, flush=True)
            lock.acquire(poll_interval=SECONDS_BETWEEN_LOOKS)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        print(
            f"{path}: this file system has no locks; make sure that no other run makes the same files", file=sys.stderr
        )
    path.write_text(f"{_run()} {_who()}, which makes it since {_now()}", encoding="utf-8")
    try:
        yield
    finally:
        # Removed before it is unlocked: a waiting process then sees that the file is gone and takes a new one.
        path.unlink(missing_ok=True)
        lock.release()


def hold_study(name: str, folder: str | Path = ".snakemake") -> None:
    """Lock a study in the folder of Snakemake's memory for this run, until the process ends.

    Raises StudyError naming the run that holds the lock. Snakemake's own lock comes too late (the second plan is
    already made) and does not name its holder. Prints which runs of other studies may hold Snakemake's lock, and which
    were killed.
    """
    path = Path(folder) / f"{name}.run.lock"
    path.parent.mkdir(exist_ok=True)
    lock, before = FileLock(path, fallback_to_soft=False), _text(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise StudyError(
            f"{Path.cwd()}: {_text(path) or 'another run'}, is running here; wait for its end, or work in a clone "
            "(a common results/shared is filled only once)"
        ) from None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        return
    if any((Path(folder) / "locks").glob("*")):
        others = [other for other in sorted(Path(folder).glob("*.run.lock")) if other != path]
        for said, works in [(before, False), *((_text(other), _is_held(other)) for other in others)]:
            if said:
                how = "is also running here" if works else "ended here without unlocking the folder"
                print(f"{said}, {how}", file=sys.stderr, flush=True)
    path.write_text(f"{_who()}, which runs {name} since {_now()}", encoding="utf-8")

    @atexit.register
    def let_go() -> None:
        path.unlink(missing_ok=True)
        lock.release()


def _is_held(path: Path) -> bool:
    """Whether a process holds the lock on a file."""
    lock = FileLock(path, fallback_to_soft=False)
    try:
        with lock.acquire(blocking=False):
            return False
    except Timeout:
        return True


def _who() -> str:
    job = os.environ.get("SLURM_JOB_ID")
    return f"process {os.getpid()} on {socket.gethostname()}" + (f" (SLURM job {job})" if job else "")


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S")


@contextmanager
def _held_by_the_first(task: Task) -> Iterator[None]:
    """Wait until the first process of this training holds the lock or finds the work done."""
    while not _text(path_of(task)).startswith(_run()):
        known = record.read(task.record)
        if known is not None and known["key"] == task.key:
            break
        time.sleep(SECONDS_BETWEEN_LOOKS)
    yield


def _run() -> str:
    """Return what identifies the processes of one training."""
    return os.environ.get("TORCHELASTIC_RUN_ID") or f"process-{os.getpid()}"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, IsADirectoryError):
        return ""
