"""Dimensions of the patch tokens of all images around their mean, from the eigenvalues of their covariance.

In: features, L blocks [B, C, H, W]; all patch tokens of a block together. Out, with eigenvalues l and p = l / sum l:
the participation ratio 1 / sum p^2 = (sum l)^2 / sum l^2, and exp(-sum p ln p), the rank of arXiv 2512.07331. Sums are
float64 about the mean, so that an offset costs no precision; eigenvalues below C eps of their sum are rounding.
Identical tokens have dimension 0.
"""

import numpy as np
import torch

from ..files import Column
from ..outputs import Outputs
from ._moments import Moments, moments
from .accumulator import Accumulator, Measured, by_column

REQUIRES = ("features",)
BLOCK_COLUMNS = {
    "participation_ratio": Column("directions", "(sum l)^2 / sum l^2 of the eigenvalues l of the tokens' covariance"),
    "covariance_rank": Column("directions", "exp of the entropy of those eigenvalues over their sum"),
}


def _scalars(moments: Moments) -> dict[str, float]:
    """Return the columns of BLOCK_COLUMNS of a block."""
    values = torch.linalg.eigvalsh(moments.scatter / moments.tokens).cpu().numpy()
    # Rounding errors are proportional to the total variance.
    size = float(moments.scatter.trace()) / moments.tokens
    values = values[values > len(values) * np.finfo(np.float64).eps * size]
    if len(values) == 0:
        return dict.fromkeys(BLOCK_COLUMNS, 0.0)
    share = values / values.sum()
    ratio, entropy = 1 / np.square(share).sum(), -np.sum(share * np.log(share))
    return dict(zip(BLOCK_COLUMNS, (float(ratio), float(np.exp(entropy))), strict=True))


class Metric(Accumulator):
    """The covariance of every block's tokens, over the images as they come."""

    def begin(self) -> None:
        """Reset to no tokens."""
        self._blocks: dict[int, Moments] = {}

    def update(self, outputs: Outputs) -> None:
        """Add the features of a batch."""
        for index, block in outputs.features.items():
            self._blocks[index] = moments(block, index).joined(self._blocks.get(index))

    def compute(self) -> Measured:
        """Return the columns of BLOCK_COLUMNS."""
        return by_column([_scalars(of) for of in self._blocks.values()])
