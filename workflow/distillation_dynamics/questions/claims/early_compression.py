"""Claim I on aligning the first block: the fall of entropy from the first block."""

from ...statistics.evidence import Evidence
from . import _arms, _suppressed
from ._finding import Finding

PLACE = 130
CLAIM = "early alignment hinders the compression"
LETTER = "I first"
TEXT = "Aligning the first block hinders compression"
DECIDES = "fall of entropy from the first block to the lowest, minus that of the baseline, paired over seeds"
RULE = (
    "supported: smaller by more than 0.07 bits in all, with the scale taken out too; all of it scale: standardised "
    "entropy does not change by as much; contradicted: larger in all; not testable: too few bins, or no such "
    "variant"
)


def look(evidence: Evidence) -> Finding:
    """Return the finding."""
    return _suppressed.less_than_baseline(evidence, _arms.FIRST, "fall")
