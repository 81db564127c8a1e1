"""Spread (entropy) and reach (mean attention distance) of self-attention.

In: the attention maps of every block, layer by layer as a forward pass computes them; none is kept. Out: float64, in
bits and pixels, one value a block and image. Blocks without self-attention among their patches have no maps.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from ..files import Column
from ..outputs import AttentionMap, Outputs, check_values
from .accumulator import Accumulator, Measured

REQUIRES = ("attention",)
# A chunk and its intermediates fit a processor's cache.
CHUNK_VALUES = 2**18
IMAGE_COLUMNS = {
    "attention_entropy": Column(
        "bits",
        "mean entropy of the attention of a query over all keys; NaN for a block without attention among its patches",
    ),
    "attention_distance": Column(
        "pixels", "mean distance between a patch and the patches it attends to, weighted by attention; NaN as above"
    ),
}
BLOCK_COLUMNS = {
    "attention_entropy_uniform": Column(
        "bits", "log2 of the keys of a query, class tokens among them, mean over layers: attention without preference"
    ),
}


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
    centres of the patches; the mean is over patch queries, heads, windows and layers of the block. Queries with all
    attention on class tokens have no distance and are left out. Blocks without maps are NaN; windows, unknown B and
    errors as in attention_entropy (distances are those within the window).

    Source: Dosovitskiy et al., An Image is Worth 16x16 Words, ICLR 2021 (section 4.5); Raghu et al., Do Vision
    Transformers See Like Convolutional Neural Networks?, NeurIPS 2021 (section 4).
    """
    return _over_blocks(maps, _distance)


def _over_blocks(maps: Sequence[Sequence[AttentionMap]], measure: Callable[[AttentionMap], Tensor]) -> np.ndarray:
    images = next((len(layer.weights) for block in maps for layer in block), 0)
    rows = np.full((len(maps), images), np.nan)
    for index, block in enumerate(maps):
        for layer in block:
            check_values(layer.weights, f"attention: block {index},")
        if block:
            rows[index] = torch.stack([_by_image(layer, measure) for layer in block]).mean(dim=0).cpu().numpy()
    return rows


def _by_image(layer: AttentionMap, measure: Callable[[AttentionMap], Tensor]) -> Tensor:
    """Return `measure` for all images of a layer, [b], a few at a time."""
    images = max(1, CHUNK_VALUES // math.prod(layer.weights.shape[1:]))
    return torch.cat([measure(layer._replace(weights=weights)) for weights in layer.weights.split(images)])


def _entropy(layer: AttentionMap) -> Tensor:
    """Return the mean entropy of each image, [b], in bits; logarithms are float32 for float32 weights, sums are not."""
    weights = layer.weights if layer.weights.dtype == torch.float32 else layer.weights.double()
    # -p log p of 0 is 0.
    nats = weights.clamp_min(torch.finfo(weights.dtype).tiny).log_().mul_(weights)
    return -nats.sum(dim=-1, dtype=torch.float64).mean(dim=(1, 2, 3)) / math.log(2)


def _distance(layer: AttentionMap) -> Tensor:
    """Return the mean attention distance of each image, [b], in pixels."""
    weights = layer.weights[..., layer.prefix :, layer.prefix :].double()
    axes = torch.arange(layer.rows), torch.arange(layer.columns)
    centres = torch.cartesian_prod(*axes).to(weights) * layer.stride
    reach = (weights * torch.cdist(centres, centres)).sum(dim=-1) / weights.sum(dim=-1)
    return reach.nanmean(dim=(1, 2, 3))


# Columns of an image.
MEASURES = {"attention_entropy": _entropy, "attention_distance": _distance}


class Metric(Accumulator):
    """Attention entropy and distance, streamed.

    A network without any self-attention fills no column.
    """

    def begin(self) -> None:
        """Reset to no images."""
        self._seen = 0
        # By block and layer: values of MEASURES for consecutive images, and keys per query.
        self._taken: dict[tuple[int, int], list[Tensor]] = defaultdict(list)
        self._keys: dict[tuple[int, int], int] = {}

    def attend(self, block: int, number: int, layer: AttentionMap) -> None:
        """Receive the maps of a layer; raise NotFinite for NaN or infinity."""
        taken = self._taken[block, number]
        first = self._seen + sum(part.shape[1] for part in taken)
        check_values(layer.weights, f"attention: block {block},", first)
        taken.append(torch.stack([_by_image(layer, measure) for measure in MEASURES.values()]))
        self._keys[block, number] = layer.weights.shape[-1]

    def update(self, outputs: Outputs) -> None:
        """Note that all maps of a batch have come."""
        if not self._taken:
            return
        layers: dict[int, list[Tensor]] = defaultdict(list)
        for (block, _), parts in sorted(self._taken.items()):
            layers[block].append(torch.cat(parts, dim=1))
        self._taken.clear()
        means = {block: torch.stack(of).mean(dim=0).cpu().numpy() for block, of in layers.items()}
        images = next(iter(means.values())).shape[1]
        empty = np.full((len(MEASURES), images), np.nan)
        self._seen += images
        blocks = range(len(self.context.block_names))
        self.images.add([dict(zip(MEASURES, means.get(block, empty), strict=True)) for block in blocks])

    def compute(self) -> Measured:
        """Return the columns of IMAGE_COLUMNS and BLOCK_COLUMNS; none for a network without self-attention."""
        columns = super().compute()
        blocks = range(len(self.context.block_names))
        keys = [[keys for (of, _), keys in self._keys.items() if of == block] for block in blocks]
        uniform = [np.log2(layers).mean() if layers else np.nan for layers in keys]
        return columns and columns | {"attention_entropy_uniform": uniform}
