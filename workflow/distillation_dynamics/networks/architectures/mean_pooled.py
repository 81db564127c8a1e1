"""The head reads the mean of the patch tokens instead of the class token, after its own norm.

logits = head(norm(mean over patches of the last block)), as timm's `global_pool: avg`; class, distillation and
register tokens are left out, so that the patches of the last block get their gradient from the labels, too. Of CaiT
the layers of class attention, which nothing would read, go with the class token; its norm comes before the mean, as
timm has it.
"""

from collections.abc import Callable
from typing import Any

from torch import nn

REQUIRES = ("class_token",)
OPTIONS: dict[str, dict] = {}


def modify(make: Callable[..., Any]) -> nn.Module:
    """Return the network; `make` builds the timm model with changed arguments."""
    network = make(global_pool="avg")
    if hasattr(network, "blocks_token_only"):
        network.blocks_token_only = network.cls_token = None
        network.num_prefix_tokens = 0
    return network
