"""Values for the template on variants. In: variants.parquet and mcnemar.parquet."""

from typing import Any

import pandas as pd

from ...ranking import ordered, shown, top
from ...statistics.evidence import Evidence
from ...statistics.thresholds import LEVEL
from ...statistics.westfall_young import p_said
from ...words import number, with_interval


def facts(evidence: Evidence) -> dict[str, Any]:
    """Return the values that the template uses."""
    variants, checkpoints = evidence.tables["variants"], evidence.tables["mcnemar"]
    variants = ordered(variants, variants["mean_difference"].abs())
    compared = variants[variants["seeds"] > 0]
    tested = variants[variants["joint_seeds"] > 0]
    significant = tested["p_joint"] <= LEVEL
    apart = ~significant & ((tested["low"] > 0) | (tested["high"] < 0))
    return {
        "baseline": evidence.baseline,
        "baselines": list(dict.fromkeys(evidence.names.baselines.values())),
        "variants": variants.to_dict("records"),
        "compared": len(compared),
        "worst": compared.loc[compared["mean_difference"].idxmin()] if len(compared) else None,
        "best": compared.loc[compared["mean_difference"].idxmax()] if len(compared) else None,
        "seeds": compared["seeds"].max(),
        "joint_seeds": compared["joint_seeds"].max(),
        "tested": tested.to_dict("records"),
        "found": tested[significant].to_dict("records"),
        "unclear": tested[apart].to_dict("records"),
        "left_out": variants[(variants["joint_seeds"] == 0) & (variants["seeds"] > 0)].to_dict("records"),
        "fewer_seeds": (tested["seeds"] > tested["joint_seeds"]).any(),
        "differences": variant_table(top(variants)),
        "several": variants[variants["changes"] > 1].to_dict("records"),
        "left_out_of_table": shown(len(variants), "variants", "the largest differences", "statistics/variants.parquet"),
        "images": checkpoints["images"].iloc[0] if len(checkpoints) else 0,
    }


def variant_table(variants: pd.DataFrame) -> pd.DataFrame:
    """Return one row per variant: difference from the baseline with interval, joint p and detectable effect."""
    return pd.DataFrame(
        {
            "variant": row["variant"],
            "seeds": row["seeds"],
            "difference": with_interval(row["mean_difference"], row["low"], row["high"], "+"),
            "spread": f"{number(row['sd_paired'])} / {number(row['sd_unpaired'])}",
            "p": p_said(row["p_joint"]),
            "detectable": number(row["detectable_effect"]),
            "verdict": row["verdict"],
            "differs in": row["differs"] or "nothing",
        }
        for row in variants.to_dict("records")
    )
