"""The papers' claims one by one: a verdict for this study, with its number and control.

In: the tables of the study by name. Out: the rows of `claims.parquet`. Each claim is a file in this folder, found by
its name: short form and letter, the paper's claim, what decides it, its rule, and `look`, which reads only the columns
it names. A missing table or column means not measured. Modules with a leading underscore are shared. The rules are
those of docs/protocol.md.
"""

from importlib import import_module

import pandas as pd

from ... import extensions
from ...files import Column
from ...statistics.evidence import Evidence
from ._finding import ALL_SCALE, AS_SCALE, VERDICTS, estimate

TITLE = "The paper's claims, one by one"
PLACE = 100
DECIDES = "what the table says of each claim"
READS = ("runs", "epochs", "depth", "shape", "differences", "variants", "effects", "doses")
CLAIM_COLUMNS = {
    "claim": Column("", "the claim in a phrase"),
    "letter": Column("", "its letter in docs/analysis.md; empty: none"),
    "text": Column("", "what the paper says"),
    "decides": Column("", "what decides it"),
    "rule": Column("", "when it is supported, contradicted, not testable; otherwise it is not seen here"),
    "verdict": Column("", f"{', '.join(VERDICTS)}: in this study"),
    "scale": Column("", f"{AS_SCALE}, {ALL_SCALE}, or empty: what the verdict owes to scale"),
    "sentence": Column("", "why, in 25 words at most, with number, 95 % interval of all its comparisons, and n"),
    "estimate": Column("", "its number with interval and n; without one, what is missing"),
    "number": Column("", "the numbers of all its comparisons, with what each of them decides; empty: none"),
    "control": Column("", "the same of its control, or that there was none"),
    "comparisons": Column("", "comparisons in its joint sign-flip test, its family; 0: none was made"),
    "p": Column("", "the largest p of them, corrected for the family; NaN: none was made"),
    "detectable": Column("points", "the largest effect that one of them takes to be found with 80 % power"),
}

TABLES = {"claims": CLAIM_COLUMNS}


def tables(evidence: Evidence) -> dict[str, pd.DataFrame]:
    """Return claims.parquet."""
    rows = []
    for name, claim in extensions.claims().items():
        found = import_module(f".{name}", __package__).look(evidence)
        rows.append(claim._asdict() | found._asdict() | {"estimate": estimate(found.sentence)})
    return {"claims": pd.DataFrame(rows, columns=list(CLAIM_COLUMNS))}
