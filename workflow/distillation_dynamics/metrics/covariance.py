"""How many directions the patch tokens of all images fill around their mean, by the spectrum of their covariance.

In: features, L blocks [B, C, H, W]; all patch tokens of a block together. Out, with p the eigenvalues of the covariance
over their sum: the participation ratio 1 / sum p^2 = (sum l)^2 / sum l^2, and exp(-sum p ln p), the rank of arXiv
2512.07331. Sums are float64, from an origin amid the tokens, so that an offset costs no digits; an eigenvalue below
C eps of the largest is rounding. Tokens that are all alike fill 0 directions.
"""

from collections import defaultdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..files import Column
from ..outputs import Outputs
from .accumulator import Accumulator, Measured, by_column
from .blocks import all_tokens, image_chunks

REQUIRES = ("features",)
BLOCK_COLUMNS = {
    "participation_ratio": Column("directions", "(sum l)^2 / sum l^2 of the eigenvalues l of the tokens' covariance"),
    "covariance_rank": Column("directions", "exp of the entropy of those eigenvalues over their sum"),
}


class _Sums:
    """Sums over the tokens of one block, less an origin."""

    def __init__(self):
        self.tokens = 0
        self.sum: Any = 0
        self.gram: Any = 0
        self.origin: Tensor | None = None

    def add(self, block: Tensor, index: int) -> None:
        """Take images [b, C, H, W]."""
        for chunk in image_chunks(block, index):
            tokens = all_tokens(chunk)
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

    def begin(self) -> None:
        """Begin with no sums."""
        self._blocks: dict[int, _Sums] = defaultdict(_Sums)

    def update(self, outputs: Outputs) -> None:
        """Take the features of some images."""
        for index, block in outputs.features.items():
            self._blocks[index].add(block, index)

    def compute(self) -> Measured:
        """Return the columns of BLOCK_COLUMNS."""
        return by_column([sums.scalars() for sums in self._blocks.values()])
