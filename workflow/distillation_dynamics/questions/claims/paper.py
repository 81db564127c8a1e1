"""The tables on the published claims of a paper."""

from ...paper.latex import LONG
from ...paper.tables import Shown
from .answer import table

TABLES = {
    "claims": Shown(
        "The published claims, one by one, as this study's networks, images and recipe bear on them. The numbers and "
        "controls of each are in the table of evidence.",
        {"claim": "claim", "verdict": "verdict", "why": "why"},
        "p{2.3in}p{0.9in}p{2.8in}",
        lambda tables, names: table(tables["claims"]),
        place=100,
    ),
    "claims_evidence": Shown(
        "What the verdict on each claim rests on: numbers with n and 95 % interval, and the same of the control.",
        {"label": "claim", "number": "number", "control": "control"},
        "p{0.7in}p{2.9in}p{2.5in}",
        lambda tables, names: table(tables["claims"]).assign(label=tables["claims"]["claim"]),
        LONG,
        place=110,
    ),
}  # fmt: skip
