"""Claim I on aligning the last blocks: the rise of entropy to the last block."""

from ...statistics.evidence import Evidence
from . import _arms, _suppressed
from ._finding import Finding

PLACE = 120
CLAIM = "late alignment suppresses the expansion"
LETTER = "I last"
TEXT = "Aligning the last blocks suppresses the late expansion"
DECIDES = "rise of entropy from the lowest block to the last, minus that of the baseline, paired over seeds"
RULE = (
    "supported: smaller by more than 0.07 bits in all, with the scale taken out too; all of it scale: standardised "
    "entropy does not change by as much; contradicted: larger in all; not testable: too few bins, or no such "
    "variant"
)


def look(evidence: Evidence) -> Finding:
    """Return the finding."""
    return _suppressed.less_than_baseline(evidence, _arms.LAST, "rise")
