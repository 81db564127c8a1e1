"""Values for the template on planned comparisons. In: planned.parquet."""

from typing import Any

import pandas as pd

from ...ranking import ranked, shown
from ...statistics.evidence import Evidence
from ...statistics.westfall_young import p_said
from ...words import number, with_interval


def facts(evidence: Evidence) -> dict[str, Any]:
    """Return the values that the template uses."""
    found = evidence.tables["planned"]
    families = [
        {
            "name": name,
            "comparisons": len(own),
            "decided": own[own["verdict"].isin(["better", "worse"])].to_dict("records"),
            "higher": int((own["verdict"] == "better").sum()),
            "lower": int((own["verdict"] == "worse").sum()),
            "untested": bool((own["verdict"] == "untested").all()),
            "seeds": own["seeds"].tolist(),
        }
        for name, own in found.groupby("family", sort=False)
    ]
    return {
        "families": families,
        "planned": planned(ranked(found, found["mean_difference"].abs())),
        "left_out": shown(len(found), "comparisons", "the largest differences", "statistics/planned.parquet"),
    }


def planned(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row per comparison as report and paper show it."""
    return pd.DataFrame(
        {
            "family": row["family"],
            "comparison": row["comparison"],
            "difference": with_interval(row["mean_difference"], row["low"], row["high"], "+"),
            "SD": number(row["sd"]),
            "seeds": row["seeds"],
            "p": p_said(row["p_joint"]),
            "detectable": number(row["detectable_effect"]),
        }
        for row in table.to_dict("records")
    )
