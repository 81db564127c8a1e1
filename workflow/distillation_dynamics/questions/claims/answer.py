"""The papers' claims, one by one: what the words of the answer are told. In: claims.parquet."""

from typing import Any

import pandas as pd

from ...statistics.evidence import Evidence
from ...statistics.westfall_young import p_said
from ...words import number
from ._finding import VERDICTS


def facts(evidence: Evidence) -> dict[str, Any]:
    """Return what the template names."""
    claims = evidence.tables["claims"]
    own = {"claims": claims.to_dict("records"), "verdicts": VERDICTS}
    return own | {"shown": shown(claims)}


def verdict_of(row: dict[str, Any]) -> str:
    """Return the verdict with what it owes to scale: 'supported, as scale'."""
    return ", ".join(filter(None, [row["verdict"], row["scale"]]))


def shown(claims: pd.DataFrame) -> pd.DataFrame:
    """Return a row a claim, as the report shows it."""
    return pd.DataFrame(
        {"claim": row["text"], "verdict": verdict_of(row), "why": row["sentence"]} for row in claims.to_dict("records")
    )


def evidence_of(claims: pd.DataFrame) -> pd.DataFrame:
    """Return a row a claim with the numbers that its verdict rests on, and those of its control."""
    return pd.DataFrame(
        {
            "claim": row["claim"],
            "numbers": row["number"] or "-",
            "control": row["control"] or "-",
            "comparisons": str(row["comparisons"] or "-"),
            "p": p_said(row["p"]),
            "detectable": number(row["detectable"]),
        }
        for row in claims.to_dict("records")
    )
