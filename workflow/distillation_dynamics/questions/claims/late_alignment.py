"""Claim F on the last blocks: paired differences from the baseline, at a dose that the first block also has."""

from ...statistics.evidence import Evidence
from . import _arms, _effects, _places
from ._finding import Finding

PLACE = 70
CLAIM = "late alignment hurts"
LETTER = "F last"
TEXT = "Aligning the last blocks hurts"
DECIDES = "last blocks minus baseline, at a share that aligning the first has too; null targets as control"
RULE = (
    "supported: below 0 in all, and no null target is; contradicted: a harm of 0.15 points is excluded in all; not "
    "testable: no variant of each place at a like share, or 0.30 points would not be found"
)


def look(evidence: Evidence) -> Finding:
    """Return the finding, with effects of the first block for comparison."""
    variants, why_not = _places.at_a_shared_dose(evidence)
    if why_not is not None:
        return why_not
    values, first = _arms.differences(evidence), _arms.aligning(evidence, _arms.FIRST)
    first_blocks = _effects.number(_effects.family(values[[name for name in first if name in values]], effects=False))
    return _places.against_baseline(evidence, variants, claimed=True, other=f"first block: {first_blocks}")
