"""Assigns GPUs on a machine without a scheduler: each job takes one that no other job of this user has.

SLURM assigns GPUs itself; locally Snakemake only counts them. A claim is a locked file, released when the process ends
in any way. Imports no torch.
"""

import fcntl
import os
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

from .errors import StudyError

_claims: list[int] = []


def visible() -> list[str]:
    """Return the names (numbers) of the GPUs available to this process; none without a driver."""
    if (names := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name for name in names.split(",") if name.strip()]
    try:
        command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    except (OSError, subprocess.CalledProcessError):
        return []


def claim() -> str | None:
    """Claim a free GPU for this process, waiting if necessary; return its name, or None if there are no GPUs.

    Sets CUDA_VISIBLE_DEVICES, which torch reads when it first uses a GPU. A process keeps its GPU. Raises StudyError if
    the folder of claims, or a file in it, may belong to somebody else.
    """
    names = visible()
    if _claims:
        return names[0]
    if not names:
        return None
    folder = Path(tempfile.gettempdir()) / f"distillation-dynamics-gpus-{os.getuid()}"
    claims = _own_folder(folder)
    said = False
    while True:
        for name in names:
            file = _open(folder, claims, name)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(file)
                continue
            os.close(claims)
            # Open until the process ends.
            _claims.append(file)
            os.environ["CUDA_VISIBLE_DEVICES"] = name
            print(f"this job has GPU {name}", file=sys.stderr, flush=True)
            return name
        if not said:
            print(f"waiting for one of the GPUs {', '.join(names)}", file=sys.stderr, flush=True)
        said = True
        time.sleep(1)


def _own_folder(folder: Path) -> int:
    """Open our folder in the system's temporary one, where others may have planted something of that name."""
    remedy = "remove it, or set TMPDIR to a folder of your own"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise StudyError(f"{folder}: cannot be used as a folder ({error.strerror}); {remedy}") from error
    status = os.fstat(opened)
    if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077:
        os.close(opened)
        raise StudyError(f"{folder}: others may write there; {remedy}")
    return opened


def _open(folder: Path, opened: int, name: str) -> int:
    """Open a GPU's file in the folder, without truncating it or following links."""
    try:
        return os.open(quote(name, safe=""), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600, dir_fd=opened)
    except OSError as error:
        raise StudyError(f"{folder / quote(name, safe='')}: cannot be opened ({error.strerror}); remove it") from error
