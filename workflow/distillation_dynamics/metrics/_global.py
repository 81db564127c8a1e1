"""One test per curve: is it further from the curves of permuted channels than they are from each other?

In: a curve over bins, and the curves of the same tokens with permuted channels. Out: its distance, the distance's p
value, and the matching band. The bins of a curve are dependent, so counting bins outside pointwise bands is not a valid
test; the largest distance over bins is one number per curve. If the order of channels is arbitrary, observed and
permuted curves are exchangeable and the observed rank is uniform, so the p value is exact.
"""

from typing import NamedTuple

import numpy as np

from ..files import Column

# Share of curves with arbitrary channel order that lie entirely inside the band.
BAND = 0.95
# Standard deviations below this share of a bin's largest value are rounding: the bin does not depend on the order.
ROUNDING = 1e-9


class GlobalTest(NamedTuple):
    """`distance` of the curve in standard deviations, its `p`, and the `critical` distance from which p is at most .05.

    0, 1 and 0 if no order changes the curve; `critical` is NaN for fewer than 19 permutations, which allow no p that
    small. All NaN for a curve without values.
    """

    distance: float
    p: float
    critical: float


def bin_columns(name: str, unit: str, curve: str) -> dict[str, Column]:
    """Return the columns `<name>_band_low` and `<name>_band_high` by bin for the curve described by `curve`."""
    return {
        f"{name}_band_low": Column(unit, f"lower end of the band that contains 95 % of the curves entirely: {curve}"),
        f"{name}_band_high": Column(unit, "upper end of that band"),
    }


def block_columns(name: str, curve: str) -> dict[str, Column]:
    """Return the block columns `<name>_distance` and `<name>_p` for the curve described by `curve`."""
    text = f"{curve}, against those of permuted channels"
    return {
        f"{name}_distance": Column(
            "standard deviations", f"largest distance over bins of {text}: bins by the permutations' mean and deviation"
        ),
        f"{name}_p": Column("", f"one test of the whole curve: chance of a distance as large, {text}; exact"),
    }


def block_values(name: str, found: GlobalTest) -> dict[str, float]:
    """Return the values of the columns from `block_columns`."""
    return {f"{name}_distance": found.distance, f"{name}_p": found.p}


def around(mean: np.ndarray, deviation: np.ndarray, critical: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the band of a curve, mean -+ critical x deviation by bin, [K] each.

    With mean and deviation of the permutations, the curve leaves it if and only if p <= .05.
    """
    return mean - critical * deviation, mean + critical * deviation


def global_test(curve: np.ndarray, permuted: np.ndarray) -> GlobalTest:
    """Test a curve [K] against those of P permutations [P, K].

    The distance of a curve is the largest over bins of abs(value - mean) / standard deviation, both over all *other*
    curves, so that observed and permuted curves are treated alike; p = (1 + number of permuted curves with at least the
    observed distance) / (1 + P). Bins that no permutation changes are left out.
    """
    curves = np.concatenate([curve[None], permuted])
    if np.isnan(curves).any():
        return GlobalTest(np.nan, np.nan, np.nan)
    distances = others_distances(curves)
    # Curves that differ only by rounding are ties.
    count = int(np.sum(distances[1:] >= distances[0] * (1 - 1e-9)))
    allowed = int((1 - BAND) * len(distances) + 1e-9)
    critical = np.sort(distances[1:])[::-1][allowed - 1] if allowed else np.nan
    return GlobalTest(float(distances[0]), (1 + count) / len(distances), float(critical))


def others_distances(curves: np.ndarray) -> np.ndarray:
    """Return the distance of each of n > 2 curves [n, K] from the other n - 1, [n]; 0 where no bin differs.

    Leaving one out is a monotonic function of the distance z from the mean of all, the same for every bin and curve.
    """
    count = len(curves)
    deviation = curves.std(axis=0)
    moving = deviation > ROUNDING * np.abs(curves).max(axis=0)
    if not moving.any():
        return np.zeros(count)
    z = np.abs(curves[:, moving] - curves[:, moving].mean(axis=0)) / deviation[moving]
    largest = z.max(axis=1)
    with np.errstate(divide="ignore"):
        bent = np.sqrt((count - 2) / np.maximum(count - 1 - largest**2, 0))
    return largest * bent * np.sqrt(count / (count - 1))
