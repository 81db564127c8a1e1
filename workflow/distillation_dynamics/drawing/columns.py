"""Who stands in which column of panels over depth: networks with their controls and the baseline, then variants."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd

from .style import Style

# Panels side by side, variants that one of them holds, and networks with their controls.
ACROSS, VARIANTS, NETWORKS = 4, 4, 2


class PanelColumn(NamedTuple):
    """Who is in a column of panels; of `beside` they are drawn as differences to it."""

    members: tuple[str, ...]
    beside: str | None = None


def compared_over_seeds(table: pd.DataFrame, style: Style, metrics: Iterable[str]) -> list[str]:
    """Return the variants other than baselines of which any metric was measured with two or more seeds."""
    known = [metric for metric in metrics if metric in table]
    others = [name for name in style.students(table["network"]) if name in style.names.against]
    rows = table[table["network"].isin(others)].dropna(subset=known, how="all") if known else table.iloc[:0]
    seeds = rows.groupby("network")["seed"].nunique()
    return [name for name in others if seeds.get(name, 0) > 1]


def columns_of(shown: Iterable[str], style: Style) -> list[PanelColumn]:
    """Return who stands in which column of panels: networks, their controls and the baseline, then other variants."""
    shown = list(dict.fromkeys(shown))
    networks = [name for name in style.names.ordered if {name, style.names.controls.get(name)} & set(shown)]
    others = [name for name in style.students(shown) if name in style.names.against]
    beside = [name for name in style.names.baselines.values() if name in shown]
    left = max(1, min(2 if others else ACROSS, math.ceil(len(networks) / NETWORKS)))
    right = min(ACROSS - left, math.ceil(len(others) / VARIANTS))
    columns = []
    for number, part in enumerate(split(networks, left) or [[]]):
        pairs = [one for name in part for one in (name, style.names.controls.get(name)) if one in shown]
        columns.append(PanelColumn((*pairs, *beside) if number == 0 else (*pairs,)))
    if not beside:
        return [*columns, *(PanelColumn(tuple(part)) for part in split(others, right))]
    for baseline in beside:
        own = [name for name in others if style.names.baseline_of(name) == baseline]
        columns += [PanelColumn(tuple(part), baseline) for part in split(own, max(1, right // len(beside)))]
    return columns


def split(names: list[str], parts: int) -> list[list[str]]:
    """Return names in order, in so many parts of about the same size."""
    return [list(part) for part in np.array_split(np.array(names, dtype=object), parts)] if names else []
