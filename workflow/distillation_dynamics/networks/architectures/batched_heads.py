"""CaiT's talking heads as batched products: the same network with the same weights, in less time.

maps [B, H, N, N] of H heads are mixed to `W maps + b` by one product an image, of [H, H] and [H, N N]; timm moves the
heads to the end and back for it, before and after the softmax. Parameters have timm's names. Sums are rounded in
another way, so that float32 differs from timm's in its last bits. Source: Shazeer et al., Talking-Heads Attention, 2020
(arXiv 2003.02436); Touvron et al., Going deeper with Image Transformers, ICCV 2021 (arXiv 2103.17239).
"""

from collections.abc import Callable
from typing import Any

import torch
from timm.models.cait import TalkingHeadAttn
from torch import Tensor, nn

REQUIRES = ("talking_heads",)
OPTIONS: dict[str, dict] = {}


class BatchedHeads(TalkingHeadAttn):
    """timm's self-attention whose heads are mixed before and after the softmax: tokens [B, N, C] -> [B, N, C]."""

    def forward(self, x: Tensor) -> Tensor:
        """Return what timm's gives."""
        images, tokens, channels = x.shape
        parts = self.qkv(x).reshape(images, tokens, 3, self.num_heads, channels // self.num_heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        maps = mixed((query * self.scale) @ key.transpose(-2, -1), self.proj_l).softmax(dim=-1)
        maps = self.attn_drop(mixed(maps, self.proj_w))
        return self.proj_drop(self.proj((maps @ value).transpose(1, 2).reshape(images, tokens, channels)))


def mixed(maps: Tensor, heads: nn.Linear) -> Tensor:
    """Return maps [B, H, N, N], each a weighted sum of those of all heads."""
    weights = heads.weight.expand(len(maps), -1, -1)
    return torch.baddbmm(heads.bias[:, None], weights, maps.flatten(2)).view_as(maps)


def modify(make: Callable[..., Any]) -> nn.Module:
    """Return the network; `make` makes the model of timm, with arguments changed."""
    return make(attn_block=BatchedHeads)
