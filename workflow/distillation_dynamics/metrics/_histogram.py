"""Histogram entropy of many tokens at once, with the bins of numpy.histogram."""

import numpy as np
import torch
from torch import Tensor

from .blocks import extremes, image_chunks

# A chunk and its intermediates fit a processor's cache.
CHUNK_VALUES = 2**18
# Histograms at a time on a GPU.
GPU_CHUNK_VALUES = 2**23
EPSILON = 2.0**-23


def bin_width(bins: int, low: float, high: float) -> float:
    """Return the width of equal bins over a range; low == high is widened by half a unit on either side."""
    return (high - low) / bins if high > low else 1 / bins


def bin_edges(bins: int, low: float, high: float) -> np.ndarray:
    """Return the edges [bins + 1] of equal bins over a range.

    They are those of numpy.histogram (NumPy 2) for float32 data: np.linspace(np.float32(low), np.float32(high), bins +
    1, dtype=np.float32), widened by half a unit on either side for low == high. If the range has no distinct float32
    edges (NumPy refuses it), edges and comparisons are float64.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        short = _edges(bins, np.float32(low), np.float32(high))
    # Neither if a float32 difference overflows nor if edges coincide.
    return short if np.isfinite(short).all() and (short[:-1] < short[1:]).all() else _edges(bins, low, high)


def _edges(bins: int, low: float | np.float32, high: float | np.float32) -> np.ndarray:
    """Return edges in the type of the limits, as numpy.histogram computes them."""
    kind = np.result_type(low, high)
    if low == high:
        low, high = low - kind.type(0.5), high + kind.type(0.5)
    return np.linspace(low, high, bins + 1, dtype=kind)


def token_entropy(block: Tensor, index: int, edges: np.ndarray, standardise: bool = False) -> np.ndarray:
    """Return the entropy of every token of a block [B, C, H, W], [B, H, W], in bits.

    Entropy is -sum over bins of p log2 p with p = count / C. Bins are half-open, the last is closed; values outside
    count in the end bins. float64 is rounded to float32 where edges are. Where bins are narrower than normal float32
    numbers (2^-126), numpy.histogram violates its own edges; this function does not. `standardise`: tokens are scaled
    to mean 0 and standard deviation 1 in float64, so that scale has no effect.
    """
    parts, inside = [], _inside(block, index, edges)
    for chunk_bchw in image_chunks(block, index, GPU_CHUNK_VALUES if block.is_cuda else CHUNK_VALUES):
        values = standardised(chunk_bchw)[0] if standardise else chunk_bchw
        parts.append(_counted(_indices(values, edges, inside and not standardise), len(edges) - 1))
    return np.concatenate(parts)


def token_entropies(
    block: Tensor, index: int, edges: np.ndarray, standardise: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return the entropy, that in bins shifted by half a bin, and (`standardise`) deviations; each [B, H, W].

    Shifted bins run from one bin's middle to the next, with half a bin at either end. Deviations are over each token's
    channels.
    """
    halves = np.empty(2 * len(edges) - 1, dtype=edges.dtype)
    halves[::2], halves[1::2] = edges, edges[:-1] + np.diff(edges) / 2
    parts, deviations, inside = [], [], _inside(block, index, edges)
    for values in image_chunks(block, index, GPU_CHUNK_VALUES if block.is_cuda else CHUNK_VALUES):
        if standardise:
            values, deviation = standardised(values)
            deviations.append(deviation[:, 0].cpu().numpy())
        half = _indices(values, halves, inside and not standardise)
        parts.append([_counted((half + shift) >> 1, len(edges) - 1 + shift) for shift in (0, 1)])
    as_is, shifted = (np.concatenate(one) for one in zip(*parts, strict=True))
    return as_is, shifted, np.concatenate(deviations) if standardise else None


