"""Values for the template on similarity of networks. In: networks.parquet and names.

Descriptive, without tests.
"""

from typing import Any

import numpy as np
import pandas as pd

from ...ranking import MOST, shown
from ...spec.tables import Names
from ...statistics.evidence import Evidence
from ...words import number
from ..shape.overview import unmoved_controls
from . import CONTROLS, MEASURES, NETWORKS, OWN, SEEDS

SAID = {"cka": "CKA", "neighbours": "mutual neighbours", "procrustes": "Procrustes distance"}


def facts(evidence: Evidence) -> dict[str, Any]:
    """Return the values that the template uses; controls with identity blocks do not count."""
    table, names = evidence.tables["networks"], evidence.names
    unmoved = unmoved_controls(evidence.tables["shape"], names)
    rows = with_controls(table, names, unmoved)
    measures = [measure for measure in MEASURES if len(table) and table[measure].notna().any()]
    having = {measure: _having(rows, NETWORKS, measure) for measure in measures}
    first = next((measure for measure in measures if having[measure]), next(iter(measures), None))
    best = having[first][0] if first and having[first] else None
    listed = rows
    if len(rows) > MOST and first:
        known = [*having[first], *_having(rows, SEEDS, first)]
        listed = sorted(known, key=lambda row: row[first], reverse=MEASURES[first][1])[:MOST]
    said = SAID.get(first or "")
    counted = [row["cka_rows"] for row in rows if not np.isnan(row["cka_rows"])]
    return {
        "networks": len(names.networks),
        "compared": bool(rows) and bool(measures),
        "measure": said,
        "best": best and {**best, "value": best[first], "control": best["controls"].get(first, np.nan)},
        "pairs": len(having[first]) if first else 0,
        "seeds": [{**row, "value": row[first]} for row in _having(rows, SEEDS, first)] if first else [],
        "no_control": [
            names.controls[name]
            for name in ((best["network"], best["other"]) if best else ())
            if names.controls.get(name) in unmoved
        ],
        "second_seed": bool(names.seeds),
        "beyond": [_beyond(measure, pairs) for measure, pairs in having.items() if _controlled(measure, pairs)],
        "flat": [control for control in names.controls.values() if control in unmoved],
        "most_alike": [{"said": SAID[m], "pair": pair_of(pairs[0])} for m, pairs in having.items() if len(pairs) > 1],
        "rows": min(counted, default=None),
        "kind": next((row["cka_kind"] for row in rows if row["cka_kind"]), ""),
        "left_out": shown(len(rows), "pairs", f"the most alike by {said}", "statistics/networks.parquet"),
        "listed": pair_table(listed, []),
        "compared_pairs": len(rows),
        "possible_pairs": len(names.networks) * (len(names.networks) - 1) // 2,
    }


def with_controls(table: pd.DataFrame, names: Names, unmoved: set[str]) -> list[dict]:
    """Return the rows of pairs of two networks, each with its controls' row under `controls`."""
    control = {frozenset((row["network"], row["other"])): row for row in _kind(table, CONTROLS, unmoved)}
    pairs = table[table["kind"].isin([NETWORKS, SEEDS])].to_dict("records")
    return [{**row, "controls": _controls(row, names, control)} for row in pairs]


def _kind(table: pd.DataFrame, kind: str, unmoved: set[str]) -> list[dict]:
    rows = table[(table["kind"] == kind) & ~table["network"].isin(unmoved) & ~table["other"].isin(unmoved)]
    return rows.to_dict("records")


def _controls(row: dict, names: Names, control: dict[frozenset[str], dict]) -> dict:
    """Return the row of a pair's controls, empty if they were not compared or are useless."""
    both = frozenset(filter(None, (names.controls.get(row["network"]), names.controls.get(row["other"]))))
    return control.get(both, {})


def pair_of(row: dict) -> str:
    """Return 'vit and cait'."""
    return f"{row['network']} and {row['other']}"


def _having(rows: list[dict], kind: str, measure: str) -> list[dict]:
    """Return the pairs of a kind with a value of a measure, the most similar first."""
    known = [row for row in rows if row["kind"] == kind and not np.isnan(row[measure])]
    return sorted(known, key=lambda row: row[measure], reverse=MEASURES[measure][1])


def _controlled(measure: str, pairs: list[dict]) -> list[dict]:
    return [row for row in pairs if not np.isnan(row["controls"].get(measure, np.nan))]


def _beyond(measure: str, pairs: list[dict]) -> dict[str, Any]:
    """Return how many pairs are more similar than their controls, of those with compared controls."""
    known, sign = _controlled(measure, pairs), 1 if MEASURES[measure][1] else -1
    more = sum(sign * row[measure] > sign * row["controls"][measure] for row in known)
    return {"said": SAID[measure], "more": more, "of": len(known)}


def pair_table(rows: list[dict], own: list[dict]) -> pd.DataFrame:
    """Return one row per pair: two networks, two seeds, and then each network with its own control."""
    what = {NETWORKS: "two networks", SEEDS: "another seed", OWN: "network and its control"}
    return pd.DataFrame(
        {
            "pair": pair_of(row),
            "what": what[row["kind"]],
            "CKA": number(row["cka"]),
            "controls' CKA": number(row.get("controls", {}).get("cka", np.nan)),
            "mutual neighbours": number(row["neighbours"]),
            "controls' neighbours": number(row.get("controls", {}).get("neighbours", np.nan)),
            "by chance": number(row["neighbours_chance"]),
            "Procrustes": number(row["procrustes"]),
            "controls' Procrustes": number(row.get("controls", {}).get("procrustes", np.nan)),
            "shuffled": number(row["procrustes_shuffled"]),
        }
        for row in [*rows, *own]
    )
