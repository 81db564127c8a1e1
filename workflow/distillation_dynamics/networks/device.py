"""The device that a job computes on."""

import ctypes
import os
import sys

import torch

from ..gpus import claim


def device(gpus: int) -> torch.device:
    """Return this process's GPU if the job was given any and torch sees it, the CPU otherwise (said on stderr)."""
    if not gpus:
        return torch.device("cpu")
    # A job of SLURM sees its own GPUs, one for each process; elsewhere a process takes a free one.
    number = int(os.environ.get("LOCAL_RANK", "0"))
    if "SLURM_JOB_ID" not in os.environ and claim() is not None:
        number = 0
    if torch.cuda.is_available():
        return torch.device("cuda", number)
    print("warning: this job was given a GPU but torch sees none; it runs on the CPU", file=sys.stderr)
    return torch.device("cpu")


def give_back() -> None:
    """Give memory that is free back to the system, where the C library is glibc.

    Its heap would keep holes between tensors of many sizes, in the end several times what is in use.
    """
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        trim(0)
