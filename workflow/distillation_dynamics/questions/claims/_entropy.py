"""Entropy of students over depth: its fall to the lowest block and its rise from there, for claims on them.

Entropy under the teacher's range follows the scale of the activations, so each change is also examined with the scale
removed. It must have the same verdict in other bins, and only for students whose tokens spread over enough bins.
Changes below .07 bits (log2 of 1.05) do not count. A design that could not distinguish twice that from none shows
nothing.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from ...statistics.bins import PER_BIN, too_few
from ...statistics.evidence import Evidence
from ...statistics.u_shape.fall_and_rise import BITS, smallest
from ..shape.bins import OTHER_BINS
from ._effects import AGAINST, FOR, OPEN
from ._finding import ALL_SCALE, NOT_SEEN, NOT_TESTABLE, Finding, few, mean_interval, mean_with_interval, why

ENTROPY, STANDARDISED = "entropy_fixed_range", "entropy_standardised"
OTHERS = tuple(f"{ENTROPY}_{name}" for name in OTHER_BINS)
LEAST = smallest(BITS)


class Change(NamedTuple):
    """A change of entropy in bits over seeds: mean, simultaneous interval for all of the claim's comparisons, and
    seeds.
    """

    mean: float
    low: float
    high: float
    seeds: int

    def said(self, name: str) -> str:
        """Return 'last +0.22 [-0.09, +0.53] bits, 6 seeds'."""
        return f"{name} {mean_with_interval(self.mean, self.low, self.high)} bits, {self.seeds} seeds"


def phases(evidence: Evidence, column: str) -> pd.DataFrame:
    """Return, by network and seed, the fall of a column over depth from the first to the lowest block, and its rise.

    The lowest block is an interior one; `fall` and `rise` have the column's unit.
    """
    rows = evidence.depth(column)
    rows = rows[rows["network"].isin(evidence.names.variants)]
    found = {}
    for key, own in rows.sort_values("block").groupby(["network", "seed"]):
        curve = own[column].to_numpy()
        if len(curve) > 2:
            lowest = curve[1:-1].min()
            found[key] = {"fall": curve[0] - lowest, "rise": curve[-1] - lowest}
    index = pd.MultiIndex.from_tuples(found, names=["network", "seed"])
    return pd.DataFrame(list(found.values()), index=index, columns=["fall", "rise"])


def unresolved(evidence: Evidence, students: list[str]) -> list[str]:
    """Return those students with a block whose tokens spread over too few bins, averaged over seeds."""
    rows = evidence.depth(PER_BIN[ENTROPY])
    few_ = too_few(rows.groupby(["network", "block"])[[PER_BIN[ENTROPY]]].mean(), ENTROPY)
    return [name for name in students if name in set(few_[few_].index.get_level_values("network"))]


def too_few_bins(students: list[str]) -> Finding:
    """Return that nothing can be said of students whose tokens spread over too few bins."""
    return Finding(NOT_TESTABLE, why("too few bins", students=few(students)))


def changes(values: dict[str, np.ndarray]) -> dict[str, Change]:
    """Return the change of each comparison from values [n] over seeds; comparisons of one seed are left out."""
    known = {name: own for name, own in values.items() if len(own) > 1}
    return {name: Change(*mean_interval(own, len(known)), len(own)) for name, own in known.items()}


def numbers(found: dict[str, Change]) -> str:
    """Return all changes as a text."""
    return "; ".join(change.said(name) for name, change in found.items())


def in_other_bins(
    measured: Callable[[str], dict[str, Change]], sides: dict[str, str], side: Callable[[Change], str]
) -> bool:
    """Return whether other bins, if measured, change the side of any comparison."""
    return any(sides.get(name) != side(change) for column in OTHERS for name, change in measured(column).items())


def of_scale(changed: dict[str, str], standardised: dict[str, Change]) -> str:
    """Return ALL_SCALE if a change was found but none remains with the scale removed; otherwise ""."""
    if not standardised or set(changed.values()) <= {OPEN}:
        return ""
    left = any(change.low > LEAST or change.high < -LEAST for change in standardised.values())
    return "" if left else ALL_SCALE


def open_finding(found: dict[str, Change], sides: dict[str, str], number: str, control: str, scale: str) -> Finding:
    """Return the finding if comparisons are open or disagree: not seen, or not testable if intervals are too wide."""
    decided = {side: [name for name, own in sides.items() if own == side] for side in (FOR, AGAINST)}
    if all(decided.values()):
        name = max(found, key=lambda one: abs(found[one].mean))
        named = {side: few(names) for side, names in decided.items()}
        return Finding(
            NOT_SEEN, why("variants disagree", decided=named, most=found[name].said(name)), number, control, scale
        )
    halves = {name: (one.high - one.low) / 2 for name, one in found.items() if sides[name] == OPEN}
    widest = max(halves, key=lambda name: np.nan_to_num(halves[name], nan=np.inf))
    if np.isnan(halves[widest]) or halves[widest] > LEAST:
        verdict, case = NOT_TESTABLE, "wide interval"
    else:
        verdict, case = NOT_SEEN, "uncertain change"
    sentence = why(case, least=LEAST, widest=found[widest].said(widest))
    return Finding(verdict, sentence, number, control, scale)
