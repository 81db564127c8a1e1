"""Shannon entropy of the channel values of each token, from histograms over one range for all features given.

In: features [L, B, C, H, W] or L blocks [B, C, H, W]. Out: float64, in bits. With one range for all blocks
the levels follow log2(activation scale / bin width), so compare them only under the same range. Source:
Tian, Xu, Li, Distillation Dynamics, AAAI 2026.
"""

import math

import numpy as np
import torch

from .blocks import Block, Features, image_chunks, iterate_blocks

HISTOGRAM_BYTES = 100e6


def value_range(features: Features) -> tuple[float, float]:
    """Smallest and largest value of all features, (low, high), in activation units.

    Raises ValueError for a wrong shape, NaN or infinity.
    """
    extremes = [
        torch.stack(chunk.aminmax()).tolist()
        for index, block in iterate_blocks(features)
        for chunk in image_chunks(block, index)
    ]
    return min(low for low, _ in extremes), max(high for _, high in extremes)


def token_entropy(features: Features, bins: int = 100, value_range: tuple[float, float] | None = None) -> np.ndarray:
    """Entropy of every token, [L, B, H, W], in bits: -sum over bins of p log2 p, p = count / C.

    A token's C values are counted in `bins` equal bins over `value_range`, by default the smallest and
    largest of all features given. The edges are those of numpy.histogram_bin_edges for float32 data:
    computed in float64, rounded to float32, half a unit either side where low == high. Bins are half-open,
    the last is closed; values outside an explicit range count in the end bins. Half precision is widened to
    float32, float64 is rounded to float32. Only where the range has no distinct float32 edges (NumPy 2
    refuses it) do the float64 edges and float64 comparisons stand in. Constant features have 0 bits.

    Raises ValueError for a wrong shape, blocks of different B, H or W, NaN or infinity, bins < 1, or a range
    that is not finite or not in order.
    """
    entropy = _block_entropies(features, bins, value_range)
    if len({bits.shape for bits in entropy}) > 1:
        raise ValueError(f"features: blocks differ in [B, H, W]: {[bits.shape for bits in entropy]}")
    return np.stack(entropy)


def layer_entropy(features: Features, bins: int = 100, value_range: tuple[float, float] | None = None) -> np.ndarray:
    """Mean entropy of the tokens of each block, [L], in bits: E[l] = mean over b, h, w of token_entropy.

    Parameters and errors are those of token_entropy.
    """
    return np.array([bits.mean() for bits in _block_entropies(features, bins, value_range)])


def _block_entropies(features: Features, bins: int, limits: tuple[float, float] | None) -> list[np.ndarray]:
    if bins < 1:
        raise ValueError(f"bins must be at least 1, got {bins}")
    edges = _bin_edges(bins, *(value_range(features) if limits is None else limits))
    return [_block_entropy(block, index, edges) for index, block in iterate_blocks(features)]


def _bin_edges(bins: int, low: float, high: float) -> torch.Tensor:
    low, high = float(low), float(high)
    if not math.isfinite(high - low) or low > high:
        raise ValueError(f"value_range must be two finite numbers, low first, got ({low}, {high})")
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, bins + 1)
    with np.errstate(over="ignore"):
        rounded = edges.astype(np.float32)
    return torch.from_numpy(rounded if (rounded[:-1] < rounded[1:]).all() else edges)


def _block_entropy(block: Block, index: int, edges: torch.Tensor) -> np.ndarray:
    """Entropy of every token of one block, [B, H, W]."""
    parts = []
    for chunk_bchw in image_chunks(block, index):
        images, channels, rows, columns = chunk_bchw.shape
        tokens_nc = chunk_bchw.movedim(1, 3).reshape(-1, channels).contiguous()
        # A token holds two int64 arrays of C indices, its int64 counts and their float64 shares.
        size = max(1, int(HISTOGRAM_BYTES / (16 * channels + 16 * len(edges))))
        edges = edges.to(chunk_bchw.device)
        bits = torch.cat([_entropy_bits(part, edges) for part in tokens_nc.split(size)])
        parts.append(bits.view(images, rows, columns).cpu().numpy())
    return np.concatenate(parts)


def _entropy_bits(tokens_nc: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
    (tokens, channels), bins = tokens_nc.shape, len(edges) - 1
    indices = torch.bucketize(tokens_nc.to(edges.dtype), edges[1:-1], right=True)
    # Every token gets its own run of bins, so that one bincount serves them all.
    indices += bins * torch.arange(tokens, device=edges.device)[:, None]
    counts = torch.bincount(indices.flatten(), minlength=tokens * bins).view(tokens, bins)
    share = torch.arange(1, channels + 1, dtype=torch.float64, device=edges.device) / channels
    # An empty bin adds nothing: the limit of p log2 p at 0.
    bits_of_count = torch.cat([share.new_zeros(1), -share * share.log2()])
    return bits_of_count[counts].sum(dim=1)
