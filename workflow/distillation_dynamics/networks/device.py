"""Chooses the device that a job computes on."""

import ctypes
import os
import sys

import torch

from ..errors import StudyError
from ..gpus import claim


def device(gpus: int) -> torch.device:
    """Return this process's GPU if the job was given one and torch sees it, else the CPU (with a warning)."""
    if not gpus:
        return torch.device("cpu")
    # In SLURM each process of a job has its own GPU; elsewhere a process takes a free one.
    number = int(os.environ.get("LOCAL_RANK", "0"))
    if "SLURM_JOB_ID" not in os.environ and claim() is not None:
        number = 0
    if torch.cuda.is_available():
        return torch.device("cuda", number)
    print("warning: this job was given a GPU but torch sees none; it runs on the CPU", file=sys.stderr)
    return torch.device("cpu")


def check_precision(precision: str, device: torch.device) -> None:
    """Raise StudyError where a teacher's precision is one that the device cannot compute in."""
    if precision != "bfloat16":
        return
    if device.type == "cuda":
        name, able = torch.cuda.get_device_name(device), torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        name, able = "this machine's CPU", torch.ops.mkldnn._is_mkldnn_bf16_supported()
    if not able:
        raise StudyError(
            f"compute.teacher.precision: {name} cannot compute in bfloat16; set it to float32, or take another machine"
        )


def give_back() -> None:
    """Return free memory to the system, with glibc.

    Otherwise its heap keeps holes between tensors of many sizes, up to several times the memory in use.
    """
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        trim(0)
