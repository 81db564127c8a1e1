"""Self-attention: how spread out it is (entropy) and how far it reaches (mean attention distance).

In: the attention maps of every block, as `AttentionReader` or `attention_maps` reads them from a network of timm. Out:
float64, in bits and pixels, one value a block and image. Blocks without self-attention, as those of a ResNet, have no
maps. The class-attention layers of CaiT come after its blocks and are left out.
"""

import copy
import math
import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from timm.utils import AttentionExtract
from torch import Tensor, nn

from .. import models
from ..errors import StudyError
from ..files import Column
from ..objective import Shape
from .accumulator import Accumulator

NEEDS = "attention"
IMAGE_COLUMNS = {
    "attention_entropy": Column(
        "bits", "mean entropy of the attention of a query over all keys; NaN for a block without self-attention"
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


class AttentionReader:
    """Reads attention maps from a copy of `network`, traced once; the network itself stays as it is.

    The copy holds the weights that the network has now, on the device where it is now. The maps of a batch take
    4 x L x B x heads x N^2 bytes in float32: 1.9 GB for 64 images of 224 pixels in CaiT-S24.
    """

    def __init__(self, network: nn.Module):
        self.network = copy.deepcopy(network).requires_grad_(False).eval()
        # timm chooses fused attention, which never holds its weights, when a layer is built.
        for module in self.network.modules():
            if hasattr(module, "fused_attn"):
                module.fused_attn = False
        self.blocks = models.block_names(network)
        self.strides = dict(zip(self.blocks, models.block_strides(network), strict=True))
        # By size of the images: a forward pass tells.
        self.shapes: dict[torch.Size, list[Shape]] = {}
        self.extract = _traced(self.network)

    @torch.no_grad()
    def __call__(self, images: Tensor) -> list[list[AttentionMap]]:
        """Return, for every block, the maps of its self-attention layers for images [B, C, H, W].

        A Transformer's block has one, a stage of Swin as many as it has layers, a block without self-attention none.
        They are the softmax itself, in CaiT before the second mixing of heads. Raises StudyError for attention that is
        not among the patches of a block.
        """
        if self.extract is None:
            return [[] for _ in self.blocks]
        if (size := images.shape[1:]) not in self.shapes:
            self.shapes[size] = models.block_shapes(self.network, images[:1])
        weights = self.extract(images)
        return [
            [
                self._map(name, value, len(images), block, shape)
                for name, value in weights.items()
                if name.startswith(f"{block}.")
            ]
            for block, shape in zip(self.blocks, self.shapes[size], strict=True)
        ]

    def _map(self, name: str, weights: Tensor, images: int, block: str, shape: Shape) -> AttentionMap:
        layer = self.network.get_submodule(name.removesuffix(".softmax"))
        rows, columns = getattr(layer, "window_size", None) or (shape.rows, shape.columns)
        prefix = weights.shape[-1] - rows * columns
        if weights.ndim != 4 or weights.shape[-2] != weights.shape[-1] or prefix < 0:
            raise StudyError(
                f"features.metrics: attention: {name} gives weights {list(weights.shape)}, which are not among "
                f"{rows} x {columns} patches; leave attention out for this model"
            )
        return AttentionMap(weights.unflatten(0, (images, -1)), rows, columns, prefix, self.strides[block])


def _traced(network: nn.Module) -> AttentionExtract | None:
    """Trace `network` for its attention weights; None where it has none."""
    with warnings.catch_warnings():
        # Evaluation is all that is traced for, so that nodes of training mode do not matter.
        warnings.filterwarnings("ignore", "NOTE: The nodes obtained by tracing the model in eval mode", UserWarning)
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
    with their padding. Without any map the number of images is unknown, and B is 0. Raises ValueError for NaN or
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
                raise ValueError(f"attention: block {index}, image {image} holds NaN or infinity")
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
