"""Which GPU a job may use on a machine without a scheduler: each job takes one that no other job of this user has.

SLURM gives every job its own; locally Snakemake counts GPUs but hands none out. A claim is a locked file, free again
when the process ends, however it ends. Imports no torch.
"""

import fcntl
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_claims = []


def visible() -> list[str]:
    """Return the names (numbers) of the GPUs that this process may use; none where there is no driver."""
    if (names := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name for name in names.split(",") if name.strip()]
    try:
        command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    except (OSError, subprocess.CalledProcessError):
        return []


def claim() -> str | None:
    """Take a free GPU for this process, waiting for one if need be; return its name, or None where there is none.

    Sets CUDA_VISIBLE_DEVICES, which torch reads when it first uses a GPU. A process that has one keeps it.
    """
    names = visible()
    if _claims:
        return names[0]
    if not names:
        return None
    folder = Path(tempfile.gettempdir()) / f"distillation-dynamics-gpus-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    said = False
    while True:
        for name in names:
            file = open(folder / name, "w")  # noqa: SIM115 (open until the process ends)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                continue
            _claims.append(file)
            os.environ["CUDA_VISIBLE_DEVICES"] = name
            print(f"this job has GPU {name}", file=sys.stderr, flush=True)
            return name
        if not said:
            print(f"waiting for one of the GPUs {', '.join(names)}", file=sys.stderr, flush=True)
        said = True
        time.sleep(1)
