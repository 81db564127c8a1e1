"""Tests several paired differences at once over common seeds by joint sign flips, and computes detectable effects.

In: differences [n, m] of n seeds in m comparisons with a common baseline. Out: p values that hold for all m together.

A flip changes the sign of a seed's whole row of differences or leaves it, so that the correlation through the common
baseline is preserved. The distribution of the largest |t| over the comparisons, over all 2^n flips, gives the adjusted
p of the largest observed one; each next comparison is compared with the maximum over itself and the smaller ones
(step-down). This controls the probability of any false positive, whichever comparisons have no effect, if the rows of
those without one are symmetric about 0. The smallest p is 2 / 2^n for any number of comparisons. Source: Westfall,
Young, Resampling-Based Multiple Testing, 1993, algorithm 2.8, with sign flips as its resamples.

Instead of t = mean / (SD / sqrt(n)) the statistic is |sum| / sqrt(n sum of squares), between 0 and 1, a monotonic
function of |t|. It is 1 if all differences of a flip are equal (t would be infinite), and 0 if all are 0.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from ..words import number
from .thresholds import FEWEST_SEEDS, LEVEL, POWER

# Up to this many seeds all 2^n flips are enumerated (half of them: a flip and its opposite count once); with more, this
# many are drawn, always the same.
EXACT_SEEDS = 20
FLIPS = 2 ** (EXACT_SEEDS - 1)
# The p reported if no drawn flip exceeds the observed one; the exact p may be smaller.
LEAST_DRAWN = 1 / (FLIPS + 1)
BLOCK = 2**14  # flips at a time, which limits memory
# Sizes that differ by less are equal: equal sums differ by rounding.
TOLERANCE = 1e-10
# Simulation of detectable effects: experiments, flips of each, halvings of the step.
EXPERIMENTS, EXPERIMENT_FLIPS, HALVINGS = 4000, 256, 10
# In standard deviations: effects that are not detected below this size count as undetectable.
LARGEST = 64.0
BETTER, WORSE, NOT_FOUND, UNTESTED = "better", "worse", "not found", "untested"


def flips(seeds: int, most: int = FLIPS) -> Iterator[np.ndarray]:
    """Yield signs [flips, seeds] in blocks, the first row all +1; one of each flip and its opposite.

    All 2^(seeds - 1) if these are at most `most`, otherwise the first row and `most` random ones.
    """
    if 2 ** (seeds - 1) <= most:
        for start in range(0, 2 ** (seeds - 1), BLOCK):
            numbers = np.arange(start, min(start + BLOCK, 2 ** (seeds - 1)))
            yield 1.0 - 2 * (numbers[:, None] >> np.arange(seeds - 1, -1, -1) & 1)
        return
    yield np.ones((1, seeds))
    draw = np.random.default_rng(0)
    for start in range(0, most, BLOCK):
        yield draw.choice([-1.0, 1.0], size=(min(BLOCK, most - start), seeds))


def smallest_p(seeds: int) -> float:
    """Return the smallest p that this number of seeds allows: 2 / 2^n if all flips are enumerated; NaN for n < 2."""
    if seeds < 2:
        return np.nan
    return 2.0 ** (1 - seeds) if seeds <= EXACT_SEEDS else LEAST_DRAWN


def p_said(p: float) -> str:
    """Return a p as text: '0.031', '<= 1.9e-06' if no drawn flip exceeds the observed one, '-' for NaN."""
    return f"{'<= ' if p == LEAST_DRAWN else ''}{number(p, '.2g')}"


def sizes(differences: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """Return |sum| / sqrt(n sum of squares), [..., flips, m], of differences [..., n, m] under signs [flips, n]."""
    # Scaled so that squares of huge values stay finite.
    largest = np.abs(differences).max(axis=-2, keepdims=True)
    scaled = differences / np.where(largest > 0, largest, 1)
    norm = np.sqrt(differences.shape[-2] * np.square(scaled).sum(axis=-2, keepdims=True))
    return np.abs(signs @ scaled) / np.where(norm > 0, norm, 1)


def adjusted(differences: np.ndarray) -> np.ndarray:
    """Return the two-sided p [m] of mean 0 in each of m comparisons, adjusted for all; differences [n, m], finite.

    NaN for n < 2. Exact up to 20 seeds. With m = 1 it is the sign-flip test of one comparison.
    """
    seeds, comparisons = differences.shape
    if seeds < 2:
        return np.full(comparisons, np.nan)
    rows = np.asarray(differences, dtype=np.float64)
    seen = sizes(rows, np.ones((1, seeds)))[0]
    order = np.argsort(-seen, kind="stable")
    rows, seen = rows[:, order], seen[order]
    counted, beaten = 0, np.zeros(comparisons)
    for signs in flips(seeds):
        found = sizes(rows, signs)
        # At each rank the largest of this comparison and all with smaller observed values.
        most = np.maximum.accumulate(found[:, ::-1], axis=1)[:, ::-1]
        beaten += (most >= seen - TOLERANCE).sum(axis=0)
        counted += len(signs)
    p = np.empty(comparisons)
    p[order] = np.maximum.accumulate(beaten / counted)
    return p


def detectable(differences: np.ndarray) -> np.ndarray:
    """Return [m] the mean difference of one comparison that `adjusted` would detect with 80 % power at 5 %.

    In the unit of differences [n, m]. Simulated: rows of normal noise with the observed covariance, with the effect
    added to one comparison; 4,000 experiments, the same for every effect. Ignores the step-down, which hardly helps the
    comparison with the effect. NaN if the number of seeds allows no p of 5 %; infinite if even 64 standard deviations
    are not detected.
    """
    seeds, comparisons = differences.shape
    if seeds < 2 or smallest_p(seeds) > LEVEL:
        return np.full(comparisons, np.nan)
    centred = differences - differences.mean(axis=0)
    spread = np.sqrt(np.square(centred).sum(axis=0) / (seeds - 1))
    draws = np.random.default_rng(0).standard_normal((EXPERIMENTS, seeds, seeds))
    noise = draws @ (centred / np.where(spread > 0, spread, 1)) / np.sqrt(seeds - 1)
    signs = np.vstack([*flips(seeds, EXPERIMENT_FLIPS)])
    # The two largest sizes over all comparisons, and the index of the largest, give the largest of the others for each.
    first, second, owner = np.zeros((3, EXPERIMENTS, len(signs)))
    for place in range(comparisons):
        own = sizes(noise[:, :, place].T, signs).T
        second = np.maximum(second, np.minimum(own, first))
        owner = np.where(own > first, place, owner)
        first = np.maximum(own, first)
    result = np.zeros(comparisons)
    for one in np.flatnonzero(spread > 0):
        others = np.where(owner == one, second, first)
        result[one] = spread[one] * _smallest_effect(noise[:, :, one], others, signs)
    return result


def _smallest_effect(noise: np.ndarray, others: np.ndarray, signs: np.ndarray) -> float:
    """Return the effect detected with 80 % power in noise [experiments, n], given the sizes of others [.., flips]."""
    sums, counts = noise @ signs.T, signs.sum(axis=1)

    def found(effect: float) -> bool:
        own = np.abs(sums + effect * counts)
        own /= np.sqrt(noise.shape[1] * np.square(noise + effect).sum(axis=1, keepdims=True))
        p = (np.maximum(own, others) >= own[:, :1] - TOLERANCE).mean(axis=1)
        return (p <= LEVEL).mean() >= POWER

    high = 1.0
    while not found(high):
        high *= 2
        if high > LARGEST:
            return np.inf
    low = 0.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if found(middle) else (middle, high)
    return high


def together(values: pd.DataFrame) -> pd.DataFrame:
    """Return the part of `values` (one row per seed, one column per comparison, NaN: missing) that is tested jointly.

    A joint test needs seeds that all its comparisons have. While there are fewer than 6 of them, though some comparison
    has 6, the comparison with the fewest seeds is left out (the last of equal ones); if none has 6, the limit is 2.
    """
    counts = values.notna().sum()
    fewest = FEWEST_SEEDS if (counts >= FEWEST_SEEDS).any() else 2
    kept = values.loc[:, counts >= fewest]
    while len(kept.columns) > 1 and len(kept.dropna()) < fewest:
        missing = kept.notna().sum().to_numpy()
        kept = kept.drop(columns=kept.columns[len(missing) - 1 - int(np.argmin(missing[::-1]))])
    return kept.dropna()


def test(values: pd.DataFrame, effects: bool = True) -> pd.DataFrame:
    """Return the joint test of each column of `values` (one row per seed, NaN: missing), one row per column.

    p_joint, joint_seeds, joint_comparisons, smallest_p and, if requested, detectable_effect; NaN and 0 for a comparison
    that is left out, see `together`.
    """
    kept = together(values)
    found = pd.DataFrame(
        {"p_joint": np.nan, "joint_seeds": 0, "joint_comparisons": 0, "smallest_p": np.nan}, index=values.columns
    )
    found["detectable_effect"] = np.nan
    if len(kept) and len(kept.columns):
        rows = kept.to_numpy(dtype=np.float64)
        found.loc[kept.columns, "p_joint"] = adjusted(rows)
        found.loc[kept.columns, ["joint_seeds", "joint_comparisons"]] = kept.shape
        found.loc[kept.columns, "smallest_p"] = smallest_p(len(kept))
        if effects:
            found.loc[kept.columns, "detectable_effect"] = detectable(rows)
    return found


def decision(row: Mapping[str, Any]) -> str:
    """Return the decision of the joint test on a comparison, from its mean_difference, low, high and columns of `test`.

    If no effect is found, `largest` gives the effect that remains possible; UNTESTED with fewer than 6 seeds.
    """
    if row["joint_seeds"] < FEWEST_SEEDS:
        return UNTESTED
    if row["p_joint"] > LEVEL:
        return NOT_FOUND
    return BETTER if row["mean_difference"] > 0 else WORSE


def largest(row: Mapping[str, Any]) -> float:
    """Return the largest effect, in either direction, in the 95 % interval of one comparison; NaN without one."""
    return max(abs(row["low"]), abs(row["high"]))
