"""Reference values that follow from width, scale and number of keys alone: Gaussian tokens and even attention.

In: depth.parquet (channels, RMS, ranges and bins of entropies, log2 of the keys). Out: `references.parquet`, one row
per block of the last epoch of every network. Gaussian tokens have the block's number of channels, independent, with
mean 0 and the block's RMS; a level that they also have says nothing about what a network learned.
"""

from functools import cache

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import gammaln, xlog1py, xlogy

from ...files import Column
from ...spec.measure import STANDARDISED_RANGE
from ...spec.tables import PUBLISHED_IMAGE_SET
from ...statistics.checkpoints import at_last_epoch

# Values of the simulated tokens: their mean entropy has a standard error below .002 bits.
VALUES = 2**18
SEED = 0
NETWORK = {
    "network": Column("", "name of a network, of its control, or of a variant"),
    "seed": Column("", "seed of the student; null for networks"),
    "epoch": Column("epochs", "the last measured epoch; 0 is untrained, null of weights that were not trained here"),
    "probe": Column("", "image set"),
}
MAY_BE_MISSING = {"seed": "Int64", "epoch": "Int64"}
KEYS = NETWORK | {"block": Column("", "0-based number of the block")}
REFERENCE_COLUMNS = KEYS | {
    "channels": Column("", "channels of the block's features, C"),
    "intensity": Column("activation units", "that of Gaussian tokens of this width and RMS: 0.886 RMS / sqrt(C)"),
    "intensity_without_dc": Column("activation units", "the same without bin 0"),
    "intensity_per_rms": Column("", "the same of RMS 1: 0.886 / sqrt(C), bins 0 and C / 2 being real"),
    "activation_magnitude": Column("activation units", "that of Gaussian tokens of this RMS: sqrt(2 / pi) RMS"),
    "entropy": Column("bits", "expected entropy of Gaussian tokens of this width and RMS in the network's own range"),
    "entropy_fixed_range": Column("bits", "the same in the reference network's range"),
    "entropy_standardised": Column(
        "bits", "mean entropy of simulated Gaussian tokens of this width, each standardised"
    ),
    "attention_entropy": Column("bits", "that of attention that prefers no key: log2 of the keys of a query"),
}


def references_of(depth: pd.DataFrame) -> pd.DataFrame:
    """Return the references for the last epoch of every network in the frame of depth.parquet.

    Missing inputs (no RMS, no entropy) give NaN. The published image set is left out.
    """
    rows = depth[depth["probe"] != PUBLISHED_IMAGE_SET]
    rows = rows[at_last_epoch(rows, "network", "seed", "probe")]
    found = pd.DataFrame([_row(one) for one in rows.to_dict("records")], columns=list(REFERENCE_COLUMNS))
    return found.astype(MAY_BE_MISSING)


def _row(one: dict) -> dict:
    channels, rms, bins = int(one["channels"]), one.get("rms", np.nan), one.get("entropy_bins", np.nan)
    ranges = {"entropy": ("range_low", "range_high"), "entropy_fixed_range": ("fixed_low", "fixed_high")}
    entropies = {
        name: gaussian_entropy(channels, rms, int(bins), one[low], one[high]) if bins > 0 and rms > 0 else np.nan
        for name, (low, high) in ranges.items()
    }
    found = {
        "channels": channels,
        "intensity": rms * gaussian_intensity(channels),
        "intensity_without_dc": rms * gaussian_intensity(channels, dc=False),
        "intensity_per_rms": gaussian_intensity(channels),
        "activation_magnitude": rms * np.sqrt(2 / np.pi),
        "entropy_standardised": standardised_entropy(channels, int(bins)) if bins > 0 else np.nan,
        "attention_entropy": one.get("attention_entropy_uniform", np.nan),
    }
    return {name: one[name] for name in KEYS} | found | entropies


def gaussian_intensity(channels: int, dc: bool = True) -> float:
    """Return the expected intensity of Gaussian tokens of RMS 1: mean over bins k of E abs(DFT[k]) / C.

    abs(DFT[k]) is Rayleigh with mean sqrt(pi C) / 2 (sqrt(pi) / 2 = 0.886), but half-normal with mean sqrt(2 C / pi) in
    the real bins 0 and, for even C, C / 2. `dc`: with bin 0. NaN if no bin is left.
    """
    real = (1 if dc else 0) + (channels % 2 == 0)
    count = channels if dc else channels - 1
    if count < 1:
        return np.nan
    return (real * np.sqrt(2 / np.pi) + (count - real) * np.sqrt(np.pi) / 2) / count / np.sqrt(channels)


def gaussian_entropy(channels: int, deviation: float, bins: int, low: float, high: float) -> float:
    """Return the expected entropy [bits] of `channels` independent normal values in equal bins from low to high.

    Values outside count in the end bins. The count of a bin is binomial, so the expectation of -p log2 p has a closed
    form. For low == high the range is widened by half a unit on either side.
    """
    if low == high:
        low, high = low - 0.5, high + 0.5
    inner = stats.norm.cdf(np.linspace(low, high, bins + 1)[1:-1] / deviation)
    return expected_entropy(np.diff(np.concatenate([[0.0], inner, [1.0]])), channels)


def expected_entropy(probability: np.ndarray, channels: int) -> float:
    """Return the expected entropy [bits] of `channels` independent values that fall into bins with probability [B]."""
    counts = np.arange(channels + 1)
    share = counts[1:] / channels
    bits = np.concatenate([[0.0], -share * np.log2(share)])
    # With logarithms: scipy's binomial overflows at the smallest probabilities.
    chosen = gammaln(channels + 1) - gammaln(counts + 1) - gammaln(channels - counts + 1)
    likely = probability[:, None]
    binomial = np.exp(chosen + xlogy(counts, likely) + xlog1py(channels - counts, -likely))
    return float((binomial @ bits).sum())


@cache
def standardised_entropy(channels: int, bins: int) -> float:
    """Return the mean entropy [bits] of Gaussian tokens standardised over their own channels.

    Simulated from a fixed seed, since standardisation makes values dependent. 0 for one channel.
    """
    if channels < 2:
        return 0.0
    tokens = -(-VALUES // channels)
    values = np.random.default_rng(SEED).normal(size=(tokens, channels))
    values -= values.mean(axis=1, keepdims=True)
    values /= values.std(axis=1, keepdims=True)
    low, high = STANDARDISED_RANGE
    place = np.clip(((values - low) / (high - low) * bins).astype(int), 0, bins - 1)
    counts = np.bincount((place + bins * np.arange(tokens)[:, None]).ravel(), minlength=tokens * bins)
    share = counts[counts > 0] / channels
    return float(-(share * np.log2(share)).sum() / tokens)
