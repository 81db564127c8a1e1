"""Aligning first or last blocks compared with the baseline; arms with a null target are the control."""

import pandas as pd

from ...statistics.evidence import Evidence
from . import _arms, _effects
from ._arms import FIRST, LAST
from ._effects import HARM
from ._finding import NOT_TESTABLE, Finding, why


def against_baseline(evidence: Evidence, variants: list[str], claimed: bool, other: str = "") -> Finding:
    """Return the finding on a claim that aligning by these variants hurts or, with `claimed` False, does not hurt.

    `other`: text added to the control.
    """
    values = _arms.differences(evidence)
    found = _effects.family(values[[name for name in variants if name in values]])
    if found.empty:
        return Finding(NOT_TESTABLE, why("one seed"), control=other or _effects.NO_CONTROL)
    doses = _arms.shares(evidence, found.index)
    same, control = null_targets(evidence, list(found.index), values)
    return _effects.decide(
        *(found, _effects.states(found, HARM, claimed), HARM, same, "; ".join(filter(None, [control, other]))),
        claimed=claimed,
        doses={name: _arms.dose_said(doses, name) for name in found.index},
    )


def null_targets(evidence: Evidence, variants: list[str], values: pd.DataFrame, sign: float = HARM) -> tuple[str, str]:
    """Return a variant's null-target arm with a significant effect of this sign, and the effects of all such arms.

    Both as text, the first empty if there is none; `values`: differences to the baselines. They are one family.
    """
    nulls = dict.fromkeys(null for name in variants for null in _arms.nulls_of(evidence, name) if null in values)
    found = _effects.family(values[list(nulls)], effects=False)
    if found.empty:
        return "", "null targets: not measured"
    there = found[_effects.certain(found, sign)]
    return (_effects.extreme(there, sign) if len(there) else ""), f"null targets: {_effects.number(found)}"


def at_a_shared_dose(evidence: Evidence) -> tuple[list[str], Finding | None]:
    """Return the variants of the last blocks with the dose of one of the first block, or why there are none."""
    last, first = (_arms.aligning(evidence, place) for place in (LAST, FIRST))
    if not last:
        return [], Finding(NOT_TESTABLE, why("no variant", place=LAST))
    doses = _arms.shares(evidence, [*last, *first])
    labels = {name: _arms.dose_said(doses, name) for name in last}
    same_dose = {
        one: [
            _arms.alike(doses, one, other)
            for other in first
            if (last[one].objective, evidence.names.baseline_of(one))
            == (first[other].objective, evidence.names.baseline_of(other))
        ]
        for one in last
    }
    kept = [name for name, like in same_dose.items() if any(like)]
    if kept:
        return kept, None
    values = _arms.differences(evidence)
    found = _effects.family(values[[name for name in last if name in values]], effects=False)
    unknown = any(like is None for own in same_dose.values() for like in own)
    most = _effects.extreme(found, HARM) if len(found) else ""
    sentence = why("no shared dose", unknown=unknown, most=most)
    return [], Finding(NOT_TESTABLE, sentence, _effects.number(found, doses=labels))
