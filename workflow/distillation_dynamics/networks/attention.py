"""Self-attention as it is read from a network of timm: the maps of every block.

Blocks without self-attention, as those of a ResNet, have no maps, and neither have those whose keys are no patches of
theirs: channels (XCiT), pooled or rearranged patches (PVT, MViTv2, MaxViT). The class-attention layers of CaiT come
after its blocks and are left out.
"""

import copy
import io
import warnings
from contextlib import redirect_stderr
from typing import Any, NamedTuple

import torch
from timm.layers import to_2tuple
from timm.utils import AttentionExtract
from torch import Tensor, nn

from ..errors import say_once
from ..outputs import AttentionMap, Shape
from .blocks import block_names, block_shapes, block_strides

# Layers that attend among channels (XCiT, DaViT), of which there may happen to be as many as patches.
AMONG_CHANNELS = ("XCA", "ChannelAttention", "ChannelAttentionV2")


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
        layer: Any
        for layer in self.network.modules():
            if hasattr(layer, "fused_attn"):
                layer.fused_attn = False
        self.blocks = block_names(network)
        self.strides = block_strides(network)
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
        weights = self.extract(images) if self.extract and any(layers) else {}
        return [
            [
                AttentionMap(weights[layer.name].unflatten(0, (len(images), -1)), *layer[1:], stride)
                for layer in of_block
            ]
            for of_block, stride in zip(layers, self.strides, strict=True)
        ]

    def _look(self, image: Tensor) -> list[list[Layer]]:
        """Find what can be read, on one image [1, C, H, W]; say what cannot."""
        weights: dict[str, Tensor] = {}
        unread = "no softmax of self-attention is seen there"
        try:
            # Code that was traced prints its own traceback.
            with redirect_stderr(io.StringIO()):
                if self.extract is None:
                    self.extract = _traced(self.network)
                weights = self.extract(image) if self.extract else {}
        except Exception as error:
            unread = f"the network cannot be traced ({type(error).__name__})"
        shapes = block_shapes(self.network, image)
        layers: list[list[Layer]] = []
        for block, shape in zip(self.blocks, shapes, strict=True):
            own = {name: value for name, value in weights.items() if name.startswith(f"{block}.")}
            found = [self._layer(name, value, shape) for name, value in own.items()]
            readable = [layer for layer in found if layer is not None]
            layers.append(readable if len(readable) == len(found) else [])
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
        among_patches = prefix in prefixes and type(module).__name__ not in AMONG_CHANNELS
        return Layer(name, rows, columns, prefix) if among_patches else None


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
