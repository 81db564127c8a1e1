"""The published reading of a curve over depth: a valley of any size, its depth, and the position of its minimum.

In: values of one network and metric, [n images, L blocks]. Depth is a share of the curve's linear range. The unit of
evidence is the image; blocks are never resampled.
"""

import warnings
from functools import lru_cache

import numpy as np
from scipy import stats
from scipy.optimize import isotonic_regression

from ..thresholds import LEVEL, SMALLEST_DEPTH
from . import NOT_U_SHAPED, U_SHAPED
from .fall_and_rise import ROUNDING

RESAMPLES = 2000
GROUPS = 1000
SEED = 0


def valley_p(values: np.ndarray) -> float | np.ndarray:
    """Return the p value of 'no interior block lies below both end blocks', values [..., n images, L blocks].

    min(1, (L - 2) min over interior m of max(p(y_1 > y_m), p(y_L > y_m))), p one-sided paired t over images: an
    intersection-union test at each m, Bonferroni over m. Valid for any shape of the curve and any dependence between
    blocks. A difference that is equal in all images has p = 0 if positive, else 1. Leading axes are independent data
    sets; returns [...]. NaN for L < 3 (no interior block) or n < 2 (no spread).
    """
    values = np.asarray(values, dtype=np.float64)
    images, blocks = values.shape[-2:]
    if blocks < 3 or images < 2:
        return np.full(values.shape[:-2], np.nan)[()]
    inner = values[..., 1:-1]
    sides = [_greater_p(np.broadcast_to(values[..., end], inner.shape), inner) for end in ([0], [-1])]
    return np.minimum(1.0, (blocks - 2) * np.maximum(*sides).min(axis=-1))[()]


