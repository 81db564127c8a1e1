"""Blocks of a timm network: names, grids and features.

Features are the residual stream after each block, before the final norm, other tokens removed, as [image, channel, row,
column] on the patch grid (timm `forward_intermediates`, `norm=False`).
"""

import inspect
import re
from typing import Any

import torch
from torch import Tensor, nn

from ..outputs import ALL, Blocks, Prefix, Shape

# A timm network, whose methods `nn.Module` does not declare.
TimmNetwork = Any
# Names of blocks in timm; and names that are never blocks, for networks that use others.
BLOCK, STEM = re.compile("block|layer|stage"), "stem"


def block_names(network: nn.Module) -> list[str]:
    """Return timm's module name of every block: `blocks.3` of a plain Transformer, `layers.1`, `layer2` of a stage.

    Features before the first block (a convolutional stem) are not a block. If no feature has the name of a block, layer
    or stage (`s1` of RegNet, `features.6` of VGG), all but a stem are blocks.
    """
    return [info["module"] for _, info in numbered_blocks(network)]


def block_strides(network: nn.Module) -> list[float]:
    """Return the distance in pixels between neighbouring patch centres of every block's features."""
    return [float(info["reduction"]) for _, info in numbered_blocks(network)]


def numbered_blocks(network: nn.Module) -> list[tuple[int, dict[str, Any]]]:
    """Return (index in timm's `forward_intermediates`, timm's feature info) of every block."""
    infos = getattr(network, "feature_info", [])
    numbered = list(enumerate(infos if isinstance(infos, list) else infos.info))
    named = [(number, info) for number, info in numbered if BLOCK.search(info["module"])]
    return named or [(number, info) for number, info in numbered if STEM not in info["module"]]


def chosen(network: nn.Module, blocks: Blocks) -> list[int]:
    """Return the block numbers of a request, ascending."""
    return list(range(len(numbered_blocks(network)))) if isinstance(blocks, str) else sorted(blocks)


def classes_of(network: TimmNetwork) -> int:
    """Return the number of logits of a network's head; 0 without a head."""
    return int(network.num_classes)


def features(network: nn.Module, images: Tensor, blocks: list[int] | None = None) -> list[Tensor]:
    """Return the features [B, C, H, W] of all blocks (or of `blocks`, ascending) for images [B, C, H, W]."""
    wanted = chosen(network, ALL if blocks is None else tuple(blocks))
    return intermediates(network, images, wanted, intermediates_only=True, stop_early=True)


def intermediates(network: TimmNetwork, images: Tensor, blocks: list[int], **options: bool):
    """Return the output of timm's `forward_intermediates` for `blocks` (ascending)."""
    numbers = [number for number, _ in numbered_blocks(network)]
    wanted = [numbers[block] for block in blocks]
    return network.forward_intermediates(images, indices=wanted, norm=False, **options)


@torch.no_grad()
def block_shapes(network: nn.Module, images: Tensor) -> list[Shape]:
    """Return (channels, rows, columns) of each block's features for images [B, C, H, W]."""
    return [Shape(*block.shape[1:]) for block in features(network, images)]


def gives_prefix(network: TimmNetwork) -> bool:
    """Return whether timm gives class, distillation and register tokens of this network along with features."""
    parameters = inspect.signature(network.forward_intermediates).parameters
    return "return_prefix_tokens" in parameters and getattr(network, "num_prefix_tokens", 0) > 0


def registers_of(network: nn.Module) -> int:
    """Return the number of register tokens: R of a parameter `reg_token` [1, R, C] in the network or a part of it."""
    return sum(value.shape[1] for name, value in network.named_parameters() if name.rpartition(".")[2] == "reg_token")


def prefix_of(network: nn.Module, tokens: Tensor) -> Prefix:
    """Split tokens [B, P + R, C] before the patches into class and distillation tokens, then registers."""
    count = registers_of(network)
    # Some networks add tokens in their last blocks only: fewer tokens contain no registers.
    if tokens.shape[1] != getattr(network, "num_prefix_tokens", 0):
        count = 0
    first = tokens.shape[1] - count
    return Prefix(tokens[:, :first], tokens[:, first:])
