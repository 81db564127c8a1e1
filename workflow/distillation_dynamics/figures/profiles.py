"""What the figures of metrics over depth share: one panel with a curve a network.

In: rows of depth.parquet. Each curve is the mean over seeds, single seeds thin beside it; the teacher (or the first
network) and the baseline carry the 95 % interval over images as a band. It is no figure of its own.
"""

import math
from collections.abc import Iterable, Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..statistics.thresholds import INTERVAL
from .style import PAGE, Style, block_label, counts, label, last_epoch, legend_below, main_probe, need, wrapped

# Networks whose controls a title has room for.
IN_A_TITLE = 3
# Of a line above a panel.
MOST_LETTERS = 44


def final(tables: dict[str, pd.DataFrame], name: str, *columns: str) -> pd.DataFrame:
    """Return the rows of each network's last epoch on the main images; refuse as `need` does."""
    return last_epoch(main_probe(need(tables, name, *columns)))


def title(what: str, table: pd.DataFrame, said: str, style: Style, columns: Iterable[str]) -> str:
    """Return the title of a figure of `columns` over depth: what it shows, n, what the control says, bands, lines."""
    # Of one image there is no interval.
    several = table.loc[table["images"] > 1, "network"]
    names = ", ".join(map(label, style.banded(set(several))))
    seeds = "; thick lines: mean over seeds, thin: single seeds" if table["seed"].nunique() > 2 else ""
    bands = f"\nBands: 95 % interval over images ({names}){seeds}" if names else ""
    return wrapped(f"{what}, last epoch ({counts(table, *columns)}).\n{said}{bands}")


def trained_and_control(table: pd.DataFrame, column: str, style: Style) -> str:
    """Return what the last block of each of the first networks has, and its control's in brackets."""

    def last(name: str | None) -> str:
        rows = table[(table["network"] == name) & table[column].notna()]
        value = rows.nlargest(1, "block")[column].mean()
        return "no value" if np.isnan(value) else f"{float(f'{value:.2g}'):,g}"

    controls = style.names.controls
    texts = [
        f"{label(name)} {last(name)}" + (f" ({last(controls[name])})" if name in controls else "")
        for name in style.names.ordered[:IN_A_TITLE]
    ]
    return ", ".join(texts) + ",\N{NO-BREAK SPACE}..." * (len(style.names.networks) > IN_A_TITLE)


def block_names(table: pd.DataFrame) -> pd.Series:
    """Return network -> the names of its blocks in order."""
    blocks = table.drop_duplicates(["network", "block"]).sort_values("block")
    return blocks.groupby("network")["block_name"].agg(tuple)


