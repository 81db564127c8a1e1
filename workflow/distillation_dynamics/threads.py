"""How many threads a process computes with, which decides the last bits of what it writes."""

import os
import sys

# What numpy's and torch's libraries ask, each when it is loaded; of several the narrower one counts.
VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def per_process(threads: int) -> int:
    """Return a process's part of a job's threads: torchrun may have started several on this machine."""
    return max(1, threads // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def use(threads: int) -> None:
    """Compute with so many threads from now on, in torch and in what it calls, and in numpy where it comes after this.

    numpy's threads wait for each other by turning: of two that share a core, one computes and one turns.
    """
    os.environ.update(dict.fromkeys(VARIABLES, str(threads)))
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
