"""Shannon entropy of the channel values of each token, from histograms over a fixed range.

In: features [L, B, C, H, W] or L blocks [B, C, H, W]. Out: float64, in bits. Source: Tian, Xu, Li, Distillation
Dynamics, AAAI 2026, who take one range, the smallest and largest value of all blocks and images of a model. Levels then
follow log2(activation scale / bin width), and one outlier lowers every block: compare levels between models and
checkpoints only under `entropy_fixed_range`, shapes of the distribution only by `entropy_standardised`.
"""

import math
from pathlib import Path

import numpy as np
import torch

from ..files import Column, read_json, write_json
from ..outputs import Outputs
from ..spec.measure import STANDARDISED_RANGE, Settings
from .accumulator import DEFAULTS, Accumulator, Context, Measured
from .blocks import Block, Features, extremes, image_chunks, iterate_blocks, stacked

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


def value_range(features: Features) -> tuple[float, float]:
    """Smallest and largest value of all features, (low, high), in activation units.

    Raises ValueError for a wrong shape, NaN or infinity.
    """
    found = []
    for index, block in iterate_blocks(features):
        first = 0
        for chunk in image_chunks(block, index, finite=True):
            found.append(extremes(chunk, index, first))
            first += len(chunk)
    return min(low for low, _ in found), max(high for _, high in found)


def token_entropy(
    features: Features, bins: int = 100, value_range: tuple[float, float] | None = None
) -> np.ndarray | list[np.ndarray]:
    """Entropy of every token, [L, B, H, W], in bits: -sum over bins of p log2 p, p = count / C.

    A token's C values are counted in `bins` equal bins over `value_range`, by default the smallest and
    largest of all features given. The edges are those of numpy.histogram (NumPy 2) for float32 data:
    np.linspace(np.float32(low), np.float32(high), bins + 1, dtype=np.float32), half a unit either side where
    low == high. Bins are half-open, the last is closed; values outside an explicit range count in the end bins.
    Half precision is widened to float32, float64 is rounded to float32. Only where the range has no distinct
    float32 edges (NumPy refuses it) do edges and comparisons in float64 stand in. Constant features have 0 bits.
    Blocks of different grids give a list of [B, H, W]. Where bins are narrower than normal float32 numbers (2^-126),
    numpy.histogram does not keep to its own edges; this does.

    Raises ValueError for a wrong shape, NaN or infinity, bins < 1, or a range that is not finite or not in
    order.
    """
    return stacked(_block_entropies(features, bins, value_range))


def layer_entropy(features: Features, bins: int = 100, value_range: tuple[float, float] | None = None) -> np.ndarray:
    """Mean entropy of the tokens of each block, [L], in bits: E[l] = mean over b, h, w of token_entropy.

    Parameters and errors are those of token_entropy.
    """
    return np.array([bits.mean() for bits in _block_entropies(features, bins, value_range)])


def standardised_entropy(features: Features, bins: int = 100) -> np.ndarray | list[np.ndarray]:
    """Entropy of every token after its C values are brought to mean 0 and standard deviation 1, [L, B, H, W], in bits.

    The scale of the activations cannot move it. `bins` equal bins span -5 to 5, values beyond count in the end bins;
    the standardisation is done in float64 and rounded to float32. A constant token has 0 bits. Raises ValueError as
    token_entropy does.
    """
    edges = bin_edges(bins, *STANDARDISED_RANGE)
    return stacked([_block_entropy(block, index, edges, standardise=True) for index, block in iterate_blocks(features)])


