"""How axes are numbered: blocks by name, and few round numbers, so that none covers another."""

import math
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from .layout import NAMES, fitted
from .style import block_label, label

# Of a change that counts: axes that go no further than so many of it are linear.
FEW = 4


def name_blocks(axis: mpl.axis.Axis, names: tuple[str, ...], most: int = 8) -> None:
    """Name the blocks at places 0, 1, ... of an axis, at most `most` of them; by number where that tells them apart."""
    stems = [name.rstrip("0123456789") for name in names]
    numbers = [name.removeprefix(stem) for name, stem in zip(names, stems, strict=True)]
    shown = numbers if len(set(stems)) == 1 and all(numbers) else list(map(block_label, names))
    if max(map(len, shown)) > 2:
        most = min(most, 4)
    step = math.ceil(len(names) / most)
    axis.set_ticks(range(0, len(names), step), shown[::step])


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


def signed_scale(axes: Axes, low: float, high: float, around: float, most: int = 4) -> None:
    """Let the x axis of changes run from `low` < 0 to `high` > 0 with a few round numbers, 0 among them.

    Linear where it goes no further than a few times `around`; else linear as far as that and logarithmic beyond.
    """
    if max(-low, high) > FEW * around:
        axes.set_xscale("symlog", linthresh=around, linscale=0.4)
    axes.set_xlim(low, high)
    ticks = signed_ticks(low, high, axes.transData, most)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.xaxis.set_minor_locator(mpl.ticker.NullLocator())


def signed_ticks(low: float, high: float, placed: mpl.transforms.Transform, most: int = 4) -> list[float]:
    """Return 0 and round numbers between two ends, none nearer to another than a part in `most` of the axis."""
    decade = math.floor(math.log10(max(-low, high)))
    sizes = [step * 10.0**power for power in range(decade - 3, decade + 1) for step in (1, 2, 5)]
    candidates = [sign * size for size in sizes for sign in (1, -1) if low <= sign * size <= high]

    def place(value: float) -> float:
        return float(placed.transform((value, 0))[0])

    width, taken = place(high) - place(low), [0.0]
    # Of each size the rounder number first; of those the outermost, which say how far the axis goes.
    for value in sorted(candidates, key=lambda value: (-abs(value), value < 0)):
        if all(abs(place(value) - place(other)) >= width / most for other in taken):
            taken.append(value)
    return sorted(round(value, 12) for value in taken)
