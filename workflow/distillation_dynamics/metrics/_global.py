"""One test a curve: does it lie among those of permuted channels anywhere too far away?

In: a curve over bins and those of the same tokens under permutations of their channels. Out: its distance, the p value
of that, and the band that belongs to it. Bins of one curve depend on each other, so that a count of those outside a
band of each is no test; the largest distance over bins is one number a curve. Where the order of channels is chance,
the observed curve and the permuted ones are exchangeable, and its rank among them is uniform: the p value is exact.
"""

from typing import NamedTuple

import numpy as np

from ..files import Column

# Of curves whose order of channels is chance, so many leave the band nowhere.
BAND = 0.95
# Standard deviations below this share of the largest value of a bin are rounding: all orders give the same.
ROUNDING = 1e-9


class GlobalTest(NamedTuple):
    """`distance`: of the curve, in standard deviations; `p` of it; `critical`: from which distance p is at most .05.

    0, 1 and 0 where no order changes the curve; `critical` is NaN where fewer than 19 permutations allow no p that
    small. All NaN of a curve without values.
    """

    distance: float
    p: float
    critical: float


def bin_columns(name: str, unit: str, curve: str) -> dict[str, Column]:
    """Return the columns of the band `<name>_band_low` and `<name>_band_high`, for each bin of the curve `curve`."""
    return {
        f"{name}_band_low": Column(unit, f"lower end of the band that 95 % of the curves leave nowhere: {curve}"),
        f"{name}_band_high": Column(unit, "upper end of that band"),
    }


def block_columns(name: str, curve: str) -> dict[str, Column]:
    """Return the columns `<name>_distance` and `<name>_p` of a block, of the curve that `curve` names."""
    text = f"{curve}, against those of permuted channels"
    return {
        f"{name}_distance": Column(
            "standard deviations", f"largest distance over bins of {text}: bins by the permutations' mean and deviation"
        ),
        f"{name}_p": Column("", f"one test of the whole curve: chance of a distance as large, {text}; exact"),
    }


def block_values(name: str, found: GlobalTest) -> dict[str, float]:
    """Return what `block_columns` names."""
    return {f"{name}_distance": found.distance, f"{name}_p": found.p}


def around(mean: np.ndarray, deviation: np.ndarray, critical: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the band of a curve, mean -+ critical x deviation by bin, [K] each.

    Of the permutations' own mean and deviation the curve leaves it where p <= .05, and only there.
    """
    return mean - critical * deviation, mean + critical * deviation


def global_test(curve: np.ndarray, permuted: np.ndarray) -> GlobalTest:
    """Test a curve [K] against those of P permutations [P, K].

    The distance of a curve is the largest over bins of abs(value - mean) / standard deviation, both of all *other*
    curves, so that the observed one is treated as each of the permuted ones is; p = (1 + number of permuted curves with
    at least the observed distance) / (1 + P). Bins that no permutation changes are left out.
    """
    curves = np.concatenate([curve[None], permuted])
    if np.isnan(curves).any():
        return GlobalTest(np.nan, np.nan, np.nan)
    distances = others_distances(curves)
    # Curves that are equal but for rounding are ties.
    count = int(np.sum(distances[1:] >= distances[0] * (1 - 1e-9)))
    allowed = int((1 - BAND) * len(distances) + 1e-9)
    critical = np.sort(distances[1:])[::-1][allowed - 1] if allowed else np.nan
    return GlobalTest(float(distances[0]), (1 + count) / len(distances), float(critical))


def others_distances(curves: np.ndarray) -> np.ndarray:
    """Return the distance of each of n > 2 curves [n, K] from the n - 1 others, [n]; 0 where no bin differs.

    Leaving one out only bends the distance z from the mean of all, by the same rising function for every bin and curve.
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
