"""Evidence for claims on accuracy: differences of comparisons over seeds, tested jointly, and the verdict.

In: a frame of differences in points, one row per seed, one column per comparison. A comparison is decided if its joint
sign-flip p over the claim's comparisons is at most .05, or if its interval (95 % for all of them, Bonferroni) excludes
an effect that matters. An effect that is significant but excluded to matter counts as excluded.
"""

from typing import Any

import numpy as np
import pandas as pd

from ...statistics import westfall_young
from ...statistics.thresholds import FEWEST_SEEDS, LEVEL, MATTERS, MUST_BE_FOUND
from ...statistics.westfall_young import p_said
from ._finding import (
    CONTRADICTED,
    NO_CONTROL,
    NOT_SEEN,
    NOT_TESTABLE,
    SUPPORTED,
    Finding,
    few,
    mean_interval,
    mean_with_interval,
    why,
)

HARM, GAIN = -1.0, 1.0
FOR, AGAINST, OPEN = "for", "against", "open"
NOUN = {HARM: "harm", GAIN: "gain"}


def family(values: pd.DataFrame, effects: bool = True) -> pd.DataFrame:
    """Return one row per comparison with seeds, mean, low, high and joint test; comparisons of one seed are left out.

    Without `effects`, detectable effects are not simulated.
    """
    values = values.loc[:, values.notna().sum() > 1]
    found = westfall_young.test(values, effects)
    rows = [(values[name].notna().sum(), *mean_interval(values[name].dropna(), len(values.columns))) for name in values]
    return found.join(pd.DataFrame(rows, index=found.index, columns=["seeds", "mean", "low", "high"]))


def certain(found: pd.DataFrame, sign: float) -> pd.Series:
    """Return for which comparisons the joint test finds an effect of this sign."""
    return (found["p_joint"] <= LEVEL) & (found["joint_seeds"] >= FEWEST_SEEDS) & (found["mean"] * sign > 0)


def excluded(found: pd.DataFrame, sign: float) -> pd.Series:
    """Return for which comparisons the interval excludes a relevant effect of this sign."""
    far = found["high"] if sign > 0 else -found["low"]
    return far < MATTERS


def states(found: pd.DataFrame, sign: float, claimed: bool = True) -> pd.Series:
    """Return the state of each comparison for a claim of an effect of this sign, or (`claimed` False) of no relevant
    one.

    FOR, AGAINST or OPEN.
    """
    none = excluded(found, sign) | certain(found, -sign)
    there = certain(found, sign) & ~none
    sides = (there, none) if claimed else (none, there)
    return pd.Series(np.select(sides, [FOR, AGAINST], OPEN), index=found.index, dtype=object)


def comparison(name: Any, row: pd.Series) -> str:
    """Return a comparison for a sentence: 'last -0.60 [-1.10, -0.10] points, 8 seeds'."""
    return f"{name} {mean_with_interval(row['mean'], row['low'], row['high'])} points, {row['seeds']:.0f} seeds"


def number(found: pd.DataFrame, said: pd.Series | None = None, doses: dict[str, str] | None = None) -> str:
    """Return every comparison with its p and detectable effect; `said`: its state; `doses`: its dose."""
    texts = []
    for name, row in found.iterrows():
        parts = [comparison(name, row), (doses or {}).get(str(name), "")]
        if row["joint_seeds"]:
            parts += [f"p {p_said(row['p_joint'])} of {row['joint_comparisons']:.0f}"]
            parts += [f"finds {row['detectable_effect']:.2f}"] * bool(np.isfinite(row["detectable_effect"]))
        parts += [] if said is None else [str(said[name])]
        texts.append(", ".join(filter(None, parts)))
    return "; ".join(texts)


def decide(
    found: pd.DataFrame,
    said: pd.Series,
    sign: float,
    same: str = "",
    control: str = "",
    what: str = "",
    claimed: bool = True,
    doses: dict[str, str] | None = None,
) -> Finding:
    """Return the finding on the comparisons of a claim, each of which is FOR it, AGAINST it or OPEN.

    `sign`: of the effect in question, called `what`; `claimed`: as in `states`; `same`: a control with the claimed
    effect, with its numbers, if there is one; `doses`: as in `number`.
    """
    what = what or NOUN[sign]
    there, none = what, f"no {what} of {MATTERS}"
    words = {FOR: there if claimed else none, AGAINST: none if claimed else there}
    sides = set(said)
    if found["joint_seeds"].max() < FEWEST_SEEDS or OPEN in sides or len(sides) > 1:
        verdict, sentence = unsettled(found, said, sign)
    elif sides == {FOR} and claimed and same:
        verdict, sentence = NOT_SEEN, why("the control too", what=what, control=same)
    else:
        verdict = SUPPORTED if sides == {FOR} else CONTRADICTED
        if (verdict == SUPPORTED) == claimed:
            sentence = why("found", what=what, of=len(found), least=extreme(found, -sign))
        else:
            small, most = int(certain(found, sign).sum()), extreme(found, sign)
            sentence = why("excluded", what=what, of=len(found), small=small, most=most)
    return finding_of(found, verdict, sentence, number(found, said.map(words).fillna(OPEN), doses), control)


def finding_of(found: pd.DataFrame, verdict: str, sentence: str, said: str, control: str) -> Finding:
    """Return a finding with the joint test's results on the comparisons; `said`: their numbers."""
    test = {"p": found["p_joint"].max(), "detectable": found["detectable_effect"].max()}
    return Finding(
        verdict, sentence, said, control or NO_CONTROL, comparisons=int(found["joint_comparisons"].max()), **test
    )


def unsettled(found: pd.DataFrame, said: pd.Series, sign: float) -> tuple[str, str]:
    """Return verdict and sentence if the comparisons of a claim are neither all FOR nor all AGAINST it."""
    seeds = int(found["joint_seeds"].max())
    if seeds < FEWEST_SEEDS:
        return NOT_TESTABLE, why("too few seeds", seeds=found["seeds"], widest=_least_known(found))
    decided = {side: few(list(map(str, said.index[said == side]))) for side in (FOR, AGAINST) if (said == side).any()}
    if len(decided) == 2:
        return NOT_SEEN, why("comparisons disagree", decided=decided, most=extreme(found, sign))
    open_ = found[said == OPEN]
    if left := list(map(str, open_.index[open_["joint_seeds"] == 0])):
        return NOT_TESTABLE, why("too few shared", names=few(left), widest=_least_known(open_))
    finds = open_["detectable_effect"].fillna(np.inf).max()
    values = {"decided": decided, "widest": _least_known(open_), "detectable": finds}
    if finds <= MUST_BE_FOUND:
        return NOT_SEEN, why("uncertain", **values)
    return NOT_TESTABLE, why("too little power", seeds=seeds, **values)


def extreme(found: pd.DataFrame, sign: float) -> str:
    """Return the comparison with the largest effect of this sign for a sentence."""
    at = (found["mean"] * sign).idxmax()
    return comparison(at, found.loc[at])


def _least_known(found: pd.DataFrame) -> str:
    """Return the comparison with the largest detectable effect for a sentence."""
    at = found["detectable_effect"].fillna(np.inf).argmax()
    return comparison(found.index[at], found.iloc[at])
