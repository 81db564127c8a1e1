"""Outputs of a network for training, as plain tensors by part: a kind, and a block or none."""

from collections.abc import Collection, Iterable
from contextlib import ExitStack

from torch import Tensor, nn

from ..outputs import Request
from ..spec.network import BlockSize, NetworkSize
from ..spec.teacher_outputs import NO_BLOCK, WHOLE, Part
from .answers import run
from .attention import attention_sizes, softmaxes, values
from .blocks import block_names, classes_of

# Kinds read inside a block, from its attention layer.
READ_INSIDE = "attention", "values"


def say(
    network: nn.Module, images: Tensor, parts: Collection[Part], unfused: Iterable[str] | None = None
) -> dict[Part, Tensor]:
    """Return parts of a network's outputs on images [B, C, H, W] in order; all are differentiable.

    `logits` [B, K]; `pooled` [B, D]; of a block `features` [B, C, H, W], `classes` [B, P, C] and `registers` [B, R, C],
    `attention` [B, heads, N, N] and `values` [B, N, C], all heads side by side. Blocks in `unfused`, by default those
    whose attention is requested, run without fused kernels.
    """
    if not parts:
        return {}
    blocks = {kind: {block for one, block in parts if one == kind} for kind, _ in parts}
    request = Request(
        logits="logits" in blocks,
        pooled="pooled" in blocks,
        # The pass must include a block whose attention is requested.
        features=tuple(sorted(set().union(*(blocks.get(kind, ()) for kind in ("features", *READ_INSIDE))))),
        prefix=tuple(sorted(blocks.get("classes", set()) | blocks.get("registers", set()))),
    )
    names = block_names(network)
    inside: dict[str, dict[str, Tensor]] = {}
    with ExitStack() as stack:
        for kind in (kind for kind in READ_INSIDE if kind in blocks):
            where = [names[block] for block in blocks[kind]]
            reading = softmaxes(network, where, unfused) if kind == "attention" else values(network, where)
            inside[kind] = stack.enter_context(reading)
        outputs = run(network, images, request)
    found: dict[Part, Tensor] = {}
    for kind, block in parts:
        if kind in WHOLE:
            value = getattr(outputs, kind)
        elif kind == "features":
            value = outputs.features[block]
        elif kind in inside:
            (value,) = (layer for name, layer in inside[kind].items() if name.startswith(f"{names[block]}."))
        else:
            value = getattr(outputs.prefix[block], kind)
        found[kind, block] = value
    return found


def say_alike(network: nn.Module, images: Tensor, parts: Collection[Part]) -> dict[Part, Tensor]:
    """Return the parts of `say` with bits that do not depend on which others are requested.

    Attention comes from a separate pass without fused kernels, which would change the last bits of everything after it.
    """
    attention = [part for part in parts if part[0] == "attention"]
    found = say(network, images, [part for part in parts if part not in attention])
    found |= say(network, images, attention, block_names(network)) if attention else {}
    return {part: found[part] for part in parts}


def size_of(network: nn.Module, images: Tensor) -> NetworkSize:
    """Return the sizes of a network's outputs for an image [1, C, H, W]."""
    blocks = range(len(block_names(network)))
    asked = [("pooled", NO_BLOCK), *((kind, b) for kind in ("features", "classes", "registers") for b in blocks)]
    said = say(network, images, asked)
    sizes = []
    for b, attending in zip(blocks, attention_sizes(network, images), strict=True):
        channels, rows, columns = said["features", b].shape[1:]
        classes, registers = (said[kind, b].shape[1] for kind in ("classes", "registers"))
        sizes.append(BlockSize(channels, rows, columns, classes, registers, *attending))
    return NetworkSize(classes_of(network), said["pooled", NO_BLOCK].shape[1], tuple(sizes))
