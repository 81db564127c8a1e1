"""Unbiased linear CKA of a batch, differentiable."""

import torch
from torch import Tensor


def cka(ours: Tensor, theirs: Tensor) -> Tensor:
    """Return the unbiased linear CKA of rows [N, C] and [N, D], a scalar; 0 if either is constant or N < 4.

    HSIC_1 of Song et al., JMLR 2012 (eq. 5), with kernels X X^T and Y Y^T. Its mean is 0 for independent rows, for any
    N. The metric `pairs.cka` computes the same in float64.
    """
    count = len(ours)
    if count < 4:
        return (ours.sum() + theirs.sum()) * 0
    kernels = []
    for rows in (ours, theirs):
        rows = rows - rows.mean(dim=0)
        kernel = rows @ rows.mT
        kernels.append(kernel - torch.diag(kernel.diagonal()))
    first, second = kernels

    def hsic(a: Tensor, b: Tensor) -> Tensor:
        sums = a.sum() * b.sum() / ((count - 1) * (count - 2))
        return (a * b).sum() + sums - 2 / (count - 2) * (a.sum(dim=0) * b.sum(dim=0)).sum()

    norms = hsic(first, first) * hsic(second, second)
    there = ~(norms <= 0)
    return torch.where(there, hsic(first, second) / torch.where(there, norms, 1.0).sqrt(), 0.0)
