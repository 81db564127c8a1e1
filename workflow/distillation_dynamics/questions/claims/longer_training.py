"""Claim H: aligning the last blocks in the longest of several schedules."""

from ...statistics.evidence import Evidence
from . import _arms, _effects, _places
from ._finding import NOT_TESTABLE, Finding, why

PLACE = 100
CLAIM = "longer training does not repair it"
LETTER = "H"
TEXT = "Longer training does not repair it"
DECIDES = "last blocks minus baseline in the longest of several schedules; shorter ones and null targets as control"
RULE = (
    "supported: below 0 in all of the longest schedule, and no null target is; contradicted: a harm of 0.15 points "
    "is excluded in all; not testable: one length, or 0.30 points would not be found"
)


def look(evidence: Evidence) -> Finding:
    """Return the finding. Only variants count whose baseline was trained for as many epochs."""
    variants = list(_arms.aligning(evidence, _arms.LAST))
    if not variants:
        return Finding(NOT_TESTABLE, why("no variant", place=_arms.LAST))
    lengths = evidence.read("runs", "network", "epochs").groupby("network")["epochs"].first()
    kept = {
        name: lengths[name]
        for name in variants
        if {name, evidence.names.baseline_of(name)} <= set(lengths.index)
        if lengths[name] == lengths[evidence.names.baseline_of(name)]
    }
    values = _arms.differences(evidence)
    if len(set(kept.values())) < 2:
        found = _effects.family(values[[name for name in kept if name in values]], effects=False)
        return Finding(NOT_TESTABLE, why("one length"), _effects.number(found))
    longest = max(kept.values())
    shorter = _effects.family(values[[name for name in kept if name in values and kept[name] < longest]], effects=False)
    own = [name for name, length in kept.items() if length == longest]
    return _places.against_baseline(evidence, own, claimed=True, other=f"shorter: {_effects.number(shorter)}")
