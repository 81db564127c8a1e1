"""Values for the template on published numbers. In: published.parquet, published_entropy.parquet.

Published numbers of another student, teacher or image set are references and not tested.
"""

from typing import Any

import pandas as pd

from ...ranking import ranked, shown
from ...statistics.evidence import Evidence
from ...words import number
from . import BASELINE, OPPOSITE, SAME


def facts(evidence: Evidence) -> dict[str, Any]:
    """Return the values that the template uses."""
    found, entropy = evidence.tables["published"], evidence.tables["published_entropy"]
    known = found[found["run"] != ""]
    return {
        "known": len(known),
        "same": known[known["comparable"].astype(bool) & (known["verdict"] != BASELINE)].to_dict("records"),
        "runs": run_table(ranked(known, known["difference"].abs())),
        "left_out": shown(len(known), "variants", "the largest measured differences", "statistics/published.parquet"),
        "directions": list(entropy["direction"]),
        "untrained": _untrained(entropy),
        "entropies": entropy,
    }


def _untrained(entropy: pd.DataFrame) -> dict[str, int]:
    """Return in how many rows, of how many, the untrained student changes as published, and the change by training."""
    known = entropy[entropy["untrained_change"].notna()]
    same = (known["untrained_change"] > 0) == (known["published_change"] > 0)
    added = known["added_direction"]
    return {"of": len(known), "same": int(same.sum()), "added": int((added == SAME).sum()),
            "against": int((added == OPPOSITE).sum())}  # fmt: skip


def run_table(known: pd.DataFrame) -> pd.DataFrame:
    """Return one row per variant with a published run as the report shows it."""
    return pd.DataFrame(
        {
            "variant": row["variant"],
            "published run": row["run"],
            "best": number(row["published_best"]),
            "last": number(row["published_last"]),
            "published (ImageNet)": number(row["published_difference"], "+.2f"),
            "measured": number(row["difference"], "+.2f"),
            "seeds": row["seeds"],
            "95 % interval of the mean": _interval(row["low"], row["high"]),
            "of one further seed": _interval(row["one_low"], row["one_high"]),
            "verdict": row["verdict"],
        }
        for row in known.to_dict("records")
    )


def _interval(low: float, high: float) -> str:
    return "-" if pd.isna(low) else f"{low:+.2f} to {high:+.2f}"
