"""Self-attention as it is read from a network of timm: the maps of every block, as a forward pass computes them.

Blocks without self-attention, as those of a ResNet, have no maps, and neither have those whose keys are no patches of
theirs: channels (XCiT), pooled or rearranged patches (PVT, MViTv2, MaxViT). The class-attention layers of CaiT come
after its blocks and are left out.
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
# Layers that attend among channels (XCiT, DaViT), of which there may happen to be as many as patches.
AMONG_CHANNELS = ("XCA", "ChannelAttention", "ChannelAttentionV2")
# Linear maps of a layer whose last part are its values -> how many parts they have.
PARTS_OF = {"qkv": 3, "v_proj": 1}


# Takes block, number of the layer in its block, and the maps of a layer.
Attend = Callable[[int, int, AttentionMap], None]


class _Softmaxes(TorchFunctionMode):
    """Gives away what the first softmax of each layer gives in a forward pass; hooks say which layer is at work.

    `fused` takes what a fused kernel is given where one stands in place of a softmax.
    """

    def __init__(self, take: Callable[[str, Tensor], Any], fused: Callable[..., Any] | None = None) -> None:
        super().__init__()
        self.take, self.fused = take, fused
        self.at_work: list[str] = []
        self.taken: set[str] = set()

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function of torch, and give away what it gives if it is a softmax, or is given if it is fused."""
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
        """Give away those of every self-attention layer below `blocks` in the pass made inside."""
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
    """Return what the softmax of every self-attention layer below `blocks` gives, by layer, in the pass made inside.

    Gradients flow through it. All layers' weights are kept; see `reading`.
    """
    weights: dict[str, Tensor] = {}
    with reading(network, blocks, weights.__setitem__, unfused):
        yield weights


@contextmanager
def reading(
    network: nn.Module, blocks: Iterable[str], take: Callable[[str, Tensor], Any], unfused: Iterable[str] | None = None
) -> Iterator[None]:
    """Give `take` the name of every self-attention layer below `blocks`, and what its softmax gives, as it appears.

    timm's fused kernels, which never hold these weights, are off inside, in these blocks or those of `unfused`: their
    attention takes 4 x B x heads x N^2 bytes a layer in float32, and a training step of them more time.
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
    """Keeps the last part of what some linear maps give in a forward pass, by layer; told by their weight.

    Not by a module's call: BEiT and DINOv3's way with biases hand the weight of `qkv` to torch themselves.
    """

    def __init__(self, layers: dict[int, tuple[str, int]]):
        super().__init__()
        # By the identity of a weight: the layer, and how many parts its map has.
        self.layers = layers
        self.values: dict[str, Tensor] = {}

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function of torch, and keep what it gives where it is one of the maps."""
        result = function(*args, **(kwargs or {}))
        if function is F.linear:
            weight = args[1] if len(args) > 1 else (kwargs or {}).get("weight")
            if id(weight) in self.layers:
                layer, parts = self.layers[id(weight)]
                self.values[layer] = result.chunk(parts, dim=-1)[-1]
        return result


@contextmanager
def values(network: nn.Module, blocks: Iterable[str]) -> Iterator[dict[str, Tensor]]:
    """Return the values [B, N, C] of every self-attention layer below `blocks`, by layer, in the pass made inside.

    Gradients flow through them, and fused kernels stay on. They are seen where a layer makes queries, keys and values
    by one linear map `qkv`, or values by `v_proj`.
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
    """Return of how many heads each block has one attention map of all its tokens, and the width of its values.

    Both are 0 where a block has none, or several; the width is 0 where values are not seen.
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
    """Where the maps of an attention layer belong: its block, its number there, and the fields of `AttentionMap`."""

    block: int
    number: int
    rows: int
    columns: int
    prefix: int
    stride: float


@torch.no_grad()
def attention_layers(network: nn.Module, images: Tensor) -> dict[str, Layer]:
    """Return by name the self-attention layers whose maps are among patches, for images [B, C, H, W] of any number.

    A Transformer's block has one, a stage of Swin as many as it has layers. A block has none without self-attention,
    and where that of one of its layers is not among its patches; the first such network of its kind says so on stderr.
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
    """Give `take` the maps of `layers`, each as it appears in the one pass of `images` images made inside; keep none.

    They come of `at_a_time` images after others, and are the softmax itself, in CaiT before the second mixing of heads.
    Fused kernels stay on, so that the pass gives what it does without this: their maps are computed beside them.
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
                # Of its own in every image or window.
                mask = mask[part]
            # What the kernel computes, as torch defines it; of the values one channel, of which nothing is kept.
            inputs = query[part], key[part], value[part, ..., :1], mask
            weights = torch.ops.aten._scaled_dot_product_attention_math(*inputs, *more, **options)[1]
            take(layer.block, layer.number, AttentionMap(weights.unflatten(0, (-1, windows)), *layer[2:]))
            del weights

    with _Softmaxes(given, fused).below(network, block_names(network)):
        yield


@torch.no_grad()
def attention_maps(network: nn.Module, images: Tensor) -> list[list[AttentionMap]]:
    """Return, for every block, the maps of its self-attention layers for images [B, C, H, W], all at once."""
    names, layers = block_names(network), attention_layers(network, images)
    found: list[list[AttentionMap]] = [[] for _ in names]

    def keep(block: int, number: int, maps: AttentionMap) -> None:
        found[block].append(maps)

    with attending(network, layers, keep, len(images), len(images)):
        features(network, images, [len(names) - 1])
    return found


def _grid(network: nn.Module, name: str, size: torch.Size, shape: Shape, images: int) -> tuple[int, int, int] | None:
    """Return rows, columns and other tokens of a layer's weights of `size` [images x windows, heads, N, N].

    None where they are not among patches.
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
