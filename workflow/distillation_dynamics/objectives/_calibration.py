"""Weights that give terms a share of the loss, or of the norms of gradients, found over the first updates.

Loaded where a term is given a share, and by no other training.
"""

import torch
from torch import Tensor

from .. import distributed
from ..spec.training import CALIBRATION_UPDATES


def calibrates(step: int) -> bool:
    """Return whether an update is one of those that weights are found in."""
    return step < CALIBRATION_UPDATES


def weights(step: int, of: Tensor, given: Tensor, shares: Tensor, sums: Tensor) -> Tensor:
    """Return the weight of every term in an update, [terms]; a share (0: none) is one `of` what terms have.

    `given` are the weights of those without a share; `sums`, of what they had in the updates so far, is added to.
    """
    if calibrates(step):
        of = distributed.mean(of)
        sums += of
    else:
        of = sums
    # Weights are given or shared: weight x value = share x loss, and the given ones make the rest of the loss.
    loss = (given * of).sum() / (1 - shares.sum())
    return torch.where(shares > 0, shares * loss / of, given)
