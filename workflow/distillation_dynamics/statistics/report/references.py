"""Levels that width, scale or the number of keys alone makes, beside those measured: a paragraph and a table.

In: the frame of references.parquet and who is who. Out: Markdown. Two networks of different width differ in such levels
whatever they learned, so that what is read is the distance from the reference.
"""

import pandas as pd

from ...files import Column
from ...markdown import markdown
from ...spec.tables import MAIN_IMAGE_SET, Names
from ..references import LEVELS
from .words import listed, plural, spaced, span

SAID = {
    "entropy_standardised": "Gaussian tokens of as many channels",
    "entropy_fixed_range": "Gaussian tokens of as many channels and its RMS",
    "intensity_per_rms": "Gaussian tokens, 0.886 / sqrt(C)",
    "attention_entropy": "attention that prefers no key, log2 of the keys",
}


def section(references: pd.DataFrame, names: Names) -> list[str]:
    """Return the paragraphs on levels that are none of learning; none where nothing of them was measured."""
    rows = references[references["probe"] == MAIN_IMAGE_SET]
    shown = [name for name in LEVELS if (rows[f"{name}_measured"].notna() & rows[name].notna()).any()]
    if not shown:
        return []
    parts = [_distance(rows, name) for name in shown]
    return [
        "Levels that width or the number of keys alone makes (last epoch, lowest to highest block): " + " ".join(parts),
        markdown(_table(rows, names, shown), {"network": Column("", ""), "channels": Column("", "")} | _heads(shown)),
    ]


def _distance(rows: pd.DataFrame, name: str) -> str:
    """Return how far the references of a metric lie apart and how far the networks lie from them, at most."""
    known = rows[rows[f"{name}_measured"].notna() & rows[name].notna()]
    away = known[f"{name}_measured"] - known[name]
    worst = known.loc[away.abs().idxmax()]
    unit = f" {LEVELS[name]}" if LEVELS[name] else ""
    form = ".3f" if name == "intensity_per_rms" else ".2f"
    count, levels = plural(known["network"].nunique(), "network"), span(known[name], form)
    return (
        f"{spaced(name).capitalize()} of {SAID[name]}: {levels}{unit} in {count}; what was measured lies "
        f"{away.min():+{form}} to {away.max():+{form}}{unit} from that of its own block (farthest: {worst['network']}, "
        f"block {worst['block']})."
    )


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
            form = ".3f" if name == "intensity_per_rms" else ".2f"
            row[name] = f"{span(blocks[f'{name}_measured'], form)} ({span(blocks[name], form)})"
        found.append(row)
    return pd.DataFrame(found)


def _heads(shown: list[str]) -> dict[str, Column]:
    return {name: Column(f"{LEVELS[name]} (reference)".strip(), "") for name in shown}
