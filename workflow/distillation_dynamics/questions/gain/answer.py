"""Values for the template on gains over training. In: variants.parquet."""

from typing import Any

import pandas as pd

from ...ranking import ordered, shown, top
from ...statistics.evidence import Evidence
from ...statistics.thresholds import LEVEL
from ...statistics.westfall_young import p_said
from ...words import with_interval
from . import THIRDS

VARIANTS = "statistics/variants.parquet"


def facts(evidence: Evidence) -> dict[str, Any]:
    """Return the values that the template uses."""
    variants = evidence.tables["variants"]
    variants = ordered(variants, variants["early_gain"] - variants["late_gain"])
    measured = variants[variants["early_gain"].notna() & variants["late_gain"].notna()]
    turned = measured[(measured["early_gain"] > 0) & (measured["late_gain"] < 0)]
    tested = (turned[[f"{third}_p" for third in THIRDS]] <= LEVEL).all(axis=1)
    apart = ~tested & (turned["early_low"] > 0) & (turned["late_high"] < 0)
    return {
        "baseline": evidence.baseline,
        "variants": len(variants),
        "measured": len(measured),
        "seeds": measured[["early_seeds", "late_seeds"]].to_numpy().ravel(),
        "by_the_test": _each(turned[tested]),
        "by_intervals": _each(turned[apart]),
        "in_the_mean": _each(turned[~tested & ~apart]),
        "thirds": [_third(variants, third, which) for third, which in THIRDS.items()],
        "gains": gains(top(variants)),
        "left_out": shown(len(variants), "variants", "the largest falls from early to late gain", VARIANTS),
    }


def _each(rows: pd.DataFrame) -> list[dict[str, str]]:
    return [
        {"variant": row["variant"], "early": _gain(row, "early"), "late": _gain(row, "late")}
        for row in rows.to_dict("records")
    ]


def _third(variants: pd.DataFrame, third: str, which: str) -> dict[str, Any]:
    """Return which variants lack a third, and the number of epochs for thirds measured in part (None: none)."""
    missing = variants[f"{third}_gain"].isna()
    part = variants[~missing & (variants[f"{third}_epochs"] < variants[f"{third}_all"])]
    fewest = None if part.empty else part.loc[part[f"{third}_epochs"].idxmin()]
    return {
        "which": which,
        "missing": list(variants.loc[missing, "variant"]),
        "validated": None if fewest is None else fewest[f"{third}_epochs"],
        "epochs": None if fewest is None else fewest[f"{third}_all"],
    }


def gains(variants: pd.DataFrame) -> pd.DataFrame:
    """Return one row per variant with its gains in both thirds, as the report shows them."""
    return pd.DataFrame(
        {
            "variant": row["variant"],
            "early gain": _gain(row, "early"),
            "early p": p_said(row["early_p"]),
            "late gain": _gain(row, "late"),
            "late p": p_said(row["late_p"]),
        }
        for row in variants.to_dict("records")
    )


def _gain(row: dict, third: str) -> str:
    if pd.isna(row[f"{third}_gain"]):
        return "not measured"
    return with_interval(row[f"{third}_gain"], row[f"{third}_low"], row[f"{third}_high"], "+")
