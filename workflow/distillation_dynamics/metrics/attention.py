"""Self-attention: how spread out it is (entropy) and how far it reaches (mean attention distance).

In: the attention maps of every block, as `attention_maps` reads them from a network of timm. Out: float64, in bits and
pixels, one value a block and image. Blocks without self-attention among their patches have no maps.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from ..files import Column
from ..outputs import AttentionMap, Outputs, check_values
from .accumulator import Accumulator, Measured

REQUIRES = ("attention",)
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
            check_values(layer.weights, f"attention: block {index},")
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
    """Attention entropy and distance, streamed.

    A network without any self-attention fills no column.
    """

    def update(self, outputs: Outputs) -> None:
        """Take the attention maps of every block for a batch of images."""
        maps = list(outputs.attention.values())
        if any(maps):
            columns = {"attention_entropy": attention_entropy(maps), "attention_distance": attention_distance(maps)}
            self.images.add([{name: values[block] for name, values in columns.items()} for block in range(len(maps))])
            keys = [[layer.weights.shape[-1] for layer in block] for block in maps]
            self._uniform = [np.log2(block).mean() if block else np.nan for block in keys]

    def compute(self) -> Measured:
        """Return the columns of IMAGE_COLUMNS and BLOCK_COLUMNS; none of a network without any self-attention."""
        columns = super().compute()
        return columns and columns | {"attention_entropy_uniform": self._uniform}
