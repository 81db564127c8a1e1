"""The published means over all tokens of a block, class, distillation and register tokens included.

In: features [b, C, H, W] of all blocks and their other tokens. Out: the columns of spectrum, magnitude and entropy as
Tian, Xu, Li, Distillation Dynamics, AAAI 2026, have them where a block holds other tokens than patches; equal to those
over patches where no block does (entropy has one range for all blocks, so that one block with others moves it for all).
The published gradient magnitude, over all tokens too, is the column of that name.
"""

import math

import torch

from ..files import Column
from ..outputs import Outputs
from ..spec.measure import Settings
from .accumulator import DEFAULTS, Accumulator, Context
from .blocks import iterate_blocks
from .entropy import bin_edges, image_entropy, value_range
from .magnitude import image_scalars
from .spectrum import image_intensity

REQUIRES = ("features", "prefix")
OPTIONS = ("entropy_bins",)
IMAGE_COLUMNS = {
    "intensity_all_tokens": Column("activation units", "intensity over all tokens of the block"),
    "activation_magnitude_all_tokens": Column("activation units", "activation_magnitude over all tokens of the block"),
    "entropy_all_tokens": Column(
        "bits", "mean entropy over all tokens; bins span one range, that of all tokens of all blocks and images"
    ),
}


def all_tokens(outputs: Outputs) -> list[torch.Tensor]:
    """Return all tokens of every block as a grid of one column, [b, C, N, 1]: other tokens first, then the patches."""
    blocks = []
    for block, features in outputs.features.items():
        tokens = [part.mT for part in outputs.prefix[block]] if block in outputs.prefix else []
        blocks.append(torch.cat([*tokens, features.flatten(2)], dim=2)[..., None])
    return blocks


class Metric(Accumulator):
    """Pass one finds the range of all tokens, pass two measures."""

    passes = 2

    def __init__(self, settings: Settings = DEFAULTS, context: Context | None = None):
        super().__init__(settings, context)
        self.low, self.high = math.inf, -math.inf

    def update(self, outputs: Outputs) -> None:
        """Take features and other tokens of all blocks for a batch of images."""
        blocks = all_tokens(outputs)
        if self.pass_number == 1:
            low, high = value_range(blocks)
            self.low, self.high = min(self.low, low), max(self.high, high)
            return
        edges = bin_edges(self.settings.entropy_bins, self.low, self.high)
        self.images.add(
            [
                {
                    "intensity_all_tokens": image_intensity(block, index),
                    "activation_magnitude_all_tokens": image_scalars(block, index)["activation_magnitude"],
                    "entropy_all_tokens": image_entropy(block, index, edges),
                }
                for index, block in iterate_blocks(blocks)
            ]
        )
