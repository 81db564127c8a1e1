"""Sets the number of threads of a process, which determines the last bits of its results."""

import os
import sys

# Environment variables that numpy's and torch's libraries read when loaded; the smallest counts.
VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def per_process(threads: int) -> int:
    """Return a process's part of a job's threads: torchrun may run several on this machine."""
    return max(1, threads // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def use(threads: int) -> None:
    """Compute with this many threads from now on, in torch and, if imported later, numpy.

    numpy's threads wait in a busy loop: two on one core would slow each other down.
    """
    os.environ.update(dict.fromkeys(VARIABLES, str(threads)))
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
