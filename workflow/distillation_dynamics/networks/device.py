"""The device that a job computes on."""

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
