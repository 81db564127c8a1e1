"""All blocks are wider, with as many parameters in total as a wide last block: the control of `wide_last`.

The width is that of those that the heads of attention divide evenly, whose number stays (with rotary positions: into
multiples of 4), with which the number of parameters comes nearest to that of `wide_last` of the same `width`; the
network says which it is.
"""

from bisect import bisect_left
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import nn

REQUIRES = ("plain",)
OPTIONS = {
    "width": {
        "type": "integer",
        "minimum": 1,
        "description": "Width of the `wide_last` network whose number of parameters is matched.",
    }
}


def modify(make: Callable[..., Any], width: int) -> nn.Module:
    """Return the network; `make` builds the timm model with changed arguments."""
    # Only counted, so no values are needed.
    with torch.device("meta"):
        narrow = make()
        channels, heads = narrow.embed_dim, narrow.blocks[-1].attn.num_heads
        if width % (channels // heads):
            raise ValueError(f"width: {width} is not a multiple of {channels // heads}, the width of an attention head")
        if width < channels:
            raise ValueError(f"width: {width} is less than the {channels} channels of the network")
        wide = make(embed_dim=width, num_heads=width * heads // channels)
        aim = count(narrow) - last(narrow) + last(wide) + width * (channels + 1)
        step = heads if getattr(narrow, "rope", None) is None else 4 * heads
        widths = range(channels, width + step, step)
        size = cache(lambda w: count(make(embed_dim=w)))
        place = bisect_left(widths, aim, key=size)
        chosen = min(widths[max(0, place - 1) : place + 1], key=lambda w: abs(size(w) - aim))
    network = make(embed_dim=chosen)
    network.note = (
        f"{chosen} channels in every block, where {channels} were: {count(network):,} parameters; with a last block of "
        f"{width} channels there are {aim:,}"
    )
    return network


def count(module: nn.Module) -> int:
    """Return the number of parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


def last(network: Any) -> int:
    """Return the number of parameters of the last block and everything after it."""
    behind = [getattr(network, name) for name in ("norm", "fc_norm", "head", "head_dist") if hasattr(network, name)]
    return count(network.blocks[-1]) + sum(map(count, behind))
