"""How many directions the patch tokens of all images fill around their mean, by the spectrum of their covariance.

In: features [L, B, C, H, W] or L blocks [B, C, H, W]; all patch tokens of a block together. Out, with p the eigenvalues
of the covariance over their sum: the participation ratio 1 / sum p^2 = (sum l)^2 / sum l^2, and exp(-sum p ln p), the
rank of arXiv 2512.07331. Sums are float64, from an origin amid the tokens, so that an offset costs no digits; an
eigenvalue below C eps of the largest is rounding. Tokens that are all alike fill 0 directions.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ..files import Column
from ..outputs import Outputs
from ..spec.measure import Settings
from .accumulator import DEFAULTS, Accumulator, Context, Measured
from .blocks import Block, Features, image_chunks, iterate_blocks

REQUIRES = ("features",)
BLOCK_COLUMNS = {
    "participation_ratio": Column("directions", "(sum l)^2 / sum l^2 of the eigenvalues l of the tokens' covariance"),
    "covariance_rank": Column("directions", "exp of the entropy of those eigenvalues over their sum"),
}


def covariance_scalars(features: Features) -> dict[str, np.ndarray]:
    """Directions that the tokens of all images fill, by block: participation_ratio and covariance_rank, [L].

    Raises ValueError for a wrong shape, NaN or infinity.
    """
    found = []
    for index, block in iterate_blocks(features):
        sums = _Sums()
        sums.add(block, index)
        found.append(sums.scalars())
    return {name: np.array([block[name] for block in found]) for name in BLOCK_COLUMNS}


class _Sums:
    """Sums over the tokens of one block, less an origin."""

    def __init__(self):
        self.tokens = 0
        self.sum: Any = 0
        self.gram: Any = 0
        self.origin: torch.Tensor | None = None

    def add(self, block: Block, index: int) -> None:
        """Take images [b, C, H, W]."""
        for chunk in image_chunks(block, index):
            tokens = chunk.double().movedim(1, 3).flatten(0, 2)
            if self.origin is None:
                # Amid the tokens; of tokens that are all alike exactly they.
                self.origin = tokens[0] + (tokens - tokens[0]).mean(dim=0)
            tokens = tokens - self.origin
            self.tokens += len(tokens)
            self.sum = self.sum + tokens.sum(dim=0)
            self.gram = self.gram + tokens.mT @ tokens

    def scalars(self) -> dict[str, float]:
        """Return the columns of BLOCK_COLUMNS."""
        mean = self.sum / self.tokens
        values = torch.linalg.eigvalsh(self.gram / self.tokens - mean[:, None] * mean).cpu().numpy()
        # What rounding leaves is in proportion to what the mean takes off, too.
        size = max(values[-1], float(self.gram.trace()) / self.tokens)
        values = values[values > len(values) * np.finfo(np.float64).eps * size]
        if len(values) == 0:
            return dict.fromkeys(BLOCK_COLUMNS, 0.0)
        share = values / values.sum()
        ratio, entropy = 1 / np.square(share).sum(), -np.sum(share * np.log(share))
        return dict(zip(BLOCK_COLUMNS, (float(ratio), float(np.exp(entropy))), strict=True))


class Metric(Accumulator):
    """The covariance of every block's tokens, over the images as they come."""

    def __init__(self, settings: Settings = DEFAULTS, context: Context | None = None):
        super().__init__(settings, context)
        self._blocks: list[_Sums] = []

    def update(self, outputs: Outputs) -> None:
        """Take the features of some images."""
        blocks: Sequence[Block] = [outputs.features[block] for block in sorted(outputs.features)]
        self._blocks = self._blocks or [_Sums() for _ in blocks]
        for (index, block), sums in zip(iterate_blocks(blocks), self._blocks, strict=True):
            sums.add(block, index)

    def compute(self) -> Measured:
        """Return the columns of BLOCK_COLUMNS."""
        found = [sums.scalars() for sums in self._blocks]
        return {name: [block[name] for block in found] for name in BLOCK_COLUMNS}
