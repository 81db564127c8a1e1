"""Values for the template on dose and place. In: dose_and_place, effects and doses.parquet."""

from typing import Any

import pandas as pd

from ...ranking import MOST, ranked, shown
from ...statistics import westfall_young
from ...statistics.evidence import Evidence
from ...words import number, with_interval
from . import OF_BOTH, OF_DOSE, OF_PLACE, TOO_FEW, WORDS

# Significant contrasts first.
ORDER = (westfall_young.BETTER, westfall_young.WORSE, *WORDS.values())


def facts(evidence: Evidence) -> dict[str, Any]:
    """Return the values that the template uses."""
    found, effects = evidence.tables["dose_and_place"], evidence.tables["effects"]
    alone = effects[effects["alone"].astype(bool)]
    tested = found[found["contrast"] != OF_BOTH].to_dict("records")
    given = doses(evidence.tables["doses"])
    return {
        "baseline": evidence.baseline,
        "alone": len(alone),
        "measured": alone["share_first"].notna().any(),
        "counts": [
            _counted(tested, *kind)
            for kind in ((OF_PLACE, "later"), (OF_DOSE, "larger"))
            if any(row["contrast"] == kind[0] for row in tested)
        ],
        "tested": sorted(tested, key=lambda row: ORDER.index(row["verdict"])),
        "mixed": found[found["contrast"] == OF_BOTH].to_dict("records"),
        "contrasts": contrasts(ranked(found, found["mean_difference"].abs())),
        "left_out": shown(len(found), "contrasts", "the largest differences", "statistics/dose_and_place.parquet"),
        "doses": given.head(MOST),
        "doses_left_out": shown(len(given), "terms", "", "statistics/doses.parquet"),
    }


def _counted(tested: list[dict[str, Any]], contrast: str, more: str) -> dict[str, Any]:
    """Return in how many contrasts of a kind the side with `more` (later, larger) is worse, and better."""
    own = [row for row in tested if row["contrast"] == contrast]
    named = {
        verdict: [f"{row['variant']} minus {row['other']}" for row in own if row["verdict"] == verdict]
        for verdict in (westfall_young.WORSE, westfall_young.BETTER)
    }
    of = {"of": len(own), "tested": sum(row["verdict"] != TOO_FEW for row in own)}
    return {"contrast": contrast, "more": more} | of | named


def contrasts(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row per contrast of place or dose as the report shows it."""
    return pd.DataFrame(
        {
            "contrast": ", ".join(filter(None, [row["contrast"], row["level"] and f"{row['level']} shares"])),
            "objective": row["objective"] + (f" ({row['options']})" if row["options"] else ""),
            "variant minus other": f"{row['variant']} minus {row['other']}",
            "pairs": " / ".join(dict.fromkeys([row["pairs"], row["other_pairs"]])),
            "share of the loss": ", ".join(number(100 * row[name], ".2g") for name in ("share", "other_share")),
            "difference": with_interval(row["mean_difference"], row["low"], row["high"], "+"),
            "seeds": row["seeds"],
            "p": westfall_young.p_said(row["p_joint"]),
            "detectable": number(row["detectable_effect"]),
            "verdict": row["verdict"],
        }
        for row in table.to_dict("records")
    )


def doses(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row per term with pairs as the report shows it."""
    rows = []
    for (variant, term), group in table[table["pairs"] != ""].groupby(["variant", "term"], sort=False):
        ends = group.sort_values("epoch").iloc[[0, -1]]
        shown = {
            name: " to ".join(number(scale * value, ".2g") for value in ends[column])
            for name, column, scale in (
                ("of the loss", "share", 100), ("of the gradients", "gradient_share", 100), ("cosine", "cosine", 1),
            )
        }  # fmt: skip
        rows.append({"variant": variant, "term": term, "given": group["given"].iloc[0]} | shown)
    return pd.DataFrame(rows)