class Metric(Accumulator):
    """Streaming form: pass one finds the range of all blocks and images, pass two counts."""

    passes = 2

    def __init__(self, settings: Settings = DEFAULTS, context: Context | None = None):
        super().__init__(settings, context)
        self.low, self.high = math.inf, -math.inf
        self._reference: tuple[float, float] | None = None
        if self.context.reference is not None:
            limits = read_json(self.context.reference)
            self._reference = limits["low"], limits["high"]

    def update(self, outputs: Outputs) -> None:
        """Take the features of all blocks for a batch of images."""
        blocks = list(outputs.features.values())
        if self.pass_number == 1:
            low, high = value_range(blocks)
            self.low, self.high = min(self.low, low), max(self.high, high)
            return
        self.images.add([self._measured(block, index) for index, block in iterate_blocks(blocks)])
        self._blocks = len(blocks)

    @property
    def _fixed(self) -> tuple[float, float]:
        """The range of `entropy_fixed_range`: the reference network's, or that of the network where it is its own."""
        return self._reference or (self.low, self.high)

    def _measured(self, block: Block, index: int) -> dict[str, np.ndarray]:
        bins, own = self.settings.entropy_bins, (self.low, self.high)
        entropy, fixed = image_entropy(block, index, bin_edges(bins, *own)), self._fixed
        return {
            "entropy": entropy,
            "entropy_fixed_range": entropy if fixed == own else image_entropy(block, index, bin_edges(bins, *fixed)),
            "clipped_share": _clipped_share(block, index, *fixed),
            "entropy_standardised": image_entropy(block, index, bin_edges(bins, *STANDARDISED_RANGE), True),
        }

    def compute(self) -> Measured:
        """Return the columns of IMAGE_COLUMNS and BLOCK_COLUMNS."""
        facts = self.low, self.high, *self._fixed, self.settings.entropy_bins
        return super().compute() | {
            name: [fact] * self._blocks for name, fact in zip(BLOCK_COLUMNS, facts, strict=True)
        }

    def save(self, folder: Path) -> None:
        """Write the range of all blocks and images as `range.json`: {"low", "high"} in activation units."""
        write_json(folder / "range.json", {"low": self.low, "high": self.high})


def _block_entropies(features: Features, bins: int, limits: tuple[float, float] | None) -> list[np.ndarray]:
    if bins < 1:
        raise ValueError(f"bins must be at least 1, got {bins}")
    edges = bin_edges(bins, *(value_range(features) if limits is None else limits))
    inside = limits is None
    return [_block_entropy(block, index, edges, inside=inside) for index, block in iterate_blocks(features)]


def image_entropy(block: Block, index: int, edges: np.ndarray, standardise: bool = False) -> np.ndarray:
    """Mean entropy of the tokens of every image of one block [B, C, H, W], [B], in bits, of bins with these edges.

    Values outside count in the end bins; `standardise`: of tokens of mean 0 and standard deviation 1.
    """
    return _block_entropy(block, index, edges, standardise).mean(axis=(1, 2))


def _clipped_share(block: Block, index: int, low: float, high: float) -> np.ndarray:
    shares = [
        ((chunk < low) | (chunk > high)).double().mean(dim=(1, 2, 3)).cpu().numpy()
        for chunk in image_chunks(block, index)
    ]
    return np.concatenate(shares)


def bin_edges(bins: int, low: float, high: float) -> np.ndarray:
    """Return the edges [bins + 1] of a histogram as token_entropy describes them, float32 or float64.

    Raises ValueError for a range that is not finite or not in order.
    """
    low, high = float(low), float(high)
    if not math.isfinite(high - low) or low > high:
        raise ValueError(f"value_range must be two finite numbers, low first, got ({low}, {high})")
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


def _block_entropy(
    block: Block, index: int, edges: np.ndarray, standardise: bool = False, inside: bool = False
) -> np.ndarray:
    """Entropy of every token of one block, [B, H, W]; `inside`: its values are known to be finite and in the range."""
    on_gpu = isinstance(block, torch.Tensor) and block.is_cuda
    parts = []
    for chunk_bchw in image_chunks(block, index, GPU_CHUNK_VALUES if on_gpu else CHUNK_VALUES, finite=inside):
        images, _, rows, columns = chunk_bchw.shape
        if standardise:
            chunk_bchw = _standardised(chunk_bchw)
        tokens_bcn = chunk_bchw.flatten(2)
        if not inside:
            tokens_bcn = tokens_bcn.clip(float(edges[0]), float(edges[-1]))
        bits = _entropy_on_gpu(tokens_bcn, edges) if on_gpu else _entropy(tokens_bcn.numpy(), edges)
        parts.append(bits.reshape(images, rows, columns))
    return np.concatenate(parts)


def _standardised(chunk_bchw: torch.Tensor) -> torch.Tensor:
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


def _entropy_on_gpu(tokens_bcn: torch.Tensor, edges: np.ndarray) -> np.ndarray:
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
