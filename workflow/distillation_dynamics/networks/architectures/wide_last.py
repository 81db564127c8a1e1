"""The last block is wider than the others, with a linear lift before it and its own norm and head after it.

features of the last block = block_W(W x + b), for all tokens; heads of attention stay as wide as those of the other
blocks, so that there are more of them. Source: Tian, Xu, Li, Jin, From Low-Rank Features to Encoding Mismatch, 2025
(arXiv 2511.15572), WideLast: the last block of DeiT-Tiny at the 384 channels of its teacher, CaiT-S24 (27 % more
parameters). Reported on ImageNet: 77.88 % with soft distillation, 78.23 % with features on top, against 74.86 %.
`uniform` is the control: as many parameters, spread over all blocks.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

REQUIRES = ("plain",)
OPTIONS = {
    "width": {
        "type": "integer",
        "minimum": 1,
        "description": "Number of channels of the last block, a multiple of the head width.",
    }
}


class WideLast(nn.Module):
    """A lift, then a block at the new width: tokens [B, N, C] -> [B, N, width]."""

    def __init__(self, block: nn.Module, channels: int, width: int):
        super().__init__()
        self.lift, self.block = nn.Linear(channels, width), block
        nn.init.trunc_normal_(self.lift.weight, std=0.02)
        nn.init.zeros_(self.lift.bias)

    def forward(self, tokens: Tensor, *args, **options) -> Tensor:
        """Return the tokens of the wide block; other arguments go to the block."""
        return self.block(self.lift(tokens), *args, **options)


def modify(make: Callable[..., Any], width: int) -> nn.Module:
    """Return the network; `make` builds the timm model with changed arguments."""
    network = make()
    head = network.embed_dim // network.blocks[-1].attn.num_heads
    if width % head:
        raise ValueError(f"width: {width} is not a multiple of {head}, the width of a head of attention")
    wide = make(embed_dim=width, num_heads=width // head)
    network.blocks[-1] = WideLast(wide.blocks[-1], network.embed_dim, width)
    # A model has fc_norm or norm, depending on its pooling; some have a head for the distillation token.
    for name in ("norm", "fc_norm", "head", "head_dist"):
        if hasattr(network, name):
            setattr(network, name, getattr(wide, name))
    network.num_features = network.head_hidden_size = network.feature_info[-1]["num_chs"] = width
    return network
