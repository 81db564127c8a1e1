"""What training asks of a network, as plain tensors by part: a kind, and a block or none."""

from collections.abc import Collection, Iterable
from contextlib import ExitStack

from torch import Tensor, nn

from ..outputs import Request
from ..spec.network import BlockSize, NetworkSize
from ..spec.teacher_outputs import NO_BLOCK, WHOLE, Part
from .answers import run
from .attention import attention_sizes, softmaxes, values
from .blocks import block_names, classes_of

# Kinds of parts that are read inside of a block, in its attention layer.
READ_INSIDE = "attention", "values"


def say(
    network: nn.Module, images: Tensor, parts: Collection[Part], unfused: Iterable[str] | None = None
) -> dict[Part, Tensor]:
    """Return parts of what a network says of images [B, C, H, W], in their order; gradients flow through all of them.

    `logits` [B, K]; `pooled` [B, D]; of a block `features` [B, C, H, W], `classes` [B, P, C] and `registers` [B, R, C],
    `attention` [B, heads, N, N] and `values` [B, N, C], all heads side by side. Blocks whose attention is asked for go
    without fused kernels, or those of `unfused`.
    """
    if not parts:
        return {}
    blocks = {kind: {block for one, block in parts if one == kind} for kind, _ in parts}
    request = Request(
        logits="logits" in blocks,
        pooled="pooled" in blocks,
        # The pass must come as far as a block whose attention layer is asked for.
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
    """Return the same parts as `say`, the bits of each whatever else is asked for.

    Attention comes from a pass of its own without fused kernels, which would move the last bits of all that follows.
    """
    attention = [part for part in parts if part[0] == "attention"]
    found = say(network, images, [part for part in parts if part not in attention])
    found |= say(network, images, attention, block_names(network)) if attention else {}
    return {part: found[part] for part in parts}


def size_of(network: nn.Module, images: Tensor) -> NetworkSize:
    """Return the sizes of what a network says of an image [1, C, H, W]."""
    blocks = range(len(block_names(network)))
    asked = [("pooled", NO_BLOCK), *((kind, b) for kind in ("features", "classes", "registers") for b in blocks)]
    said = say(network, images, asked)
    sizes = []
    for b, attending in zip(blocks, attention_sizes(network, images), strict=True):
        channels, rows, columns = said["features", b].shape[1:]
        classes, registers = (said[kind, b].shape[1] for kind in ("classes", "registers"))
        sizes.append(BlockSize(channels, rows, columns, classes, registers, *attending))
    return NetworkSize(classes_of(network), said["pooled", NO_BLOCK].shape[1], tuple(sizes))
