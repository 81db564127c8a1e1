"""The published means over all tokens of a block, including class, distillation and register tokens.

In: features [b, C, H, W] of all blocks and their other tokens. Out: the columns of spectrum, magnitude and entropy as
in Tian, Xu, Li, Distillation Dynamics, AAAI 2026, if a block holds other tokens than patches; equal to those over
patches if no block does (entropy has one range for all blocks, so one block with other tokens changes it for all). The
published gradient magnitude, also over all tokens, is the column of that name.
"""

import numpy as np
import torch

from ..files import Column
from ..outputs import Outputs
from .blocks import by_image
from .entropy import Ranged
from .magnitude import SCALARS
from .spectrum import image_spectra, intensity

REQUIRES = ("features", "prefix")
OPTIONS = ("entropy_bins",)
IMAGE_COLUMNS = {
    "intensity_all_tokens": Column("activation units", "intensity over all tokens of the block"),
    "activation_magnitude_all_tokens": Column("activation units", "activation_magnitude over all tokens of the block"),
    "entropy_all_tokens": Column(
        "bits", "mean entropy over all tokens; bins span one range, that of all tokens of all blocks and images"
    ),
}


class Metric(Ranged):
    """The columns of IMAGE_COLUMNS."""

    def update(self, outputs: Outputs) -> None:
        """Add features and other tokens of all blocks for a batch."""
        blocks = {}
        for index, features in outputs.features.items():
            tokens = [part.mT for part in outputs.prefix[index]] if index in outputs.prefix else []
            # A grid of one column, with other tokens first.
            blocks[index] = torch.cat([*tokens, features.flatten(2)], dim=2)[..., None]
        super().update(Outputs(features=blocks))

    def of_block(self, block: torch.Tensor, index: int) -> dict[str, np.ndarray]:
        """Return the columns of a batch's images."""
        return {
            "intensity_all_tokens": intensity(image_spectra(block, index), block.shape[1]),
            "activation_magnitude_all_tokens": by_image(block, index, SCALARS["activation_magnitude"]),
            "entropy_all_tokens": self.entropy(block, index, self.low, self.high),
        }
