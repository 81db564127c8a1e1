"""Gradient magnitude: how strongly the logit of an image's own class depends on each block's output.

In: the gradients by every block. Out: float64, in 1 / activation unit. Source: Tian, Xu, Li, Distillation Dynamics,
AAAI 2026 (G[l] = mean abs(d score_y / d block output), over the whole output, class token included where it is in the
stream). Where the logit is read from a class
token alone, the patch tokens of the last block have gradient exactly zero. Images without a label that the head has a
logit for are NaN.
"""

import torch
from torch import Tensor

from ..files import Column
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


def _magnitudes(gradient: GradientOf) -> dict[str, Tensor]:
    """Return column name -> [b], accumulated in float64; the mean over no tokens is NaN."""
    patches = gradient.patches
    none = patches[:, :0]
    classes, registers = gradient.prefix or (none, none)
    whole = patches if gradient.prefix is None else torch.cat([classes, registers, patches], dim=1)
    parts = whole, patches, classes, registers
    return {name: part.double().abs().mean(dim=(1, 2)) for name, part in zip(IMAGE_COLUMNS, parts, strict=True)}


class Metric(Accumulator):
    """Gradient magnitudes, streamed."""

    def update(self, outputs: Outputs) -> None:
        """Add the gradients by every block for a batch."""
        self.images.add([_magnitudes(gradient) for gradient in outputs.gradients.values()])
