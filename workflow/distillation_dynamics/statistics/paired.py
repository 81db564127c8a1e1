"""Two methods over their common seeds: mean, interval and test of paired differences.

The unit of evidence is the seed. In: differences of n common seeds. Out: results for a single comparison;
`westfall_young` tests several at once.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from .westfall_young import EXACT_SEEDS, adjusted

SIGN_FLIP = f"two-sided sign-flip test (exact up to {EXACT_SEEDS} seeds), one comparison; NaN with one seed"


def interval(differences: np.ndarray, comparisons: int = 1) -> tuple[float, float]:
    """Return the 95 % t interval (low, high) of the mean of differences [n]; simultaneous for several comparisons.

    Bonferroni: each of m has 1 - .05 / m.

    NaN with one seed, or if all differences are equal: zero spread over a few seeds is chance or rounding.
    """
    differences = np.asarray(differences, dtype=np.float64)
    if len(differences) < 2 or np.ptp(differences) < 1e-9:
        return np.nan, np.nan
    low, high = stats.ttest_1samp(differences, 0).confidence_interval(1 - 0.05 / comparisons)
    return float(low), float(high)


def mean_of(values: np.ndarray, name: str, start: str = "") -> dict[str, float]:
    """Return the mean of values [n] over seeds as `name` (NaN for n = 0), and its interval as `<start>low`,
    `<start>high`.
    """
    low, high = interval(values)
    return {name: float(np.mean(values)) if len(values) else np.nan, f"{start}low": low, f"{start}high": high}


def paired(differences: np.ndarray) -> dict[str, Any]:
    """Return mean, interval and test of the differences [n] of two methods over the same n seeds (n = 0 allowed)."""
    differences = np.asarray(differences, dtype=np.float64)
    p = float(adjusted(differences[:, None])[0])
    return {"seeds": len(differences), **mean_of(differences, "mean_difference"), "p_sign_flip": p}


def spreads(runs: pd.DataFrame, variant: str, baseline: str) -> dict[str, float]:
    """Return the benefit of pairing: the difference's spread over seeds, paired and unpaired, and the correlation."""
    both = _top1(runs)[[variant, baseline]].dropna()
    own, other = both[variant].to_numpy(), both[baseline].to_numpy()
    if len(both) < 2:
        return dict.fromkeys(("sd_paired", "sd_unpaired", "correlation"), np.nan)
    known = len(both) > 2 and min(np.ptp(own), np.ptp(other)) > 0
    return {
        "sd_paired": float((own - other).std(ddof=1)),
        "sd_unpaired": float(np.sqrt(own.var(ddof=1) + other.var(ddof=1))),
        "correlation": float(np.corrcoef(own, other)[0, 1]) if known else np.nan,
    }


def by_seed(runs: pd.DataFrame, against: Mapping[str, str]) -> pd.DataFrame:
    """Return test top-1 of each variant minus its baseline's in points: one row per seed, NaN unless both exist."""
    top1 = _top1(runs)
    return pd.DataFrame({name: top1[name] - top1[baseline] for name, baseline in against.items()}, index=top1.index)


def _top1(runs: pd.DataFrame) -> pd.DataFrame:
    """Return test top-1 in %: one row per seed, one column per variant."""
    return runs[runs["seed"].notna()].pivot(index="seed", columns="network", values="test_top1").sort_index()