def standardised(chunk_bchw: Tensor) -> tuple[Tensor, Tensor]:
    """Return tokens with mean 0 and deviation 1, float32 (constant tokens: 0), and their deviations, float64."""
    values = chunk_bchw.double()
    values = values - values.mean(dim=1, keepdim=True)
    deviation = values.square().mean(dim=1, keepdim=True).sqrt()
    return torch.where(deviation > 0, values / deviation, 0).float(), deviation


def _inside(block: Tensor, index: int, edges: np.ndarray) -> bool:
    """Return whether all values of a block lie between the outer edges."""
    low, high = extremes(block, index)
    return float(edges[0]) <= low and high <= float(edges[-1])


def _indices(chunk_bchw: Tensor, edges: np.ndarray, inside: bool) -> Tensor:
    """Return the bin of every value, [b, C, H, W]; those outside are in the end bins, `inside`: there are none."""
    values = chunk_bchw if inside else chunk_bchw.clip(float(edges[0]), float(edges[-1]))
    if not values.is_cuda:
        return torch.from_numpy(_bin_indices(values.numpy().astype(edges.dtype, copy=False), edges))
    return _searched(values, edges)


def _searched(values: Tensor, edges: np.ndarray) -> Tensor:
    """The same with PyTorch: on a GPU a binary search is faster than the arithmetic of the other way."""
    inner = torch.from_numpy(edges[1:-1]).to(values.device)
    return torch.bucketize(values.to(inner.dtype), inner, right=True)


def _counted(index_bchw: Tensor, bins: int) -> np.ndarray:
    """Return the entropy of every token, [b, H, W], from a single count for all tokens; neighbours in memory belong to
    different tokens.
    """
    images, channels, rows, columns = index_bchw.shape
    total = images * rows * columns * bins
    # Each token has its own range of bins. Narrower indices are counted faster.
    kind = torch.int32 if total <= np.iinfo(np.int32).max else torch.int64
    runs = bins * torch.arange(images * rows * columns, dtype=kind, device=index_bchw.device)
    index = index_bchw.to(kind).add_(runs.view(images, 1, rows, columns))
    counts = torch.bincount(index.flatten(), minlength=total)
    bits = _bits_on_gpu(counts, channels, bins) if counts.is_cuda else _bits(counts.numpy(), channels, bins)
    return bits.reshape(images, rows, columns)


def _bits(counts: np.ndarray, channels: int, bins: int) -> np.ndarray:
    return _bits_of_counts(channels).take(counts, mode="clip").reshape(-1, bins).sum(axis=1)


def _bits_on_gpu(counts: Tensor, channels: int, bins: int) -> np.ndarray:
    found = torch.from_numpy(_bits_of_counts(channels)).to(counts.device)[counts]
    return found.view(-1, bins).sum(dim=1).cpu().numpy()


def _bits_of_counts(channels: int) -> np.ndarray:
    """-p log2 p of the counts 0..C; an empty bin adds nothing (the limit of p log2 p at 0)."""
    share = np.arange(1, channels + 1) / channels
    return np.concatenate([[0.0], -share * np.log2(share)])


def _bin_indices(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the bin of every value, int32: the number of inner edges not above it, as
    numpy.searchsorted(side="right").

    Values lie between the outer edges. A multiplication finds the bin within the bounds of rounding; only ambiguous
    values are looked up.
    """
    bins, inner = len(edges) - 1, edges[1:-1]
    low, high = float(edges[0]), float(edges[-1])
    width = (high - low) / bins
    # In bins: more than twice the possible rounding error of edges, difference and product.
    near = 3 * EPSILON * (max(abs(low), abs(high)) / width + 2 * bins) if 1e-30 < width < 1e30 else np.inf
    if edges.dtype != np.float32 or near > 0.05:
        return np.searchsorted(inner, values, side="right").astype(np.int32)
    place = values - np.float32(low + near * width)
    place *= np.float32(1 / width)
    index = place.astype(np.int32)
    place += np.float32(2 * near)
    doubtful = np.flatnonzero(index != place.astype(np.int32))
    index.flat[doubtful] = np.searchsorted(inner, values.ravel()[doubtful], side="right")
    return index
