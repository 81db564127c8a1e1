"""Gradient magnitude: how strongly the logit of an image's own class depends on each block's output.

In: a network, images [B, C, H, W] and labels [B]; for `Metric`, the gradients by every block. Out: float64, in
1 / activation unit. Source: Tian, Xu, Li, Distillation Dynamics, AAAI 2026 (G[l] = mean abs(d score_y / d block
output), over the whole output, class token included where it is in the stream). Where the logit is read from a class
token alone, the patch tokens of the last block have gradient exactly zero. Images without a label that the head has a
logit for are NaN.
"""

import numpy as np
import torch
from torch import Tensor, nn

from ..files import Column
from ..networks.gradients import block_gradients
from ..outputs import GradientOf, Outputs
from .accumulator import Accumulator

REQUIRES = ("gradients",)
IMAGE_COLUMNS = {
    "gradient_magnitude": Column(
        "1 / activation unit",
        "mean absolute gradient of the label's logit by the block's output, all of its tokens; NaN without a label",
    ),
    "gradient_magnitude_patches": Column("1 / activation unit", "the same over patch tokens alone"),
    "gradient_magnitude_class": Column(
        "1 / activation unit", "the same over class and distillation tokens alone; NaN where the block holds none"
    ),
    "gradient_magnitude_registers": Column(
        "1 / activation unit", "the same over register tokens alone; NaN where the block holds none"
    ),
}


def gradient_magnitude(network: nn.Module, images: Tensor, labels: Tensor) -> dict[str, np.ndarray]:
    """Gradient magnitude of every image by every block: column name -> [L, B], in 1 / activation unit.

    The columns are those of IMAGE_COLUMNS. Raises ValueError as block_gradients does.
    """
    blocks = [_magnitudes(gradient) for gradient in block_gradients(network, images, labels)]
    return {name: torch.stack([block[name] for block in blocks]).cpu().numpy() for name in IMAGE_COLUMNS}


def gradient_maps(network: nn.Module, images: Tensor, labels: Tensor) -> list[Tensor]:
    """Where each block's gradient lies: for every block, mean over channels of abs of the patch gradient, [B, H, W].

    In 1 / activation unit, in the network's type. Raises ValueError as block_gradients does.
    """
    return [gradient_map(gradient) for gradient in block_gradients(network, images, labels)]


def gradient_map(gradient: GradientOf) -> Tensor:
    """Mean over channels of the absolute gradient by one block's patch tokens, [B, H, W]."""
    return gradient.patches.abs().mean(dim=2).unflatten(1, (gradient.rows, gradient.columns))


def _magnitudes(gradient: GradientOf) -> dict[str, Tensor]:
    """Column name -> [b], accumulated in float64; the mean of no tokens is NaN."""
    patches = gradient.patches
    none = patches[:, :0]
    classes, registers = gradient.prefix or (none, none)
    whole = patches if gradient.prefix is None else torch.cat([classes, registers, patches], dim=1)
    parts = whole, patches, classes, registers
    return {name: part.double().abs().mean(dim=(1, 2)) for name, part in zip(IMAGE_COLUMNS, parts, strict=True)}


class Metric(Accumulator):
    """Gradient magnitudes, streamed."""

    def update(self, outputs: Outputs) -> None:
        """Take the gradients by every block for a batch of images."""
        self.images.add([_magnitudes(gradient) for gradient in outputs.gradients.values()])
