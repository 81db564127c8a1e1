"""The papers' claims, one by one: the section with a table of what this study says of each.

In: the frame of claims.parquet. Out: Markdown.
"""

import pandas as pd

from ...files import Column
from ...markdown import markdown
from ..evidence import CONTRADICTED, SUPPORTED, UNDECIDED, UNTESTABLE
from .words import listed, plural

TABLE = {name: Column("", "") for name in ("claim", "verdict", "number", "control", "why")}


def section(claims: pd.DataFrame) -> list[str]:
    """Return the paragraphs on the claims."""
    decides = "\n".join(f"- {row['claim']}: {row['decides']}." for row in claims.to_dict("records"))
    return [
        f"**{answer(claims)}**",
        markdown(table(claims), TABLE),
        f"What decides each:\n\n{decides}",
        "Effects are in points of test top-1 to the baseline, with the 95 % interval over seeds. Verdicts are of this "
        f"study: {SUPPORTED} and {CONTRADICTED} hold for its networks, images and recipe, {UNDECIDED} is what its "
        f"intervals leave open, and {UNTESTABLE} what it does not vary or measure.",
    ]


def table(claims: pd.DataFrame) -> pd.DataFrame:
    """Return a row a claim, as the report shows it."""
    shown = claims.assign(claim=claims["claim"] + ": " + claims["text"])
    return shown.replace({"number": "", "control": ""}, "-")


def answer(claims: pd.DataFrame) -> str:
    """Return the one-sentence answer: which claims are supported, contradicted, undecided, not testable."""
    texts = []
    for verdict in (SUPPORTED, CONTRADICTED, UNDECIDED, UNTESTABLE):
        rows = list(claims.loc[claims["verdict"] == verdict, "claim"])
        if rows:
            texts.append(f"{verdict}: {listed(rows)}")
    return f"Of {plural(len(claims), 'claim')}, in this study {'; '.join(texts)}."
