"""Several differences tested at once over the same seeds: joint sign flips, and what effect they would have found.

In: differences [n, m] of n seeds in m comparisons that share a baseline. Out: p values that hold for all m together.

Under a flip each seed keeps or changes one sign, for its whole row of differences: what the comparisons have in common
through their baseline stays as it is. The largest |t| over the comparisons, over all 2^n flips, gives the adjusted p of
the largest one seen; the next ones are held against the comparisons from them on (step-down). That keeps the chance of
any wrong finding at the level whichever of the comparisons have no effect, if the rows of those without one are
symmetric about 0. No number of comparisons makes the smallest p larger than 2 / 2^n.
Source: Westfall, Young, Resampling-Based Multiple Testing, 1993, algorithm 2.8, with sign flips as its resamples.

Instead of t = mean / (SD / sqrt(n)) stands |sum| / sqrt(n sum of squares), 0 to 1, which grows with |t| alone. It is 1
where all differences of a flip are equal (t would be infinite), and 0 where they are 0 in all seeds.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from ..words import number
from .thresholds import FEWEST_SEEDS, LEVEL, POWER

# Up to so many seeds all 2^n flips are counted (half of them: a flip and its opposite count once); with more, as many
# are drawn, always the same.
EXACT_SEEDS = 20
FLIPS = 2 ** (EXACT_SEEDS - 1)
# What no drawn flip beats has this p, which no count of all flips gives: the true one may be smaller.
LEAST_DRAWN = 1 / (FLIPS + 1)
BLOCK = 2**14  # flips at a time, which bounds the memory
# Sizes that differ by less are equal: sums that are equal on paper differ by rounding.
TOLERANCE = 1e-10
# Of the simulation that tells what effect would be found: experiments, flips of each, halvings of the step.
EXPERIMENTS, EXPERIMENT_FLIPS, HALVINGS = 4000, 256, 10
# In standard deviations: an effect that is not found below this is not found.
LARGEST = 64.0
BETTER, WORSE, NOT_FOUND, UNTESTED = "better", "worse", "not found", "untested"


def flips(seeds: int, most: int = FLIPS) -> Iterator[np.ndarray]:
    """Yield signs [flips, seeds] in blocks, the first row all +1; of a flip and its opposite one.

    All 2^(seeds - 1) where they are no more than `most`, otherwise the first row and `most` that are drawn.
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
    """Return the smallest p that this number of seeds allows: 2 / 2^n where all flips are counted; NaN for n < 2."""
    if seeds < 2:
        return np.nan
    return 2.0 ** (1 - seeds) if seeds <= EXACT_SEEDS else LEAST_DRAWN


def p_said(p: float) -> str:
    """Return a p as it is shown: '0.031', '<= 1.9e-06' where no drawn flip beats what was seen, '-' for NaN."""
    return f"{'<= ' if p == LEAST_DRAWN else ''}{number(p, '.2g')}"


def sizes(differences: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """Return |sum| / sqrt(n sum of squares), [..., flips, m], of differences [..., n, m] under signs [flips, n]."""
    # So that squares of huge values stay finite.
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
        # At each place the largest of this comparison and of all that were seen to be smaller.
        most = np.maximum.accumulate(found[:, ::-1], axis=1)[:, ::-1]
        beaten += (most >= seen - TOLERANCE).sum(axis=0)
        counted += len(signs)
    p = np.empty(comparisons)
    p[order] = np.maximum.accumulate(beaten / counted)
    return p


def detectable(differences: np.ndarray) -> np.ndarray:
    """Return [m] the mean difference of one comparison alone that `adjusted` would find with 80 % power at 5 %.

    In the unit of differences [n, m]. Simulated: rows of normal noise with the covariance that was seen, to one
    comparison of which the effect is added; 4,000 experiments, the same for every effect. It leaves the step-down out,
    which helps the one that has the effect very little. NaN where so few seeds allow no p of 5 %; infinite where even
    64 standard deviations are not found.
    """
    seeds, comparisons = differences.shape
    if seeds < 2 or smallest_p(seeds) > LEVEL:
        return np.full(comparisons, np.nan)
    centred = differences - differences.mean(axis=0)
    spread = np.sqrt(np.square(centred).sum(axis=0) / (seeds - 1))
    draws = np.random.default_rng(0).standard_normal((EXPERIMENTS, seeds, seeds))
    noise = draws @ (centred / np.where(spread > 0, spread, 1)) / np.sqrt(seeds - 1)
    signs = np.vstack([*flips(seeds, EXPERIMENT_FLIPS)])
    # The two largest sizes over all comparisons, and whose the largest is, tell the largest of the others of each.
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
    """Return the effect found with 80 % power in noise [experiments, n], beside the sizes of others [.., flips]."""
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
    """Return the part of `values` (a row a seed, a column a comparison, NaN: not there) that is tested jointly.

    A joint test needs seeds that all its comparisons have. While these are fewer than 6, though some comparison has 6,
    the one with the fewest seeds is left out (of equal ones the last); where none has 6, 2 take the place of 6.
    """
    counts = values.notna().sum()
    fewest = FEWEST_SEEDS if (counts >= FEWEST_SEEDS).any() else 2
    kept = values.loc[:, counts >= fewest]
    while len(kept.columns) > 1 and len(kept.dropna()) < fewest:
        missing = kept.notna().sum().to_numpy()
        kept = kept.drop(columns=kept.columns[len(missing) - 1 - int(np.argmin(missing[::-1]))])
    return kept.dropna()


def test(values: pd.DataFrame, effects: bool = True) -> pd.DataFrame:
    """Return, a row a column of `values` (a row a seed, NaN: not there), what the joint test says of it.

    p_joint, joint_seeds, joint_comparisons, smallest_p and, where asked for, detectable_effect: NaN and 0 for a
    comparison that is left out, see `together`.
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
    """Return what the joint test decides of a comparison with its mean_difference, low, high and columns of `test`.

    Where none is found, `largest` says what is left; UNTESTED with fewer than 6 seeds.
    """
    if row["joint_seeds"] < FEWEST_SEEDS:
        return UNTESTED
    if row["p_joint"] > LEVEL:
        return NOT_FOUND
    return BETTER if row["mean_difference"] > 0 else WORSE


def largest(row: Mapping[str, Any]) -> float:
    """Return the largest effect, either way, that the 95 % interval of a comparison alone holds; NaN without one."""
    return max(abs(row["low"]), abs(row["high"]))
