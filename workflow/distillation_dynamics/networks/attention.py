"""Reads self-attention maps of timm networks: those of every block, as the forward pass computes them.

Blocks without self-attention (ResNet) have no maps. Neither have blocks whose keys are not their own patches: channels
(XCiT), pooled or rearranged patches (PVT, MViTv2, MaxViT). CaiT's class-attention layers come after its blocks and are
not included.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from timm.layers import to_2tuple
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from ..errors import say_once
from ..outputs import AttentionMap, Shape
from .blocks import block_names, block_strides, features

SOFTMAX = (torch.softmax, Tensor.softmax, F.softmax)
# Layers that attend among channels (XCiT, DaViT), whose number may equal the number of patches by chance.
AMONG_CHANNELS = ("XCA", "ChannelAttention", "ChannelAttentionV2")
# Linear maps of a layer that end with its values -> number of parts they hold.
PARTS_OF = {"qkv": 3, "v_proj": 1}


# Receives block, number of the layer in its block, and the layer's maps.
Attend = Callable[[int, int, AttentionMap], None]


class _Softmaxes(TorchFunctionMode):
    """Passes on the output of each layer's first softmax in a forward pass; hooks tell which layer is active.

    `fused` receives the arguments of a fused kernel used instead of a softmax.
    """

    def __init__(self, take: Callable[[str, Tensor], Any], fused: Callable[..., Any] | None = None) -> None:
        super().__init__()
        self.take, self.fused = take, fused
        self.at_work: list[str] = []
        self.taken: set[str] = set()

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function of torch, and pass on its output if it is a softmax, or its arguments if it is fused."""
        result = function(*args, **(kwargs or {}))
        if self.at_work and (name := self.at_work[-1]) not in self.taken:
            if function in SOFTMAX:
                self.taken.add(name)
                self.take(name, result)
            elif function is F.scaled_dot_product_attention and self.fused is not None:
                self.taken.add(name)
                self.fused(name, *args, **(kwargs or {}))
        return result

    @contextmanager
    def below(self, network: nn.Module, blocks: Iterable[str]) -> Iterator[None]:
        """Pass on the softmax of every self-attention layer inside `blocks` during the pass made in the block."""
        inside = tuple(f"{block}." for block in blocks)
        with ExitStack() as stack:
            for name, module in network.named_modules():
                # A softmax may be a layer of its own.
                if name.startswith(inside) and (layer := name.removesuffix(".softmax")).endswith("attn"):
                    stack.enter_context(self._of(layer, module))
            stack.enter_context(self)
            yield

    @contextmanager
    def _of(self, name: str, layer: nn.Module) -> Iterator[None]:
        begin = layer.register_forward_pre_hook(lambda *_: self.at_work.append(name))
        end = layer.register_forward_hook(lambda *_: self.at_work.__delitem__(-1))
        with begin, end:
            yield


@contextmanager
def softmaxes(
    network: nn.Module, blocks: Iterable[str], unfused: Iterable[str] | None = None
) -> Iterator[dict[str, Tensor]]:
    """Return the softmax output of every self-attention layer inside `blocks`, by layer, for the pass made in the
    block.

    Differentiable. All layers' weights are kept in memory; see `reading`.
    """
    weights: dict[str, Tensor] = {}
    with reading(network, blocks, weights.__setitem__, unfused):
        yield weights


@contextmanager
def reading(
    network: nn.Module, blocks: Iterable[str], take: Callable[[str, Tensor], Any], unfused: Iterable[str] | None = None
) -> Iterator[None]:
    """Call `take` with the name and softmax output of every self-attention layer inside `blocks`, as each is computed.

    timm's fused kernels never hold these weights. They are disabled in these blocks, or in `unfused`: attention then
    takes 4 x B x heads x N^2 bytes per layer in float32, and training steps take longer.
    """
    plain = tuple(f"{block}." for block in (blocks if unfused is None else unfused))
    modules: Iterable[tuple[str, Any]] = network.named_modules()
    fused = [module for name, module in modules if name.startswith(plain) and getattr(module, "fused_attn", False)]
    for layer in fused:
        layer.fused_attn = False
    try:
        with _Softmaxes(take).below(network, blocks):
            yield
    finally:
        for layer in fused:
            layer.fused_attn = True


