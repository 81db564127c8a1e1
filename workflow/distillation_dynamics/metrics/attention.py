"""Self-attention: how spread out it is (entropy) and how far it reaches (mean attention distance).

In: the attention maps of every block, as `AttentionReader` or `attention_maps` reads them from a network of timm. Out:
float64, in bits and pixels, one value a block and image. Blocks without self-attention, as those of a ResNet, have no
maps, and neither have those whose keys are no patches of theirs: channels (XCiT), pooled or rearranged patches (PVT,
MViTv2, MaxViT). The class-attention layers of CaiT come after its blocks and are left out.
"""

import copy
import io
import math
import warnings
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from typing import NamedTuple

import numpy as np
import torch
from timm.layers import to_2tuple
from timm.utils import AttentionExtract
from torch import Tensor, nn

from .. import models
from ..errors import say_once
from ..files import Column
from ..objective import Shape
from .accumulator import Accumulator
from .blocks import NotFinite

NEEDS = "attention"
IMAGE_COLUMNS = {
    "attention_entropy": Column(
        "bits",
        "mean entropy of the attention of a query over all keys; NaN for a block without attention among its patches",
    ),
    "attention_distance": Column(
        "pixels", "mean distance between a patch and the patches it attends to, weighted by attention; NaN as above"
    ),
}


class AttentionMap(NamedTuple):
    """Attention weights of one self-attention layer, [b, windows, heads, N, N]; query before key, each row sums to 1.

    Tokens are `prefix` class or distillation tokens, then `rows` x `columns` patches, row-major. `stride` is the
    distance between neighbouring patch centres in pixels. Global attention is one window.
    """

    weights: Tensor
    rows: int
    columns: int
    prefix: int
    stride: float


class Layer(NamedTuple):
    """A self-attention layer that can be read: the name of its softmax, and the first fields of its maps' geometry."""

    name: str
    rows: int
    columns: int
    prefix: int


class AttentionReader:
    """Reads attention maps from a copy of `network`, traced once; the network itself stays as it is.

    The copy holds the weights that the network has now, on the device where it is now. The maps of a batch take
    4 x L x B x heads x N^2 bytes in float32: 1.9 GB for 64 images of 224 pixels in CaiT-S24.
    """

    def __init__(self, network: nn.Module):
        for module in network.modules():
            # What LeViT and its like keep of their weights cannot be copied; they compute it anew.
            getattr(module, "attention_bias_cache", {}).clear()
        self.network = copy.deepcopy(network).requires_grad_(False).eval()
        # timm chooses fused attention, which never holds its weights, when a layer is built.
        for module in self.network.modules():
            if hasattr(module, "fused_attn"):
                module.fused_attn = False
        self.blocks = models.block_names(network)
        self.strides = models.block_strides(network)
        # By size of the images, since a forward pass tells: for every block its layers with their geometry.
        self.layers: dict[torch.Size, list[list[Layer]]] = {}
        self.extract: AttentionExtract | None = None

    @torch.no_grad()
    def __call__(self, images: Tensor) -> list[list[AttentionMap]]:
        """Return, for every block, the maps of its self-attention layers for images [B, C, H, W].

        A Transformer's block has one, a stage of Swin as many as it has layers. They are the softmax itself, in CaiT
        before the second mixing of heads. A block has none without self-attention, and where that of one of its layers
        cannot be read or is not among its patches; the first such network of its kind says so on stderr.
        """
        if (size := images.shape[1:]) not in self.layers:
            self.layers[size] = self._look(images[:1])
        layers = self.layers[size]
        weights = self.extract(images) if any(layers) else {}
        return [
            [
                AttentionMap(weights[layer.name].unflatten(0, (len(images), -1)), *layer[1:], stride)
                for layer in of_block
            ]
            for of_block, stride in zip(layers, self.strides, strict=True)
        ]

    def _look(self, image: Tensor) -> list[list[Layer]]:
        """Find what can be read, on one image [1, C, H, W]; say what cannot."""
        weights, unread = {}, "no softmax of self-attention is seen there"
        try:
            # Code that was traced prints its own traceback.
            with redirect_stderr(io.StringIO()):
                if self.extract is None:
                    self.extract = _traced(self.network)
                weights = self.extract(image) if self.extract else {}
        except Exception as error:
            unread = f"the network cannot be traced ({type(error).__name__})"
        shapes = models.block_shapes(self.network, image)
        layers: list[list[Layer]] = []
        for block, shape in zip(self.blocks, shapes, strict=True):
            own = {name: value for name, value in weights.items() if name.startswith(f"{block}.")}
            found = [self._layer(name, value, shape) for name, value in own.items()]
            layers.append([] if None in found else found)
            if None in found:
                name = list(own)[found.index(None)]
                unread = f"{name} gives weights {list(own[name].shape)}, which are not among its patches"
        empty = [block for block, found in zip(self.blocks, layers, strict=True) if not found]
        if empty:
            which = "every block" if len(empty) == len(layers) else ", ".join(empty)
            say_once(f"attention: its columns stay empty for {which} of {type(self.network).__name__}: {unread}")
        return layers

    def _layer(self, name: str, weights: Tensor, shape: Shape) -> Layer | None:
        """Return the geometry of a layer from its weights for one image; None where they are not among patches."""
        module = self.network.get_submodule(name.removesuffix(".softmax"))
        window = getattr(module, "window_size", None)
        rows, columns = to_2tuple(window) if window else (shape.rows, shape.columns)
        if weights.ndim != 4 or weights.shape[-2] != weights.shape[-1] or not (window or len(weights) == 1):
            return None
        prefix = weights.shape[-1] - rows * columns
        prefixes = {0, getattr(self.network, "num_prefix_tokens", 1)}
        return Layer(name, rows, columns, prefix) if prefix in prefixes and not _of_channels(module) else None


