"""The teacher's channels in random order, or for attention maps the heads: a placebo.

The order of channels in a network is arbitrary. An objective that does not single out channels, or that trains a
projection, must give the same result as with the teacher itself.
"""

import torch
from torch import Tensor

KINDS = ("pooled", "features", "classes", "registers", "attention")


def target(values: Tensor, kind: str, seed: int) -> Tensor:
    """Return values [B, C, ...], or tokens [B, P, C], with channels permuted by the seed."""
    axis = 2 if kind in ("classes", "registers") else 1
    order = torch.randperm(values.shape[axis], generator=torch.Generator().manual_seed(seed))
    return values.index_select(axis, order.to(values.device))
