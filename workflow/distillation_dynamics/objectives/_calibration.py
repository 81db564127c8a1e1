"""Calibrates the weights of terms with a share of the loss, or of gradient norms, over the first updates.

Imported only by trainings with such a term.
"""

import torch
from torch import Tensor

from .. import distributed
from ..spec.training import CALIBRATION_UPDATES


def calibrates(step: int) -> bool:
    """Return whether weights are calibrated in an update."""
    return step < CALIBRATION_UPDATES


def weights(step: int, of: Tensor, given: Tensor, shares: Tensor, sums: Tensor) -> Tensor:
    """Return the weight of every term in an update, [terms]; a share (0: none) is one of the values `of`.

    `given`: weights of the terms without a share; `sums` of earlier updates' values is updated in place.
    """
    if calibrates(step):
        of = distributed.mean(of)
        sums += of
    else:
        of = sums
    # Weights are given or follow from shares: weight x value = share x loss, and the given ones make up the rest.
    loss = (given * of).sum() / (1 - shares.sum())
    return torch.where(shares > 0, shares * loss / of, given)
