"""Attention maps: Kullback-Leibler divergence from the teacher's attention to the student's.

Formula: mean over images, heads and queries of sum over keys of a log(a / b)

a are the teacher's attention weights of a pair of blocks and b the student's, [B, heads, N, N], each row of which sums
to 1. In nats.

Heads: where one number divides the other, neighbouring heads of the larger are averaged in groups; otherwise the mean
of all heads is compared. Tokens: where one network has other class tokens or registers than the other (blocks of CaiT
hold patches alone), rows and columns of those that both have are compared, rows set to sum 1 again; `mask_prefix` does
so with patches alone. Of a weight of 0 the smallest number stands in the logarithm. Blocks without maps are refused.

The student's maps come from its own forward pass without a fused kernel, which costs time and memory for those blocks.

Source: Wang, Wei, Dong, Bao, Yang, Zhou, MiniLM: Deep Self-Attention Distillation, NeurIPS 2020, section 3.1. That is
of the last layer of language models; for vision Wang, Yang, van de Weijer, Attention Distillation, BMVC 2022, match the
maps of the last block (recalled and not checked).
"""

import torch
from torch import Tensor

from ..objective import Term
from ._tokens import common, matched

SHARED = ("mask_prefix",)


class Loss(Term):
    """Divergence from teacher to student, in nats."""

    def forward(self, pair: int, student_attention: Tensor, teacher_attention: Tensor) -> Tensor:
        """Return the divergence for one pair: student [B, Hs, Ns, Ns], teacher [B, Ht, Nt, Nt]."""
        kept = common(self.pairs[pair], self.options["mask_prefix"], student_attention.device)
        whole = matched(student_attention, teacher_attention)
        ours, theirs = (of if which is None else among(of, which) for of, which in zip(whole, kept, strict=True))
        least = torch.finfo(ours.dtype).tiny
        return (torch.xlogy(theirs, theirs) - theirs * ours.clamp_min(least).log()).sum(dim=-1).mean()


def among(attention: Tensor, tokens: Tensor) -> Tensor:
    """Return the rows and columns of some tokens of [B, heads, N, N], with rows rescaled to sum 1."""
    chosen = attention.index_select(2, tokens).index_select(3, tokens)
    return chosen / chosen.sum(dim=-1, keepdim=True).clamp_min(torch.finfo(chosen.dtype).tiny)
