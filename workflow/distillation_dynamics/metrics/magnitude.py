"""Size of block features: mean absolute activation of each block, and simple statistics of each image.

In: features, L blocks [B, C, H, W]. Out: float64 in activation units, accumulated in float64. Source of the activation
magnitude: Tian, Xu, Li, Distillation Dynamics, AAAI 2026. Root mean square and standard deviation within tokens are its
controls: intensity and entropy follow them.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ..files import Column
from .accumulator import Accumulator
from .blocks import by_image

REQUIRES = ("features",)
IMAGE_COLUMNS = {
    "mean": Column("activation units", "mean over channels and tokens"),
    "standard_deviation": Column("activation units", "standard deviation over channels and tokens"),
    "token_standard_deviation": Column("activation units", "mean over tokens of the standard deviation over channels"),
    "rms": Column("activation units", "root mean square over channels and tokens"),
    "activation_magnitude": Column("activation units", "mean absolute activation"),
    "minimum": Column("activation units", "smallest activation"),
    "maximum": Column("activation units", "largest activation"),
}
# Each maps images [b, C, H, W] in float64 to one number per image, [b]. Deviations divide by the number of values.
SCALARS: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": lambda images: images.mean(dim=(1, 2, 3)),
    "standard_deviation": lambda images: images.std(dim=(1, 2, 3), correction=0),
    "token_standard_deviation": lambda images: images.std(dim=1, correction=0).mean(dim=(1, 2)),
    "rms": lambda images: images.square().mean(dim=(1, 2, 3)).sqrt(),
    "activation_magnitude": lambda images: images.abs().mean(dim=(1, 2, 3)),
    "minimum": lambda images: images.amin(dim=(1, 2, 3)),
    "maximum": lambda images: images.amax(dim=(1, 2, 3)),
}


class Metric(Accumulator):
    """Every statistic of IMAGE_COLUMNS."""

    def of_block(self, block: Tensor, index: int) -> dict[str, np.ndarray]:
        """Return the columns of a batch's images."""
        values = by_image(block, index, lambda images: torch.stack([scalar(images) for scalar in SCALARS.values()], 1))
        return dict(zip(SCALARS, values.T, strict=True))
