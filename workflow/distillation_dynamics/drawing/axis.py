"""How axes are numbered: blocks by name, and few round numbers, so that none covers another."""

import math
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from .layout import NAMES, fitted
from .style import block_label, label


def names_shown(names: tuple[str, ...], most: int = 8) -> tuple[list[str], range]:
    """Return at most `most` names of blocks, by number where that tells them apart, and their places."""
    stems = [name.rstrip("0123456789") for name in names]
    numbers = [name.removeprefix(stem) for name, stem in zip(names, stems, strict=True)]
    shown = numbers if len(set(stems)) == 1 and all(numbers) else list(map(block_label, names))
    if max(map(len, shown)) > 2:
        most = min(most, 4)
    step = math.ceil(len(names) / most)
    return shown[::step], range(0, len(names), step)


def name_blocks(axis: mpl.axis.Axis, names: tuple[str, ...], most: int = 8) -> None:
    """Name the blocks at places 0, 1, ... of an axis, at most `most` of them; by number where that tells them apart."""
    shown, places = names_shown(names, most)
    axis.set_ticks(places, shown)


def names_of_blocks(table: pd.DataFrame, column: str = "block") -> tuple[str, ...]:
    """Return the names of the blocks that a column of a table numbers, in order."""
    return tuple(table.drop_duplicates(column).sort_values(column)[f"{column}_name"])


def name_rows(axes: Axes, names: Sequence[str], lines: int = 2) -> None:
    """Name rows 0, 1, ... from above, each in up to `lines` within the room that `layout.NAMES` leaves at the left."""
    axes.set_yticks(range(len(names)), [fitted(label(name), NAMES - 0.12, lines=lines) for name in names])
    axes.set_ylim(len(names) - 0.45, -0.55)


def few_ticks(axes: Axes, most: int = 4, axis: str = "y") -> None:
    """Let an axis have a few ticks at round numbers."""
    one = axes.yaxis if axis == "y" else axes.xaxis
    one.set_major_locator(mpl.ticker.MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]))


def log_if_wide(axes: Axes, values: pd.DataFrame) -> None:
    """Make the value axis logarithmic where positive values span more than a factor of 10."""
    low, high = np.nanmin(values), np.nanmax(values)
    if low > 0 and high > 10 * low:
        log_scale(axes)


def log_scale(axes: Axes, about: bool = False) -> None:
    """Make the value axis logarithmic, with plain numbers: at decades, at 1, 2 and 5, or where those are too few.

    `about`: values are ratios, and 1 is in the middle of the least that is shown, half to double.
    """
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    if about:
        low, high = min(low, 0.77), max(high, 1.3)
        axes.set_ylim(low, high)
    span = math.log10(high / low)
    locator: mpl.ticker.Locator
    if span > 0.7:
        locator = mpl.ticker.LogLocator(subs=(1,) if span > 1.6 else (1, 2, 5) if span < 1.2 else (1, 3), numticks=5)
    else:
        locator = mpl.ticker.MaxNLocator(4, steps=[1, 2, 2.5, 5, 10])
    axes.yaxis.set_major_locator(locator)
    axes.yaxis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
    axes.yaxis.set_minor_formatter(mpl.ticker.NullFormatter())


def name_depth(axes: Axes, table: pd.DataFrame) -> str:
    """Name the blocks below a panel if all networks have the same ones, else number relative depth; return which."""
    names = block_names(table)
    if names.nunique() == 1:
        name_blocks(axes.xaxis, names.iloc[0])
        return "block"
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    return "relative depth"


def block_names(table: pd.DataFrame) -> pd.Series:
    """Return network -> the names of its blocks in order."""
    blocks = table.drop_duplicates(["network", "block"]).sort_values("block")
    return blocks.groupby("network")["block_name"].agg(tuple)


def places_of(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return network -> where its blocks lie on the axis: by number if all have the same ones, or at relative depth."""
    blocks = block_names(table)
    named = blocks.nunique() == 1
    return {name: np.arange(len(own)) / (1 if named else max(len(own) - 1, 1)) for name, own in blocks.items()}
