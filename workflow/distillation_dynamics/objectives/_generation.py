"""Helpers of MGD and ViTKD: random masks, and the layers that fill in masked positions."""

import torch
from torch import Tensor, nn


def generator(channels: int) -> nn.Sequential:
    """Return two 3 x 3 convolutions with a ReLU between them, on [B, channels, H, W]."""
    first, second = (nn.Conv2d(channels, channels, kernel_size=3, padding=1) for _ in range(2))
    return nn.Sequential(first, nn.ReLU(), second)


def aligned(student: int, teacher: int) -> nn.Module:
    """Return a linear map of the channels of [B, student, H, W], or the identity for equal numbers."""
    return nn.Identity() if student == teacher else nn.Conv2d(student, teacher, kernel_size=1)


def drawn(*shape: int, like: Tensor) -> Tensor:
    """Return uniform numbers in [0, 1) from torch's CPU generator, which each training seeds, on the device of `like`.

    The numbers are the same on every device, after a resume, and in a cohort.
    """
    return torch.rand(shape).to(like)
