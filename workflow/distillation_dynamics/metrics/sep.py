"""Spectral energy pattern (SEP): share of a token's energy in the lowest channel frequencies.

In: features, L blocks [B, C, H, W]. Out: cumulative shares by frequency bin and the bandwidths read off them, float64,
without unit. Source: From Per-Image Low-Rank to Encoding Mismatch (arXiv 2511.15572).

The published SEP cumulates over the bins 0..C-1. Features are real, so bin C - k repeats bin k and the curve is
point-symmetric by construction: the bandwidth that holds a share a is close to a for every token (Gaussian, one-hot,
rank 1) and hardly distinguishes them. `sep_folded` adds the two bins of a frequency, k = 0..C/2. Channel order being
arbitrary, the folded form too has meaning only against its null under permuted channels.

The mean over tokens of the energy shares needs only M, the sum of u u^T over the unit tokens u = x / |x|: one [C, C]
matrix a block serves all bins and all permutations (`_gram`). `_global` is the one test of the folded curve.
"""

import numpy as np
import torch
from torch import Tensor

from ..files import Column
from ..outputs import Outputs
from ..spec.measure import Settings
from ._global import around, bin_columns, block_columns, block_values, global_test
from ._gram import energies, lags
from ._moments import channels_by_tokens, gram
from .accumulator import Accumulator, Measured, by_column
from .blocks import extremes
from .permutation import band, permutations

REQUIRES = ("features",)
OPTIONS = ("permutations", "seed")
LEVELS = (0.80, 0.90, 0.95, 0.99)
TOLERANCE = 1e-12
_NULL = {"null": "mean over channel permutations", "null_low": "2.5th percentile", "null_high": "97.5th percentile"}

BIN_COLUMNS = {
    "sep": Column("", "published SEP: share of the tokens' energy in the bins 0..k of C, both halves; point-symmetric"),
    "sep_folded": Column("", "share of the tokens' energy in the frequencies 0..k of C // 2 + 1; NaN beyond"),
    **{f"sep_folded_{name}": Column("", f"sep_folded of permuted channels: {text}") for name, text in _NULL.items()},
    **bin_columns("sep_folded", "", "sep_folded of permuted channels"),
}
BLOCK_COLUMNS = {
    name: column
    for level in LEVELS
    for percent in [f"{100 * level:.0f}"]
    for name, column in {
        f"bandwidth_{percent}": Column("", f"share of the bins at which sep reaches {percent} %"),
        f"bandwidth_folded_{percent}": Column("", f"share of the frequencies at which sep_folded reaches {percent} %"),
        **{
            f"bandwidth_folded_{percent}_{name}": Column("", f"bandwidth_folded_{percent} of permuted channels: {text}")
            for name, text in _NULL.items()
        },
    }.items()
} | block_columns("sep_folded", "sep_folded")


def bandwidth(cumulative: np.ndarray, level: float) -> np.ndarray:
    """Return the share of the K bins needed to hold `level` of the energy, [...], from cumulative shares [..., K].

    The smallest number of leading bins whose cumulative share is at least (1 - 1e-12) level, divided by K; NaN if the
    shares are NaN.
    """
    cumulative = np.asarray(cumulative)
    bins = 1 + np.sum(cumulative < (1 - TOLERANCE) * level, axis=-1)
    return np.where(np.isnan(cumulative[..., -1]), np.nan, bins / cumulative.shape[-1])


def gram_sep_folded(gram: np.ndarray) -> np.ndarray:
    """Folded SEP [C // 2 + 1] of tokens with the given Gram matrix [C, C], each token weighted by its energy.

    With the Gram matrix of unit tokens all weights are equal. NaN for a zero matrix.
    """
    return np.cumsum(_folded_shares(gram))


def _folded_shares(gram: np.ndarray) -> np.ndarray:
    """Share of the energy in every frequency, [C // 2 + 1], from the Gram matrix [C, C] of the tokens."""
    return _shares(lags(gram, np.arange(len(gram))[None])[0], len(gram))


def _shares(sums: np.ndarray, channels: int) -> np.ndarray:
    """Share of the energy in every frequency, from sums over diagonals of the Gram matrix, both [..., C // 2 + 1]."""
    with np.errstate(invalid="ignore"):
        shares = energies(sums, channels) / (channels * sums[..., :1])
    # Bin 0, and bin C / 2 for even C, have no mirror image.
    shares[..., 1 : (channels + 1) // 2] *= 2
    return shares


def _two_sided(gram: np.ndarray) -> np.ndarray:
    """Published SEP [C] of tokens with the given Gram matrix [C, C]."""
    shares, twins = _folded_shares(gram), slice(1, (len(gram) + 1) // 2)
    shares[twins] /= 2
    return np.cumsum(np.concatenate([shares, shares[twins][::-1]]))


def _permuted(gram: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Return the folded SEP under `count` permutations of the channels, [count, C // 2 + 1]; shared by blocks of one
    width.
    """
    sums = lags(gram, permutations(len(gram), count, seed))
    return np.cumsum(_shares(sums, len(gram)), axis=-1)


class Metric(Accumulator):
    """SEP of every block, published and folded, with the null of the folded form; zero tokens are left out."""

    def begin(self) -> None:
        """Begin with no sums."""
        self._grams: dict[int, Tensor] = {}

    def update(self, outputs: Outputs) -> None:
        """Take the features of all blocks for a batch of images."""
        for index, block in outputs.features.items():
            self._grams[index] = self._grams.get(index, 0) + _unit_gram(block, index)

    def compute(self) -> Measured:
        """Return the columns of BIN_COLUMNS and BLOCK_COLUMNS; NaN of a block of zeros alone."""
        return by_column([_columns(gram.cpu().numpy(), self.settings) for gram in self._grams.values()])


def _unit_gram(block: Tensor, index: int) -> Tensor:
    """Return the sum over a block's tokens of u u^T, u = x / |x|, [C, C]; zero tokens add nothing."""
    extremes(block, index)
    tokens_cn = channels_by_tokens(block)
    norms = torch.linalg.vector_norm(tokens_cn, dim=0)
    tokens_cn /= torch.where(norms > 0, norms, 1)
    return gram(tokens_cn)


def _columns(gram: np.ndarray, settings: Settings) -> dict[str, np.ndarray | float]:
    published, folded = _two_sided(gram), gram_sep_folded(gram)
    permuted = _permuted(gram, settings.permutations, settings.seed)
    found = global_test(folded, permuted)
    curves = {"sep": published, "sep_folded": folded, **_banded("sep_folded", permuted)}
    limits = around(permuted.mean(axis=0), permuted.std(axis=0, ddof=1), found.critical)
    curves |= dict(zip(bin_columns("sep_folded", "", ""), limits, strict=True))
    columns: dict[str, np.ndarray | float] = {
        name: np.pad(curve, (0, len(gram) - len(curve)), constant_values=np.nan) for name, curve in curves.items()
    }
    columns |= block_values("sep_folded", found)
    for level in LEVELS:
        percent = f"{100 * level:.0f}"
        columns[f"bandwidth_{percent}"] = float(bandwidth(published, level))
        columns[f"bandwidth_folded_{percent}"] = float(bandwidth(folded, level))
        columns |= _banded(f"bandwidth_folded_{percent}", bandwidth(permuted, level))
    return columns


def _banded(name: str, values: np.ndarray) -> dict[str, np.ndarray]:
    return {f"{name}_{key}": value for key, value in zip(_NULL, band(values), strict=True)}