def places_of(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return network -> where its blocks lie on the axis: by number if all have the same ones, or at relative depth."""
    blocks = block_names(table)
    named = blocks.nunique() == 1
    return {name: np.arange(len(own)) / (1 if named else max(len(own) - 1, 1)) for name, own in blocks.items()}


def profile(axes: Axes, table: pd.DataFrame, column: str, style: Style, text: str, log: bool = False) -> None:
    """Draw `column` over depth, `text` its name and unit, for all that have a value of it; say which have none.

    Blocks are named where all networks have the same ones; otherwise the axis is relative depth. `log`: a logarithmic
    axis, exact zeros being markers on its lower edge.
    """
    names = block_names(table)
    named, all_places = names.nunique() == 1, places_of(table)
    looks = style.looks(table["network"])
    absent, with_band, positive = [], style.banded(looks), False
    for name, look in looks.items():
        rows = table[table["network"] == name]
        if rows[column].isna().all():
            absent.append(name)
            continue
        places = all_places[name]
        mean = rows.groupby("block")[column].mean().to_numpy()
        positive |= bool((mean > 0).any())
        drawn = np.where(mean > 0, mean, np.nan) if log else mean
        look = {"markersize": 2.6, "linewidth": 1, **look}
        axes.plot(places, drawn, label=label(name), **look)
        if log and (mean == 0).any():
            zeros = places[mean == 0]
            look = {**look, "linestyle": "none", "clip_on": False, "markersize": 5, "markerfacecolor": "none"}
            axes.plot(zeros, 0 * zeros, transform=axes.get_xaxis_transform(), **look)
        if rows["seed"].nunique() > 1:
            for _, one in rows.groupby("seed"):
                value = one.sort_values("block")[column]
                axes.plot(
                    places, value.where(value > 0) if log else value, color=look["color"], linewidth=0.35, alpha=0.6
                )
        if name in with_band and f"{column}_se" in table:
            half = INTERVAL * rows.groupby("block")[f"{column}_se"].mean().to_numpy()
            axes.fill_between(places, drawn - half, drawn + half, color=look["color"], alpha=0.25, linewidth=0)
    if log and positive:
        log_scale(axes)
    if named:
        name_blocks(axes.xaxis, names.iloc[0])
    axes.set_xlabel("block" if named else "relative depth of the block")
    axes.set_ylabel(text)
    if len(absent) == len(looks) or (log and not positive):
        axes.set_yticks([])
    if absent:
        axes.set_title(_absent(absent, list(looks), style), loc="right", fontsize="x-small")


def grid(table: pd.DataFrame, style: Style, panels: dict[str, str], down: int, log: bool = False) -> Figure:
    """Return a figure of `down` rows with a panel for each column in `panels` (column -> name and unit)."""
    figure = Figure(figsize=(PAGE, 1.1 + 2.1 * down), layout="constrained")
    axes = figure.subplots(down, len(panels) // down, sharex=True, squeeze=False)
    for one, (column, text) in zip(axes.flat, panels.items(), strict=True):
        profile(one, table, column, style, text, log)
    for one in axes[:-1].flat:
        one.set_xlabel("")
    return figure


def say(figure: Figure, what: str, table: pd.DataFrame, said: str, style: Style, columns: Iterable[str]) -> None:
    """Write the title of a figure of `grid` above it, and the legend of all its panels below."""
    figure.suptitle(title(what, table, said, style, columns), fontsize="small")
    legend_below(figure, figure.axes, 4)


def draw_null(axes: Axes, places, null: pd.DataFrame, color, name: str) -> None:
    """Draw what a network has with permuted channels, `null` [mean, low, high] at `places`: mean dotted, a band."""
    mean, low, high = (null[column] for column in null)
    axes.fill_between(places, low, high, color=color, alpha=0.22, linewidth=0)
    axes.plot(places, mean, color=color, linewidth=0.7, linestyle=":", label=f"{name}, channels permuted")


def draw_references(
    panels: Mapping[str, Axes], tables: dict[str, pd.DataFrame], table: pd.DataFrame, style: Style, what: str
) -> None:
    """Draw what width, scale or the number of keys alone makes of each column in `panels`, dash-dotted.

    For the networks that carry a band, at the last epoch on the main images, mean over seeds; `what` it is, for the
    legend. `table` has the blocks that are drawn. Refuses as `need` does.
    """
    rows, places = main_probe(need(tables, "references")), places_of(table)
    looks = style.looks(table["network"])
    for name in style.banded(looks):
        blocks = rows[rows["network"] == name].groupby("block")
        for column, axes in panels.items():
            level = blocks[column].mean()
            if level.notna().any():
                line = {"color": looks[name]["color"], "linewidth": 0.8, "linestyle": (0, (5, 1, 1, 1))}
                axes.plot(places[name][level.index], level, label=f"{label(name)}, {what}", **line)


def name_blocks(axis: mpl.axis.Axis, names: tuple[str, ...], most: int = 8) -> None:
    """Name the blocks at places 0, 1, ... of an axis: at most `most` of them, long names upright on an x axis."""
    step = math.ceil(len(names) / most)
    shown = [block_label(name) for name in names[::step]]
    axis.set_ticks(range(0, len(names), step), shown)
    if axis.axis_name == "x" and max(map(len, shown)) > 2:
        axis.set_tick_params(rotation=90)


def log_if_wide(axes: Axes, values: pd.DataFrame) -> None:
    """Make the value axis logarithmic where positive values span more than a factor of 10."""
    low, high = np.nanmin(values), np.nanmax(values)
    if low > 0 and high > 10 * low:
        log_scale(axes)


def log_scale(axes: Axes) -> None:
    """Make the value axis logarithmic, with plain numbers: at 1, 2 and 5, or where those are too few."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    wide = high > 4 * low
    axes.yaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5)) if wide else mpl.ticker.MaxNLocator(5))
    axes.yaxis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
    axes.yaxis.set_minor_formatter(mpl.ticker.NullFormatter())


def _absent(absent: list[str], shown: list[str], style: Style) -> str:
    """Return which networks have no value, the students as one where it is all of them."""
    if set(absent) == set(shown):
        return "no network has a value"
    students = set(style.students(shown))
    together = bool(students) and students <= set(absent)
    names = [name for name in absent if not (together and name in students)] + ["students"] * together
    text = "no value: " + ", ".join(map(label, names))
    return text if len(text) <= MOST_LETTERS else f"no value: {len(names)} of them"
