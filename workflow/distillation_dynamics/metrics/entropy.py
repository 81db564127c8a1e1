"""Shannon entropy of the channel values of each token, from histograms over a fixed range.

In: features, L blocks [B, C, H, W]. Out: float64, in bits. Source: Tian, Xu, Li, Distillation Dynamics, AAAI 2026, who
take one range, the smallest and largest value of all blocks and images of a model. Levels then
follow log2(activation scale / bin width), and one outlier lowers every block: compare levels between models and
checkpoints only under `entropy_fixed_range`, shapes of the distribution only by `entropy_standardised`.
"""

import math
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..files import Column, read_json, write_json
from ..outputs import Outputs
from ..spec.measure import STANDARDISED_RANGE
from .accumulator import Accumulator, Measured
from .blocks import by_image, extremes, image_chunks

REQUIRES = ("features",)
OPTIONS = ("entropy_bins",)
FILES = ("range.json",)
REFERENCE = "range.json"
IMAGE_COLUMNS = {
    "entropy": Column(
        "bits", "mean token entropy; bins span one range, that of all blocks and images of the checkpoint"
    ),
    "entropy_fixed_range": Column("bits", "mean token entropy; bins span the reference network's range"),
    "clipped_share": Column("", "share of the values outside the reference network's range, counted in the end bins"),
    "entropy_standardised": Column(
        "bits", "mean entropy of tokens of mean 0 and standard deviation 1; bins span -5 to 5"
    ),
}
BLOCK_COLUMNS = {
    "range_low": Column("activation units", "lower end of the entropy's range, one for all blocks of a checkpoint"),
    "range_high": Column("activation units", "upper end of the entropy's range"),
    "fixed_low": Column("activation units", "lower end of the reference network's range, of entropy_fixed_range"),
    "fixed_high": Column("activation units", "upper end of it"),
    "entropy_bins": Column("", "equal bins of each entropy"),
}
# A chunk and what is computed from it stay in a processor's cache.
CHUNK_VALUES = 2**18
# Histograms at a time on a GPU.
GPU_CHUNK_VALUES = 2**23
EPSILON = 2.0**-23


class Ranged(Accumulator):
    """A metric whose bins span one range: pass one finds that of all blocks and images, pass two measures."""

    passes = 2

    def begin(self) -> None:
        """Begin with an empty range."""
        self.low, self.high = math.inf, -math.inf

    def update(self, outputs: Outputs) -> None:
        """Take the features of all blocks for a batch of images."""
        if self.pass_number == 2:
            super().update(outputs)
            return
        for index, block in outputs.features.items():
            low, high = extremes(block, index)
            self.low, self.high = min(self.low, low), max(self.high, high)

    def entropy(self, block: Tensor, index: int, low: float, high: float, standardise: bool = False) -> np.ndarray:
        """Return the mean entropy of the tokens of every image, [b], in bits of the range; see `token_entropy`."""
        edges = bin_edges(self.settings.entropy_bins, low, high)
        return token_entropy(block, index, edges, standardise).mean(axis=(1, 2))


class Metric(Ranged):
    """Entropy in the network's own range, in the reference network's, and standardised."""

    def of_block(self, block: Tensor, index: int) -> dict[str, np.ndarray]:
        """Return the columns of a batch's images."""
        own, fixed = (self.low, self.high), self._fixed
        low, high = fixed
        entropy = self.entropy(block, index, *own)
        return {
            "entropy": entropy,
            "entropy_fixed_range": entropy if fixed == own else self.entropy(block, index, *fixed),
            "clipped_share": by_image(
                block, index, lambda images: ((images < low) | (images > high)).double().mean(dim=(1, 2, 3))
            ),
            "entropy_standardised": self.entropy(block, index, *STANDARDISED_RANGE, standardise=True),
        }

    @cached_property
    def _fixed(self) -> tuple[float, float]:
        """The range of `entropy_fixed_range`: the reference network's, or that of the network where it is its own."""
        if self.context.reference is None:
            return self.low, self.high
        limits = read_json(self.context.reference)
        return limits["low"], limits["high"]

    def compute(self) -> Measured:
        """Return the columns of IMAGE_COLUMNS and BLOCK_COLUMNS."""
        facts = self.low, self.high, *self._fixed, self.settings.entropy_bins
        images = super().compute()
        blocks = len(images["entropy"])
        return images | {name: [fact] * blocks for name, fact in zip(BLOCK_COLUMNS, facts, strict=True)}

    def save(self, folder: Path) -> None:
        """Write the range of all blocks and images as `range.json`: {"low", "high"} in activation units."""
        write_json(folder / "range.json", {"low": self.low, "high": self.high})


