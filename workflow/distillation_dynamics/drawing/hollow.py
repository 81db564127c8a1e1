"""Marks of blocks whose tokens spread over too few bins of an entropy, and what a figure says of them."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ..statistics.bins import TOO_FEW, too_few


def mark_too_few(axes: Axes, places: Any, values: Any, hollow: np.ndarray, look: Mapping[str, Any]) -> None:
    """Mark the points of a line that are `hollow`."""
    if hollow.any():
        mark = {"color": look["color"], "marker": "o", "linestyle": "none", "markersize": 3.4, "zorder": 4}
        axes.plot(places, np.where(hollow, values, np.nan), **mark, markerfacecolor="white", markeredgewidth=0.7)


def hatch_too_few(axes: Axes, hatched: np.ndarray, ends: tuple[float, float]) -> None:
    """Hatch the cells that are `hatched` of a picture [rows, columns] between its left and right end."""
    step = (ends[1] - ends[0]) / hatched.shape[1]
    for row, column in zip(*np.nonzero(hatched), strict=True):
        look: dict[str, Any] = {"facecolor": "none", "edgecolor": "white", "hatch": "//////", "linewidth": 0}
        left = ends[0] + column * step
        axes.fill_between([left, left + step], row - 0.5, row + 0.5, **look)


def note(table: pd.DataFrame, metrics: Iterable[str], mark: str = "Hollow") -> str:
    """Return what the marks say; empty where no block of a table has too few bins of one of `metrics`."""
    return f"{mark}: {TOO_FEW}." if any(too_few(table, metric).any() for metric in metrics) else ""
