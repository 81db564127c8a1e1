"""How many threads a process computes with, which decides the last bits of what it writes."""

import os
import sys


def per_process(threads: int) -> int:
    """Return a process's part of a job's threads: torchrun may have started several on this machine."""
    return max(1, threads // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def use(threads: int) -> None:
    """Compute with so many threads from now on, in torch and in what it calls."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
