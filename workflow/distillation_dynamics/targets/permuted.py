"""The teacher's channels in another order, of attention maps the heads: a placebo.

The order of channels is arbitrary in a network, so that an objective which does not look at single channels, or trains
a projection, must give what the teacher itself gives.
"""

import torch
from torch import Tensor

KINDS = ("pooled", "features", "classes", "registers", "attention")


def target(values: Tensor, kind: str, seed: int) -> Tensor:
    """Return values [B, C, ...], of tokens [B, P, C], with their channels in an order that the seed fixes."""
    axis = 2 if kind in ("classes", "registers") else 1
    order = torch.randperm(values.shape[axis], generator=torch.Generator().manual_seed(seed))
    return values.index_select(axis, order.to(values.device))
