"""The papers' claims, one by one: what the words of the answer are told. In: claims.parquet."""

from typing import Any

import pandas as pd

from ...statistics.evidence import Evidence


def facts(evidence: Evidence) -> dict[str, Any]:
    """Return what the template names."""
    claims = evidence.tables["claims"]
    shown = table(claims)[["claim", "verdict", "number", "control", "why"]]
    return {"claims": claims.to_dict("records"), "shown": shown}


def table(claims: pd.DataFrame) -> pd.DataFrame:
    """Return a row a claim, as the report shows it."""
    shown = claims.assign(claim=claims["claim"] + ": " + claims["text"])
    return shown.replace({"number": "", "control": ""}, "-")
