"""Values for the template on controls. In: controls.parquet."""

from typing import Any

import pandas as pd

from ...ranking import ordered, shown, top
from ...statistics.evidence import Evidence
from ...statistics.westfall_young import p_said
from ...words import number, with_interval


def facts(evidence: Evidence) -> dict[str, Any]:
    """Return the values that the template uses."""
    found = evidence.tables["controls"]
    found = ordered(found, found["mean_difference"].abs())
    return {
        "rows": found.to_dict("records"),
        "controls": controls(top(found)),
        "left_out": shown(len(found), "controls", "the largest differences", "statistics/controls.parquet"),
    }


def controls(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row per control as the report shows it."""
    return pd.DataFrame(
        {
            "variant": row["variant"],
            "control": row["control"],
            "in the teacher's place": f"{row['target']} ({row['term']})",
            "variant minus control": with_interval(row["mean_difference"], row["low"], row["high"], "+"),
            "control minus baseline": "it is the baseline"
            if row["control"] == row["baseline"]
            else with_interval(row["control_gain"], row["control_low"], row["control_high"], "+"),
            "seeds": row["seeds"],
            "p": p_said(row["p_joint"]),
            "detectable": number(row["detectable_effect"]),
        }
        for row in table.to_dict("records")
    )