def _greater_p(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Return one-sided paired t p values of mean(upper) > mean(lower) over axis -2."""
    scale = np.maximum(np.abs(upper), np.abs(lower))
    difference = np.where(np.abs(upper - lower) <= ROUNDING * scale, 0.0, upper - lower)
    constant = np.ptp(difference, axis=-2) == 0
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        # scipy warns and returns NaN for differences without spread, which are handled below.
        warnings.simplefilter("ignore", RuntimeWarning)
        p = stats.ttest_rel(difference, np.zeros_like(difference), axis=-2, alternative="greater").pvalue
    return np.where(constant, np.where(difference[..., 0, :] > 0, 0.0, 1.0), p)


def depth(profile: np.ndarray, ends: int = 1) -> float | np.ndarray:
    """Return the depth of the valley of mean curves [..., L], as a share of their range.

    min(y_1 - y_m, y_L - y_m) / (max - min), m the lowest interior block, y_1 and y_L means of `ends` blocks, which are
    not interior. Negative for a curve without a valley; 0 for a constant curve; NaN without an interior block.
    """
    profile = np.asarray(profile, dtype=np.float64)
    if profile.shape[-1] < 2 * ends + 1:
        return np.full(profile.shape[:-1], np.nan)[()]
    lowest = profile[..., ends:-ends].min(axis=-1)
    edge = np.minimum(profile[..., :ends].mean(axis=-1), profile[..., -ends:].mean(axis=-1))
    spread = np.ptp(profile, axis=-1)
    flat = spread <= ROUNDING * np.abs(profile).max(axis=-1)
    return np.where(flat, 0.0, (edge - lowest) / np.where(flat, 1.0, spread))[()]


class Resampled:
    """Mean curves of resampled images: values [n, L], each image one whole row.

    Depth and minimum depend only on means, so more than 1,000 images are first summed in 1,000 random groups of equal
    size (to one image), which are then resampled; a mean is the ratio of summed values to summed sizes.
    """

    def __init__(self, values: np.ndarray):
        generator = np.random.default_rng(SEED)
        count, self.blocks = values.shape
        self.groups = min(count, GROUPS)
        order = generator.permutation(count) if count > GROUPS else np.arange(count)
        parts = np.array_split(order, self.groups)
        self._sums = np.stack([values[part].sum(axis=0) for part in parts])
        self._sizes = np.array([len(part) for part in parts], dtype=np.float64)

    def profiles(self, indices: np.ndarray) -> np.ndarray:
        """Return mean curves [R, L] of the groups `indices` [R, k], one resample per row."""
        return self._means(_counts(indices, self.groups))

    def _means(self, counts: np.ndarray) -> np.ndarray:
        return counts @ self._sums / (counts @ self._sizes)[:, None]

    def depth_interval(self) -> tuple[float, float]:
        """Return the 95 % BCa interval of the depth; NaN if undefined (one image, no interior, no spread)."""
        if self.groups < 2 or self.blocks < 3:
            return np.nan, np.nan

        def statistic(indices: np.ndarray, axis: int) -> np.ndarray:
            return np.asarray(depth(self.profiles(np.atleast_2d(indices)))).reshape(indices.shape[:-1])

        with warnings.catch_warnings(), np.errstate(all="ignore"):
            # A degenerate distribution gives NaN, as intended.
            warnings.simplefilter("ignore")
            interval = stats.bootstrap(
                (np.arange(self.groups),),
                statistic,
                vectorized=True,
                n_resamples=RESAMPLES,
                batch=500,
                method="BCa",
                rng=np.random.default_rng(SEED),
            ).confidence_interval
        return float(interval.low), float(interval.high)

    def minimum_shares(self) -> np.ndarray:
        """Return for each of all L blocks the share of resamples whose mean curve has its minimum there."""
        lowest = [self._means(counts).argmin(axis=1) for counts in _resamples(self.groups)]
        return np.bincount(np.concatenate(lowest), minlength=self.blocks) / RESAMPLES


def _counts(indices: np.ndarray, groups: int) -> np.ndarray:
    """Return how often each group occurs in each resample, [R, groups], from indices [R, k]."""
    rows = len(indices)
    places = indices + groups * np.arange(rows)[:, None]
    return np.bincount(places.ravel(), minlength=rows * groups).reshape(rows, groups)


@lru_cache(maxsize=2)
def _resamples(groups: int) -> list[np.ndarray]:
    """Return the counts of 2,000 resamples in four parts; all networks of a study share them."""
    generator = np.random.default_rng(SEED)
    return [_counts(generator.integers(groups, size=(RESAMPLES // 4, groups)), groups) for _ in range(4)]


def fits(profile: np.ndarray) -> tuple[float, float]:
    """Return R^2 of the best valley (decreasing, then increasing) and of the best monotone curve; NaN if constant.

    A monotone curve is a valley with its minimum at an end, so the first is never smaller.
    """
    profile = np.asarray(profile, dtype=np.float64)
    total = np.sum((profile - profile.mean()) ** 2)
    if np.ptp(profile) <= ROUNDING * np.abs(profile).max():
        return np.nan, np.nan
    # Residual sums of squares of a decreasing fit to the first k blocks and an increasing fit to the others.
    residuals = [
        _residual(profile[:k], increasing=False) + _residual(profile[k:], increasing=True)
        for k in range(len(profile) + 1)
    ]
    monotone = min(residuals[0], residuals[-1])
    return 1 - min(residuals) / total, 1 - monotone / total


def _residual(part: np.ndarray, increasing: bool) -> float:
    return float(np.sum((part - isotonic_regression(part, increasing=increasing).x) ** 2)) if len(part) else 0.0


def adjusted(p: np.ndarray) -> np.ndarray:
    """Return Benjamini-Hochberg adjusted p values of one family; NaN is ignored and stays NaN."""
    p = np.asarray(p, dtype=np.float64)
    known = ~np.isnan(p)
    result = np.full(p.shape, np.nan)
    if known.any():
        result[known] = stats.false_discovery_control(p[known])
    return result


def published(p_adjusted: np.ndarray, depths: np.ndarray) -> np.ndarray:
    """Return the published reading of each row: U_SHAPED for p <= .05 and depth >= .10, "" without a p."""
    p = np.asarray(p_adjusted, dtype=np.float64)
    found = (p <= LEVEL) & (np.asarray(depths) >= SMALLEST_DEPTH)
    return np.where(np.isnan(p), "", np.where(found, U_SHAPED, NOT_U_SHAPED))
