"""What MGD and ViTKD share: places that are left out at random, and the layers that fill them in."""

import torch
from torch import Tensor, nn


def generator(channels: int) -> nn.Sequential:
    """Return two convolutions of 3 x 3 places with a ReLU between them, on [B, channels, H, W]."""
    first, second = (nn.Conv2d(channels, channels, kernel_size=3, padding=1) for _ in range(2))
    return nn.Sequential(first, nn.ReLU(), second)


def aligned(student: int, teacher: int) -> nn.Module:
    """Return a linear map of the channels of [B, student, H, W], or nothing where there are as many."""
    return nn.Identity() if student == teacher else nn.Conv2d(student, teacher, kernel_size=1)


def drawn(*shape: int, like: Tensor) -> Tensor:
    """Return numbers in [0, 1) from torch's generator of the CPU, which a training seeds, where `like` is.

    The same numbers come on every device, and after a stop and alone as with others.
    """
    return torch.rand(shape).to(like)
