"""Mean and second moments of all tokens of a block, computed once for several metrics.

In: blocks [B, C, H, W]; a token is its C channels. Out, float64: sums about the tokens' mean, so that an offset costs
no precision. Moments of two sets of images are joined by the formula of Chan, Golub and LeVeque, Algorithms for
computing the sample variance, Am. Stat. 37, 1983.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from .blocks import extremes, once


class Moments(NamedTuple):
    """Moments of tokens x: their number, `mean` [C], and `scatter` [C, C], the sum of (x - mean) (x - mean)^T.

    Identical tokens have a scatter of exactly 0.
    """

    tokens: int
    mean: Tensor
    scatter: Tensor

    @property
    def gram(self) -> Tensor:
        """The sum of x x^T, [C, C]."""
        return self.scatter + self.tokens * self.mean[:, None] * self.mean

    def joined(self, other: "Moments | None") -> "Moments":
        """Return the joint moments of both sets of tokens."""
        if other is None:
            return self
        tokens, apart = self.tokens + other.tokens, self.mean - other.mean
        mean = other.mean + apart * (self.tokens / tokens)
        between = self.tokens * other.tokens / tokens * apart[:, None] * apart
        return Moments(tokens, mean, other.scatter + self.scatter + between)


def moments(block: Tensor, index: int) -> Moments:
    """Return the moments of block number `index`; raise NotFinite for NaN or infinity."""
    extremes(block, index)
    return _moments(block)


def channels_by_tokens(block: Tensor) -> Tensor:
    """Return a block's tokens as columns, [C, B H W], a copy in float64."""
    tokens_cbn = block.flatten(2).movedim(1, 0)
    return torch.empty(tokens_cbn.shape, dtype=torch.float64, device=block.device).copy_(tokens_cbn).flatten(1)


def gram(tokens_cn: Tensor) -> Tensor:
    """Return the sum of x x^T over tokens [C, N], [C, C]."""
    if tokens_cn.is_cuda:
        return tokens_cn @ tokens_cn.mT
    # NumPy computes only half of a symmetric product.
    values = tokens_cn.numpy()
    return torch.from_numpy(values @ values.T)


@once
def _moments(block: Tensor) -> Moments:
    tokens_cn = channels_by_tokens(block)
    first = tokens_cn[:, :1].clone()
    tokens_cn -= first
    from_first = tokens_cn.mean(dim=1, keepdim=True)
    tokens_cn -= from_first
    return Moments(tokens_cn.shape[1], (first + from_first)[:, 0], gram(tokens_cn))
