"""LaTeX tables on the published claims."""

from ...paper.latex import LONG
from ...paper.tables import Shown
from .answer import evidence_of, shown

TABLES = {
    "claims": Shown(
        "The published claims, one by one, as this study's networks, images and recipe bear on them. The numbers and "
        "controls of each are in the table of evidence.",
        {"claim": "claim", "verdict": "verdict", "why": "why"},
        "p{2.0in}p{1.0in}p{3.0in}",
        lambda tables, names: shown(tables["claims"]),
        place=100,
    ),
    "claims_evidence": Shown(
        "Evidence for the verdict on each claim: numbers with n and simultaneous 95 % interval for all of its "
        "comparisons, and the same of the control; p: the largest of a joint sign-flip test of that many comparisons.",
        {"claim": "claim", "numbers": "numbers", "control": "control", "comparisons": "comparisons", "p": "p"},
        "p{0.9in}p{2.5in}p{2.1in}rr",
        lambda tables, names: evidence_of(tables["claims"]),
        LONG,
        place=110,
    ),
}  # fmt: skip