def bin_edges(bins: int, low: float, high: float) -> np.ndarray:
    """Return the edges [bins + 1] of equal bins over a range.

    They are those of numpy.histogram (NumPy 2) for float32 data: np.linspace(np.float32(low), np.float32(high),
    bins + 1, dtype=np.float32), half a unit either side where low == high. Only where the range has no distinct float32
    edges (NumPy refuses it) do edges and comparisons in float64 stand in.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        short = _edges(bins, np.float32(low), np.float32(high))
    # Neither where a difference of float32 overflows nor where edges coincide.
    return short if np.isfinite(short).all() and (short[:-1] < short[1:]).all() else _edges(bins, low, high)


def _edges(bins: int, low: float | np.float32, high: float | np.float32) -> np.ndarray:
    """Return edges in the type of the limits, as numpy.histogram takes them."""
    kind = np.result_type(low, high)
    if low == high:
        low, high = low - kind.type(0.5), high + kind.type(0.5)
    return np.linspace(low, high, bins + 1, dtype=kind)


def token_entropy(block: Tensor, index: int, edges: np.ndarray, standardise: bool = False) -> np.ndarray:
    """Entropy of every token of a block [B, C, H, W], [B, H, W], in bits: -sum over bins of p log2 p, p = count / C.

    Bins are half-open, the last is closed; values outside count in the end bins. float64 is rounded to float32 where
    edges are. Where bins are narrower than normal float32 numbers (2^-126), numpy.histogram does not keep to its own
    edges; this does. `standardise`: of tokens brought to mean 0 and standard deviation 1 in float64, so that scale
    cannot move it.
    """
    parts = []
    for chunk_bchw in image_chunks(block, index, GPU_CHUNK_VALUES if block.is_cuda else CHUNK_VALUES):
        images, _, rows, columns = chunk_bchw.shape
        if standardise:
            chunk_bchw = _standardised(chunk_bchw)
        tokens_bcn = chunk_bchw.flatten(2).clip(float(edges[0]), float(edges[-1]))
        bits = _entropy_on_gpu(tokens_bcn, edges) if block.is_cuda else _entropy(tokens_bcn.numpy(), edges)
        parts.append(bits.reshape(images, rows, columns))
    return np.concatenate(parts)


def _standardised(chunk_bchw: Tensor) -> Tensor:
    values = chunk_bchw.double()
    values = values - values.mean(dim=1, keepdim=True)
    deviation = values.square().mean(dim=1, keepdim=True).sqrt()
    return torch.where(deviation > 0, values / deviation, 0).float()


def _entropy(tokens_bcn: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Entropy of every token [b * n]: one count for all tokens, neighbours in memory in different tokens."""
    images, channels, tokens = tokens_bcn.shape
    bins = len(edges) - 1
    total = images * tokens * bins
    # Each token has its own run of bins. The narrower the index, the faster it is counted.
    kind: type[np.integer] = np.int32 if total <= np.iinfo(np.int32).max else np.int64
    index = _bin_indices(tokens_bcn.astype(edges.dtype, copy=False), edges).astype(kind, copy=False)
    index += bins * np.arange(images * tokens, dtype=kind).reshape(images, 1, tokens)
    counts = torch.bincount(torch.from_numpy(index).flatten(), minlength=total).numpy()
    return _bits_of_counts(channels).take(counts, mode="clip").reshape(images * tokens, bins).sum(axis=1)


def _entropy_on_gpu(tokens_bcn: Tensor, edges: np.ndarray) -> np.ndarray:
    """The same by PyTorch: there a search among the edges costs less than the detour around it."""
    images, channels, tokens = tokens_bcn.shape
    bins = len(edges) - 1
    device = tokens_bcn.device
    inner = torch.from_numpy(edges[1:-1]).to(device)
    index = torch.bucketize(tokens_bcn.to(inner.dtype), inner, right=True)
    index += bins * torch.arange(images * tokens, device=device).view(images, 1, tokens)
    counts = torch.bincount(index.flatten(), minlength=images * tokens * bins)
    bits = torch.from_numpy(_bits_of_counts(channels)).to(device)[counts]
    return bits.view(images * tokens, bins).sum(dim=1).cpu().numpy()


def _bits_of_counts(channels: int) -> np.ndarray:
    """-p log2 p of the counts 0..C; an empty bin adds nothing (the limit of p log2 p at 0)."""
    share = np.arange(1, channels + 1) / channels
    return np.concatenate([[0.0], -share * np.log2(share)])


def _bin_indices(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Bin of every value, int32: the number of inner edges not above it, as numpy.searchsorted(side="right") gives it.

    Values lie between the outer edges. A multiplication finds the bin, on either side of what rounding may have moved;
    only values for which that makes a difference are looked up.
    """
    bins, inner = len(edges) - 1, edges[1:-1]
    low, high = float(edges[0]), float(edges[-1])
    width = (high - low) / bins
    # In bins: what rounding of the edges, of the difference and of the product can move a value, twice over and more.
    near = 3 * EPSILON * (max(abs(low), abs(high)) / width + 2 * bins) if 1e-30 < width < 1e30 else np.inf
    if edges.dtype != np.float32 or near > 0.05:
        return np.searchsorted(inner, values, side="right").astype(np.int32)
    place = values - np.float32(low + near * width)
    place *= np.float32(1 / width)
    index = place.astype(np.int32)
    place += np.float32(2 * near)
    doubtful = np.flatnonzero(index != place.astype(np.int32))
    index.ravel()[doubtful] = np.searchsorted(inner, values.ravel()[doubtful], side="right")
    return index
