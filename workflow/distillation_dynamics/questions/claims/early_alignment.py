"""Claim F on the first block: paired differences from the baseline."""

from ...statistics.evidence import Evidence
from . import _arms, _places
from ._finding import NOT_TESTABLE, Finding, why

PLACE = 80
CLAIM = "early alignment is neutral or helps"
LETTER = "F first"
TEXT = "Aligning the first block is neutral or helps a little"
DECIDES = "first block minus baseline; null targets as control"
RULE = (
    "supported: a harm of 0.15 points is excluded in all; contradicted: below 0 in all, by as much as matters; not "
    "testable: no such variant, or 0.30 points would not be found"
)


def look(evidence: Evidence) -> Finding:
    """Return the finding."""
    variants = list(_arms.aligning(evidence, _arms.FIRST))
    if not variants:
        return Finding(NOT_TESTABLE, why("no variant", place=_arms.FIRST))
    return _places.against_baseline(evidence, variants, claimed=False)