class _Linears(TorchFunctionMode):
    """Keeps the last part of some linear maps' outputs in a forward pass, by layer; recognised by their weight.

    Module calls are not enough: BEiT and DINOv3 (with biases) pass the weight of `qkv` to torch themselves.
    """

    def __init__(self, layers: dict[int, tuple[str, int]]):
        super().__init__()
        # By identity of the weight: layer, and number of parts of its map.
        self.layers = layers
        self.values: dict[str, Tensor] = {}

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function of torch, and keep its output if it is one of the maps."""
        result = function(*args, **(kwargs or {}))
        if function is F.linear:
            weight = args[1] if len(args) > 1 else (kwargs or {}).get("weight")
            if id(weight) in self.layers:
                layer, parts = self.layers[id(weight)]
                self.values[layer] = result.chunk(parts, dim=-1)[-1]
        return result


@contextmanager
def values(network: nn.Module, blocks: Iterable[str]) -> Iterator[dict[str, Tensor]]:
    """Return the values [B, N, C] of every self-attention layer inside `blocks`, by layer, for the pass made in the
    block.

    Differentiable, and fused kernels stay on. Found in layers that compute queries, keys and values by one linear map
    `qkv`, or values by `v_proj`.
    """
    inside = tuple(f"{block}." for block in blocks)
    layers: dict[int, tuple[str, int]] = {}
    for name, module in network.named_modules():
        layer, _, last = name.rpartition(".")
        if name.startswith(inside) and layer.endswith("attn") and last in PARTS_OF and isinstance(module, nn.Linear):
            layers[id(module.weight)] = layer, PARTS_OF[last]
    with _Linears(layers) as linears:
        yield linears.values


@torch.no_grad()
def attention_sizes(network: nn.Module, images: Tensor) -> list[tuple[int, int]]:
    """Return, by block, the number of heads of its single attention map over all tokens, and the width of its values.

    Both are 0 if a block has no map or several; the width is 0 if the values are not found.
    """
    names = block_names(network)
    with softmaxes(network, names) as weights, values(network, names) as seen:
        shapes = [Shape(*block.shape[1:]) for block in features(network, images)]
    sizes = []
    for block, shape in zip(names, shapes, strict=True):
        own = {name: value for name, value in weights.items() if name.startswith(f"{block}.")}
        grids = [_grid(network, name, value.shape, shape, len(images)) for name, value in own.items()]
        one = grids[0] if len(grids) == 1 else None
        layer, given = next(iter(own.items()), ("", images))
        if one is None or len(given) != len(images) or one[:2] != shape[1:]:
            sizes.append((0, 0))
            continue
        heads, tokens, _ = given.shape[1:]
        value = seen.get(layer)
        whole = value is not None and value.shape[:-1] == (len(images), tokens)
        sizes.append((heads, value.shape[-1] if value is not None and whole else 0))
    return sizes


class Layer(NamedTuple):
    """Position of an attention layer's maps: block, number of the layer in it, and the fields of `AttentionMap`."""

    block: int
    number: int
    rows: int
    columns: int
    prefix: int
    stride: float


