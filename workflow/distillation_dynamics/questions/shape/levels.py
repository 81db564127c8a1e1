"""Levels that width, scale or the number of keys alone makes, beside those measured: what the words are told.

In: the frame of references.parquet and who is who. Two networks of different width differ in such levels whatever they
learned, so that what is read is the distance from the reference.
"""

from typing import Any

import pandas as pd

from ...spec.tables import MAIN_IMAGE_SET, Names
from ...words import listed, span
from .references import LEVELS


def levels(references: pd.DataFrame, names: Names) -> dict[str, Any]:
    """Return `metrics`, how far each of them lies from its reference, and their `table`; no metrics without any."""
    rows = references[references["probe"] == MAIN_IMAGE_SET]
    shown = [name for name in LEVELS if (rows[f"{name}_measured"].notna() & rows[name].notna()).any()]
    return {"metrics": [_distance(rows, name) for name in shown], "table": _table(rows, names, shown)}


def form_of(name: str) -> str:
    """Return with how many digits a level is written."""
    return ".3f" if name == "intensity_per_rms" else ".2f"


def _distance(rows: pd.DataFrame, name: str) -> dict[str, Any]:
    """Return how far the references of a metric lie apart and how far the networks lie from them, at most."""
    known = rows[rows[f"{name}_measured"].notna() & rows[name].notna()]
    away = known[f"{name}_measured"] - known[name]
    farthest = known.loc[away.abs().idxmax()]
    return {
        **{"metric": name, "levels": span(known[name], form_of(name)), "networks": known["network"].nunique()},
        "unit": f" {LEVELS[name]}" if LEVELS[name] else "",
        "away": [f"{end:+{form_of(name)}}" for end in (away.min(), away.max())],
        "farthest": {"network": farthest["network"], "block": farthest["block"]},
    }


def _table(rows: pd.DataFrame, names: Names, shown: list[str]) -> pd.DataFrame:
    """Return a row a network, students as means over seeds."""
    found = []
    for network in (*names.fixed, *names.variants):
        own = rows[rows["network"] == network]
        if own.empty:
            continue
        blocks = own.groupby("block").mean(numeric_only=True)
        row = {"network": network, "channels": listed([f"{width:,}" for width in sorted(set(own["channels"]))])}
        for name in shown:
            row[name] = f"{span(blocks[f'{name}_measured'], form_of(name))} ({span(blocks[name], form_of(name))})"
        found.append(row)
    return pd.DataFrame(found)
