"""A LayerNorm on the last block's output without a lift: the control of `lift`, normalisation alone.

features of the last block = LayerNorm(block(x)), of each token over its channels, with a scale and shift that train;
the network's own norm and head follow as they were.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

REQUIRES = ("plain",)
OPTIONS: dict[str, dict] = {}
# Epsilon of the norms in ViTs.
EPS = 1e-6


class Normalised(nn.Module):
    """A block followed by a norm of its output: tokens [B, N, C] -> [B, N, C]."""

    def __init__(self, block: nn.Module, channels: int):
        super().__init__()
        self.block, self.norm = block, nn.LayerNorm(channels, EPS)

    def forward(self, tokens: Tensor, *args, **options) -> Tensor:
        """Return the normalised tokens; other arguments go to the block."""
        return self.norm(self.block(tokens, *args, **options))


def modify(make: Callable[..., Any]) -> nn.Module:
    """Return the network; `make` builds the timm model with changed arguments."""
    network = make()
    network.blocks[-1] = Normalised(network.blocks[-1], network.embed_dim)
    return network
