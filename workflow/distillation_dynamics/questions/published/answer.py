"""Published beside measured: what the words of the answer are told. In: published.parquet, published_entropy.parquet.

A published number of another student, teacher or image set is a reference; no sentence tests it.
"""

from typing import Any

import pandas as pd

from ...statistics.evidence import Evidence
from ...words import number, with_interval
from . import BASELINE, OPPOSITE, SAME


def facts(evidence: Evidence) -> dict[str, Any]:
    """Return what the template names."""
    found, entropy = evidence.tables["published"], evidence.tables["published_entropy"]
    known = found[found["run"] != ""]
    differs = {row["variant"]: _differences(row["differs"]) for row in known.to_dict("records") if row["differs"]}
    common = [text for text in next(iter(differs.values()), ()) if all(text in own for own in differs.values())]
    return {
        "known": len(known),
        "same": known[known["comparable"].astype(bool) & (known["verdict"] != BASELINE)].to_dict("records"),
        "differ": list(differs),
        "in_common": common,
        "apart": {name: [text for text in own if text not in common] for name, own in differs.items()},
        "runs": run_table(known),
        "directions": list(entropy["direction"]),
        "untrained": _untrained(entropy),
        "entropies": entropy_table(entropy),
    }


def _untrained(entropy: pd.DataFrame) -> dict[str, int]:
    """Return in how many rows the untrained student changes as published, of how many, and what training added."""
    known = entropy[entropy["untrained_change"].notna()]
    same = (known["untrained_change"] > 0) == (known["published_change"] > 0)
    added = known["added_direction"]
    return {"of": len(known), "same": int(same.sum()), "added": int((added == SAME).sum()),
            "against": int((added == OPPOSITE).sum())}  # fmt: skip


def _differences(text: str) -> list[str]:
    # What keeps the baseline from being the published one is mostly what keeps the variant.
    return list(dict.fromkeys(one.removeprefix("baseline: ") for one in text.split("; ")))


def run_table(known: pd.DataFrame) -> pd.DataFrame:
    """Return a row a variant that has a published run, as the report shows it."""
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


def entropy_table(entropy: pd.DataFrame) -> pd.DataFrame:
    """Return a row a variant and published epoch: how its entropy changes over depth, as the report shows it."""
    return pd.DataFrame(
        {
            "variant": row["variant"],
            "published epoch": row["published_epoch"],
            "epoch": row["epoch"],
            "published change": number(row["published_change"], "+.2f"),
            "measured change": number(row["change"], "+.2f"),
            "95 % interval": _interval(row["low"], row["high"]),
            "seeds": row["seeds"],
            "direction": row["direction"],
            "untrained": number(row["untrained_change"], "+.2f"),
            "added by training": with_interval(row["added"], row["added_low"], row["added_high"], "+"),
            "rank correlation": number(row["correlation"]),
            "blocks": row["blocks"],
        }
        for row in entropy.to_dict("records")
    )


def _interval(low: float, high: float) -> str:
    return "-" if pd.isna(low) else f"{low:+.2f} to {high:+.2f}"