def _of_channels(module: nn.Module) -> bool:
    """Whether a layer attends among channels (XCiT, DaViT), of which there may happen to be as many as patches."""
    return type(module).__name__ in ("XCA", "ChannelAttention", "ChannelAttentionV2")


def _traced(network: nn.Module) -> AttentionExtract | None:
    """Trace `network` for its attention weights; None where it has none."""
    with warnings.catch_warnings():
        # Evaluation is all that is traced for, so that nodes of training mode do not matter.
        warnings.filterwarnings("ignore", "NOTE: The nodes obtained by tracing the model in", UserWarning)
        try:
            return AttentionExtract(network, method="fx")
        except RuntimeError as error:
            if "No node names found" in str(error):
                return None
            raise


def attention_maps(network: nn.Module, images: Tensor) -> list[list[AttentionMap]]:
    """Attention maps of every block of `network` for images [B, C, H, W]: see AttentionReader, for one batch."""
    return AttentionReader(network)(images)


def attention_entropy(maps: Sequence[Sequence[AttentionMap]]) -> np.ndarray:
    """Mean entropy of the attention of every image, [L, B], in bits: -sum over keys of p log2 p.

    The sum is over all keys, the mean over queries (class tokens included), heads, windows and layers of the block;
    blocks without maps are NaN. The windows of Swin are as they are: shifted ones with their masked keys, padded ones
    with their padding. Without any map the number of images is unknown, and B is 0. Raises NotFinite for NaN or
    infinity.
    """
    return _over_blocks(maps, _entropy)


def attention_distance(maps: Sequence[Sequence[AttentionMap]]) -> np.ndarray:
    """Mean attention distance of every image, [L, B], in pixels.

    For a patch query q: sum over patch keys k of p[q, k] |x[q] - x[k]| / sum over patch keys of p[q, k], with x the
    centres of the patches; the mean is over patch queries, heads, windows and layers of the block. A query whose
    attention is all on class tokens has no distance and is left out. Blocks without maps are NaN; windows, unknown B
    and errors as in attention_entropy (distances are those within the window).

    Source: Dosovitskiy et al., An Image is Worth 16x16 Words, ICLR 2021 (section 4.5); Raghu et al., Do Vision
    Transformers See Like Convolutional Neural Networks?, NeurIPS 2021 (section 4).
    """
    return _over_blocks(maps, _distance)


def _over_blocks(maps: Sequence[Sequence[AttentionMap]], measure: Callable[[AttentionMap], Tensor]) -> np.ndarray:
    images = next((len(layer.weights) for block in maps for layer in block), 0)
    rows = np.full((len(maps), images), np.nan)
    for index, block in enumerate(maps):
        for layer in block:
            broken = ~layer.weights.isfinite().flatten(1).all(dim=1)
            if broken.any():
                image = int(broken.nonzero()[0])
                raise NotFinite(f"attention: block {index}, image {image} holds NaN or infinity")
        if block:
            rows[index] = torch.stack([measure(layer) for layer in block]).mean(dim=0).cpu().numpy()
    return rows


def _entropy(layer: AttentionMap) -> Tensor:
    """Mean entropy of each image, [b], in bits."""
    return torch.special.entr(layer.weights.double()).sum(dim=-1).mean(dim=(1, 2, 3)) / math.log(2)


def _distance(layer: AttentionMap) -> Tensor:
    """Mean attention distance of each image, [b], in pixels."""
    weights = layer.weights[..., layer.prefix :, layer.prefix :].double()
    axes = torch.arange(layer.rows), torch.arange(layer.columns)
    centres = torch.cartesian_prod(*axes).to(weights) * layer.stride
    reach = torch.einsum("bwhqk,qk->bwhq", weights, torch.cdist(centres, centres)) / weights.sum(dim=-1)
    return reach.nanmean(dim=(1, 2, 3))


class Metric(Accumulator):
    """Attention entropy and distance, streamed: a batch is what AttentionReader returns.

    A network without any self-attention fills no column.
    """

    def update(self, batch: Sequence[Sequence[AttentionMap]]) -> None:
        """Take the maps of every block for one batch of images."""
        if any(batch):
            columns = {"attention_entropy": attention_entropy(batch), "attention_distance": attention_distance(batch)}
            self.images.add([{name: values[block] for name, values in columns.items()} for block in range(len(batch))])
