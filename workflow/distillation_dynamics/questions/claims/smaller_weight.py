"""Claim G: alignment of the same last blocks at several weights, the largest of which hurts."""

import pandas as pd

from ...spec.training import TermSpec
from ...statistics import terms
from ...statistics.evidence import Evidence
from . import _arms, _effects, _places
from ._effects import AGAINST, GAIN, HARM, OPEN
from ._finding import NOT_TESTABLE, Finding, why

PLACE = 90
CLAIM = "a smaller weight does not repair it"
LETTER = "G"
TEXT = "A smaller weight does not repair it"
DECIDES = "last blocks at their smallest weight minus baseline, where the largest harms; same objective and pairs"
RULE = (
    "supported: below 0 at the smallest weight too; contradicted: a harm of 0.15 points is excluded there, and less"
    " harm than at the largest is certain; not testable: one weight, no harm at the largest, or 0.30 points would "
    "not be found"
)


def look(evidence: Evidence) -> Finding:
    """Return the finding from each set of variants: smallest dose, largest dose, and their difference."""
    own, values = _arms.aligning(evidence, _arms.LAST), _arms.differences(evidence)
    own = {name: term for name, term in own.items() if name in values and values[name].notna().sum() > 1}
    ends = [pair for pair in map(list, _sets(evidence, own)) if len(pair) > 1]
    if not ends:
        found = _effects.family(values[list(own)], effects=False)
        return Finding(NOT_TESTABLE, why("one weight"), _effects.number(found))
    repaired = {(low, high): f"{low}/{high}" for low, *_, high in ends}
    columns = {name: values[name] for low, *_, high in ends for name in (high, low)}
    columns |= {name: values[low] - values[high] for (low, high), name in repaired.items()}
    found = _effects.family(pd.DataFrame(columns))
    harmful = {low: high for low, high in repaired if _effects.certain(found, HARM)[high]}
    if not harmful:
        largest = found.loc[list(dict.fromkeys(high for _, high in repaired))]
        sentence = why("no harm at the largest", most=_effects.extreme(largest, HARM))
        return Finding(NOT_TESTABLE, sentence, _effects.number(found))
    rows = found.loc[list(harmful)]
    said = _effects.states(rows, HARM)
    # Without relevant harm at the smallest dose, it is a repair only if the harm is smaller than at the largest.
    less = _effects.certain(found, GAIN)
    said[[low for low, high in harmful.items() if said[low] == AGAINST and not less.get(f"{low}/{high}", False)]] = OPEN
    same, control = _places.null_targets(evidence, list(harmful), values)
    rest = _effects.number(found.drop(index=list(harmful)))
    return _effects.decide(rows, said, HARM, same, f"largest weight, smallest/largest: {rest}; {control}")


def _sets(evidence: Evidence, own: dict[str, TermSpec]) -> list[pd.Index]:
    """Return the variants that align the same blocks in the same way, from smallest to largest dose, without
    duplicates.
    """
    groups: dict[tuple, list[str]] = {}
    for name, term in own.items():
        key = evidence.names.baseline_of(name), term.objective, terms.options_of(term), tuple(sorted(term.pairs))
        groups.setdefault(key, []).append(name)
    doses = _arms.shares(evidence, own)
    weights = pd.Series({name: term.weight for name, term in own.items()}, dtype=float)
    found = []
    for names in groups.values():
        # Weights and shares have no common order.
        measure = _arms.measure_of(doses.loc[names])
        dose = weights[names] if measure is None else doses.loc[names, measure]
        if dose.notna().all():
            found.append(dose.sort_values().drop_duplicates().index)
    return found
