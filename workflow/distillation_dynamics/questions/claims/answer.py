"""Values for the template on the papers' claims. In: claims.parquet."""

from typing import Any

import pandas as pd

from ...statistics.evidence import Evidence
from ...statistics.westfall_young import p_said
from ...words import number
from ._finding import VERDICTS


def facts(evidence: Evidence) -> dict[str, Any]:
    """Return the values that the template uses."""
    claims = evidence.tables["claims"]
    own = {"claims": claims.to_dict("records"), "verdicts": VERDICTS}
    return own | {"shown": shown(claims)}


def verdict_of(row: dict[str, Any]) -> str:
    """Return the verdict with its remark on scale: 'supported, as scale'."""
    return ", ".join(filter(None, [row["verdict"], row["scale"]]))


def shown(claims: pd.DataFrame) -> pd.DataFrame:
    """Return one row per claim as the report shows it."""
    return pd.DataFrame(
        {"claim": row["text"], "verdict": verdict_of(row), "why": row["sentence"]} for row in claims.to_dict("records")
    )


def evidence_of(claims: pd.DataFrame) -> pd.DataFrame:
    """Return one row per claim with the numbers behind its verdict, and those of its control."""
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
