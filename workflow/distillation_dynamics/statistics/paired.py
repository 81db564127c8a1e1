"""Two methods over the seeds that both have: tests of their paired differences, intervals and what could be found.

The unit of evidence is the seed. In: accuracies of n shared seeds. Out: p values, intervals and differences in points.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

from .thresholds import LEVEL, POWER

EXACT_SEEDS = 16  # up to here all 2^n flips are listed; beyond, as many are drawn


def sign_flip_p(differences: np.ndarray) -> float:
    """Return the two-sided p of the sign-flip test of mean 0, differences [n]; NaN for n < 2.

    Exact for n <= 16 (all 2^n flips); otherwise from 2^16 random flips. Differences are counted in 1e-9 units, so that
    sums which are equal are equal in floating point too.
    """
    differences = np.asarray(differences, dtype=np.float64)
    if len(differences) < 2:
        return np.nan
    return float(
        stats.permutation_test(
            (np.rint(differences * 1e9),),
            lambda x, axis: x.sum(axis=axis),
            permutation_type="samples",
            vectorized=True,
            n_resamples=2**EXACT_SEEDS,
            rng=np.random.default_rng(0),
        ).pvalue
    )


def interval(variant: np.ndarray, baseline: np.ndarray) -> tuple[float, float, float]:
    """Return the two-sided p of the paired t test and its 95 % interval (low, high) of the mean difference.

    All NaN with one seed, or where all differences are equal: a spread of 0 over a few seeds is chance or rounding,
    and t would be infinite.
    """
    difference = np.asarray(variant, dtype=np.float64) - np.asarray(baseline, dtype=np.float64)
    if len(difference) < 2 or np.ptp(difference) < 1e-9:
        return np.nan, np.nan, np.nan
    result = stats.ttest_rel(variant, baseline)
    low, high = result.confidence_interval(0.95)
    return float(result.pvalue), float(low), float(high)


def detectable(differences: np.ndarray) -> float:
    """Return the mean difference that a paired t test (5 %, two-sided) finds with 80 % power at this n and spread.

    In the unit of `differences` [n]; NaN for n < 2.
    """
    from statsmodels.stats.power import TTestPower

    if len(differences) < 2:
        return np.nan
    effect = TTestPower().solve_power(effect_size=None, nobs=len(differences), alpha=LEVEL, power=POWER)
    return float(effect * np.std(differences, ddof=1))


def paired(variant: np.ndarray, baseline: np.ndarray) -> dict[str, Any]:
    """Return what can be said of the difference of two methods, values [n] each of the same n seeds (n = 0 allowed)."""
    difference = np.asarray(variant, dtype=np.float64) - np.asarray(baseline, dtype=np.float64)
    seeds = len(difference)
    p_t, low, high = interval(variant, baseline)
    return {
        "seeds": seeds,
        "mean_difference": float(difference.mean()) if seeds else np.nan,
        "low": low,
        "high": high,
        "p_t": p_t,
        "p_sign_flip": sign_flip_p(difference),
        "smallest_p": 2.0 ** (1 - seeds) if seeds else np.nan,
        "detectable_effect": detectable(difference),
    }


def holm(p: Sequence[float]) -> np.ndarray:
    """Return Holm-adjusted p values of the planned comparisons; NaN stays NaN but counts as one comparison."""
    from statsmodels.stats.multitest import multipletests

    p = np.asarray(p, dtype=np.float64)
    if not len(p):
        return p
    return np.where(np.isnan(p), np.nan, multipletests(np.where(np.isnan(p), 1.0, p), method="holm")[1])


def seeds_needed(comparisons: int) -> int:
    """Return the fewest seeds at which a sign-flip test can reach 5 % after Holm over this many comparisons."""
    return math.ceil(math.log2(2 * comparisons / LEVEL))
