"""Values for the template on class probes."""

from typing import Any

import pandas as pd

from ...ranking import ordered, shown, top
from ...statistics.evidence import Evidence
from ...words import number

NAN = float("nan")


def facts(evidence: Evidence) -> dict[str, Any]:
    """Return the values that the template uses: for each probe the networks with their controls, and a table."""
    found = evidence.tables["class_probes"]
    probes = {probe: networks for probe in ("linear", "nearest") if (networks := _networks(found, evidence, probe))}
    return {
        "probes": probes,
        "chance": found["chance"].max() if len(found) else NAN,
        "images": int(found["images"].max()) if len(found) else 0,
        "rows": table([row for networks in probes.values() for row in top(networks)]),
        "left_out": shown(
            max(map(len, probes.values()), default=0),
            "networks",
            "of each probe the highest top-1",
            "statistics/class_probes.parquet",
        ),
    }


def _networks(found: pd.DataFrame, evidence: Evidence, probe: str) -> list[dict[str, Any]]:
    """Return the networks that have a value of a probe, each with the best of its control (NaN: none).

    Many come by their value.
    """
    rows = {row["network"]: row for row in found[found["probe"] == probe].to_dict("records")}
    controls = evidence.names.controls
    own = pd.DataFrame([
        rows[name] | {"control": rows.get(controls.get(name), {}).get("top1", NAN)}
        for name in evidence.names.ordered
        if name in rows
    ])  # fmt: skip
    return ordered(own, own["top1"]).to_dict("records") if len(own) else []


def table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return one row per network and probe for the report."""
    return pd.DataFrame(
        {
            "network": row["network"],
            "probe": row["probe"],
            "best block": row["block_name"],
            "best": number(row["top1"], ".1f"),
            "last block": number(row["last_top1"], ".1f"),
            "its control": number(row["control"], ".1f"),
        }
        for row in rows
    )