@torch.no_grad()
def attention_layers(network: nn.Module, images: Tensor) -> dict[str, Layer]:
    """Return by name the self-attention layers with maps between patches, for any number of images [B, C, H, W].

    A Transformer's block has one such layer, a Swin stage one per layer. A block without self-attention has none, nor
    one with a layer whose attention is not between its patches; the first such network of a kind is reported on stderr.
    """
    names, sizes = block_names(network), dict[str, torch.Size]()
    with reading(network, names, lambda name, weights: sizes.update({name: weights.shape})):
        shapes = [Shape(*block.shape[1:]) for block in features(network, images)]
    unread, found, empty = "no softmax of self-attention is seen there", dict[str, Layer](), []
    for number, (block, shape, stride) in enumerate(zip(names, shapes, block_strides(network), strict=True)):
        own = {name: size for name, size in sizes.items() if name.startswith(f"{block}.")}
        grids = {name: _grid(network, name, size, shape, len(images)) for name, size in own.items()}
        for name in (name for name, grid in grids.items() if grid is None):
            unread = f"{name} gives weights {list(own[name])}, which are not among its patches"
        readable = {name: grid for name, grid in grids.items() if grid is not None}
        if len(readable) < len(grids) or not grids:
            empty.append(block)
        else:
            found |= {name: Layer(number, n, *grid, stride) for n, (name, grid) in enumerate(readable.items())}
    if empty:
        which = "every block" if len(empty) == len(names) else ", ".join(empty)
        say_once(f"attention: its columns stay empty for {which} of {type(network).__name__}: {unread}")
    return found


@contextmanager
def attending(
    network: nn.Module, layers: dict[str, Layer], take: Attend, images: int, at_a_time: int
) -> Iterator[None]:
    """Call `take` with the maps of `layers` as each is computed in the single pass of `images` images made inside.

    Maps come `at_a_time` images at a time and are not kept. They are the softmax output, in CaiT before the second
    mixing of heads. Fused kernels stay on and their maps are computed in addition, so the pass gives the same outputs.
    """

    def given(name: str, weights: Tensor) -> None:
        if (layer := layers.get(name)) is not None:
            maps = weights.unflatten(0, (images, -1))
            for part in maps.split(at_a_time):
                take(layer.block, layer.number, AttentionMap(part, *layer[2:]))

    def fused(name: str, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, *more, **options):
        if (layer := layers.get(name)) is None:
            return
        windows = len(query) // images
        for start in range(0, len(query), at_a_time * windows):
            part = slice(start, start + at_a_time * windows)
            mask = attn_mask
            if mask is not None and mask.ndim == query.ndim and len(mask) > 1:
                # A bias of its own for every image or window.
                mask = mask[part]
            # What the kernel computes, as torch defines it; one channel of the values, nothing of which is kept.
            inputs = query[part], key[part], value[part, ..., :1], mask
            weights = torch.ops.aten._scaled_dot_product_attention_math(*inputs, *more, **options)[1]
            take(layer.block, layer.number, AttentionMap(weights.unflatten(0, (-1, windows)), *layer[2:]))
            del weights

    with _Softmaxes(given, fused).below(network, block_names(network)):
        yield


@torch.no_grad()
def attention_maps(network: nn.Module, images: Tensor) -> list[list[AttentionMap]]:
    """Return the maps of all self-attention layers of every block for images [B, C, H, W], all at once."""
    names, layers = block_names(network), attention_layers(network, images)
    found: list[list[AttentionMap]] = [[] for _ in names]

    def keep(block: int, number: int, maps: AttentionMap) -> None:
        found[block].append(maps)

    with attending(network, layers, keep, len(images), len(images)):
        features(network, images, [len(names) - 1])
    return found


def _grid(network: nn.Module, name: str, size: torch.Size, shape: Shape, images: int) -> tuple[int, int, int] | None:
    """Return rows, columns and other tokens of a layer's weights of `size` [images x windows, heads, N, N].

    None if they are not between patches.
    """
    layer = network.get_submodule(name)
    window = getattr(layer, "window_size", None)
    rows, columns = to_2tuple(window) if window else (shape.rows, shape.columns)
    if len(size) != 4 or size[-2] != size[-1] or not (window or size[0] == images):
        return None
    prefix = size[-1] - rows * columns
    if prefix not in {0, getattr(network, "num_prefix_tokens", 1)} or type(layer).__name__ in AMONG_CHANNELS:
        return None
    return rows, columns, prefix
