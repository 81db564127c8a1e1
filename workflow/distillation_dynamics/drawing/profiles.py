"""What the figures of metrics over depth share: a row of panels a metric, networks left, what variants change right.

In: rows of depth.parquet. Left stand the levels of networks, their controls and the baseline; right of them each
variant as its difference (or ratio) to the baseline of the same seed, a few in each panel, named below it. Lines are
means over seeds.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..statistics.bins import PER_BIN, too_few
from ..statistics.thresholds import INTERVAL
from . import hollow
from .axis import few_ticks, log_scale, name_blocks
from .layout import Room, column_title, inches_of, letters, names_below, rows_below, sheet
from .style import PAGE, SMALL, Style, counts, label, last_epoch, main_images, mean_and_half, need

# Panels side by side, variants that one of them holds, and networks with their controls.
ACROSS, VARIANTS, NETWORKS = 4, 4, 4
HEIGHT = 0.85
ROOM = Room(left=0.86, gap=0.36, between=0.24, above=0.34)


class PanelColumn(NamedTuple):
    """Who is in a column of panels; of `beside` they are drawn as differences to it."""

    members: tuple[str, ...]
    beside: str | None = None


def final(tables: dict[str, pd.DataFrame], name: str, *columns: str) -> pd.DataFrame:
    """Return the rows of each network's last epoch on the main images; refuse as `need` does."""
    return last_epoch(main_images(need(tables, name, *columns)))


def title(what: str, table: pd.DataFrame, columns: Iterable[str]) -> str:
    """Return the title of a figure of `columns` of a table: what it shows and n, so that it fits on a line."""
    return f"{what}, last epoch ({counts(table, *columns)})"


def bands(table: pd.DataFrame, style: Style, columns: Iterable[str]) -> str:
    """Return what the bands of a figure of `grid` are; nothing of what it has none of."""
    several = set(table.loc[table["images"] > 1, "network"])
    text = ", ".join(map(label, style.banded(several)))
    said = [f"Bands: 95 % interval over images ({text})"] * bool(text)
    students = [name for name in style.students(table["network"]) if name in style.names.against]
    if students:
        seeds = table[table["network"].isin(students)].dropna(subset=list(columns), how="all")["seed"].nunique()
        what = "95 % t interval over seeds, paired" if seeds > 1 else "no interval, one seed was measured"
        said.append(f"{'differences' if said else 'Differences'}: {what}")
    return "; ".join(said) + "." * bool(said)


def columns_of(shown: Iterable[str], style: Style) -> list[PanelColumn]:
    """Return who stands in which column of panels: networks, their controls and the baseline, then other variants."""
    shown = list(dict.fromkeys(shown))
    networks = [name for name in style.names.ordered if {name, style.names.controls.get(name)} & set(shown)]
    others = [name for name in style.students(shown) if name in style.names.against]
    beside = [name for name in style.names.baselines.values() if name in shown]
    left = max(1, min(ACROSS, len(networks))) if not others else 1 if len(networks) <= NETWORKS else 2
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


def grid(
    table: pd.DataFrame, style: Style, panels: Mapping[str, str], what: str, note: str = "", log: Iterable[str] = (),
    height: float = HEIGHT,
) -> tuple[Figure, dict[str, list[Axes]]]:  # fmt: skip
    """Return a figure of a row for each column of the table in `panels`, and its panels by that column.

    `panels`: column -> its name and unit. `what` the figure shows is its title; a `note` stands below, before what the
    bands are. Those in `log` have logarithmic axes, exact zeros being hollow markers on the lower edge, and of variants
    ratios to the baseline instead of differences.
    """
    columns = columns_of(table["network"], style)
    width = (PAGE - ROOM.left - ROOM.right - ROOM.gap * (len(columns) - 1)) / len(columns)
    names = [rows_below(map(label, column.members), width + ROOM.gap) for column in columns]
    room = ROOM.with_legend(max(names))
    note = " ".join(part for part in (note, bands(table, style, panels), hollow.note(table, panels)) if part)
    figure, axes = sheet(len(panels), len(columns), height, title(what, table, panels), note, room, sharex="col")
    drawn: dict[bool, set[str]] = {False: set(), True: set()}
    for line, column in zip(axes.T, columns, strict=True):
        own = table[table["network"].isin((*column.members, column.beside))]
        draw = _changes if column.beside else levels
        drawn[column.beside is not None] |= draw(dict(zip(panels, line, strict=True)), own, column, style, log)
    for row, (name, text) in zip(axes, panels.items(), strict=True):
        row[0].set_ylabel(text)
        for beside in (False, True):
            alike = [one for one, column in zip(row, columns, strict=True) if (column.beside is not None) == beside]
            _scale(alike, name in drawn[beside], name in log, beside)
    _heads(axes, columns, panels, list(log))
    names_below({lowest: axes[:, place] for place, lowest in enumerate(axes[-1])}, room.below, room.gap)
    return figure, dict(zip(panels, map(list, axes), strict=True))


def _scale(row: list[Axes], drawn: bool, log: bool, beside: bool) -> None:
    """Let panels of one row share a scale, numbered at the first of them; without numbers where nothing is drawn."""
    for axes in row[1:]:
        axes.sharey(row[0])
        axes.tick_params(labelleft=False)
    for axes in row[:1]:
        axes.autoscale(axis="y")
        if not drawn:
            axes.set_yticks([])
        elif log:
            log_scale(axes, about=beside)
        else:
            few_ticks(axes)


def _heads(axes: np.ndarray, columns: list[PanelColumn], panels: Mapping[str, str], log: list[str]) -> None:
    """Name the first column of levels and the first of differences, and rows of ratios among those of differences."""
    kinds = {"ratio" if column in log else "difference" for column in panels}
    for place, column in enumerate(columns):
        if place == 0:
            column_title(axes[0, 0], "levels", 9)
        elif column.beside and not columns[place - 1].beside:
            kind = f"{' or '.join(sorted(kinds))} to {label(column.beside)}, the same seed"
            column_title(axes[0, place], f"variants: {kind}", 9)
            for row, name in zip(axes[:, place], panels, strict=True):
                row.set_title("" if len(kinds) == 1 else "ratio" if name in log else "difference", loc="left",
                              fontsize=SMALL)  # fmt: skip


def levels(
    panels: Mapping[str, Axes], table: pd.DataFrame, column: PanelColumn, style: Style, log: Iterable[str] = ()
) -> set[str]:
    """Draw each column of a table in `panels` over depth, of the members of a column of panels; return what is drawn.

    Who has no value is named above. Of those in `log` exact zeros are hollow markers on the lower edge.
    """
    looks, places, drawn = style.looks(table["network"]), places_of(table), set()
    known = [name for metric in panels for name in (metric, f"{metric}_se", PER_BIN.get(metric, "")) if name in table]
    means = dict(iter(table.groupby(["network", "block"])[known].mean().groupby("network")))
    for metric, axes in panels.items():
        absent, zeros = [], 0
        for name, look in looks.items():
            if metric not in table or means[name][metric].isna().all():
                absent.append(name)
                axes.plot([], [], label=label(name), **look)
                continue
            values = means[name][metric].to_numpy()
            mean = np.where(values > 0, values, np.nan) if metric in log else values
            if np.isfinite(mean).any():
                drawn.add(metric)
            axes.plot(places[name], mean, label=label(name), **look)
            hollow.mark_too_few(axes, places[name], mean, too_few(means[name], metric).to_numpy(), look)
            if metric in log:
                zeros += _zeros(axes, places[name][values == 0], look, zeros)
            if name in style.banded(looks) and f"{metric}_se" in table:
                half = INTERVAL * means[name][f"{metric}_se"].to_numpy()
                axes.fill_between(places[name], mean - half, mean + half, color=look["color"], alpha=0.25, linewidth=0)
        if absent:
            most = letters(inches_of(axes)[0] + 0.3)
            axes.set_title(_absent(absent, list(looks), style, most), loc="right", fontsize=SMALL)
    lowest = list(panels.values())[-1]
    lowest.set_xlabel(name_depth(lowest, table))
    return drawn


def _changes(
    panels: Mapping[str, Axes], table: pd.DataFrame, column: PanelColumn, style: Style, log: Iterable[str]
) -> set[str]:
    """Draw each column of a table in `panels` over blocks, of each member as its difference to the baseline's.

    The same seeds are compared; the mean over them has, of two or more, its 95 % t interval as a band. Of those in
    `log` they are ratios; where one would be that of zeros, a hollow marker on the lower edge says that the member's
    value is zero. Return what is drawn.
    """
    drawn, beside = set(), column.beside
    assert beside is not None, "differences are to a baseline"
    known = [metric for metric in panels if metric in table]
    seeds = {
        name: rows.groupby(["block", "seed"])[known].mean().unstack("seed")
        for name, rows in table[table["seed"].notna()].groupby("network")
    }
    for metric, axes in panels.items():
        zeros, ratio = 0, metric in log
        for name, look in style.looks(column.members).items():
            axes.plot([], [], label=label(name), **look)
            if metric not in known or not {name, beside} <= seeds.keys():
                continue
            own, base = seeds[name][metric], seeds[beside][metric]
            with np.errstate(divide="ignore", invalid="ignore"):
                each = (np.log(own / base) if ratio else own - base).to_numpy()
            each = np.where(np.isfinite(each), each, np.nan)
            each = each[:, np.isfinite(each).any(axis=0)]
            if each.size == 0:
                continue
            drawn.add(metric)
            mean, half = mean_and_half(each)
            out = np.exp if ratio else np.asarray
            axes.plot(own.index, out(mean), **look)
            if each.shape[1] > 1:
                band = out(mean - half), out(mean + half)
                axes.fill_between(own.index, *band, color=look["color"], alpha=0.15, linewidth=0)
            if ratio:
                zeros += _zeros(axes, own.index.to_numpy()[own.mean(axis=1) == 0], look, zeros)
        color = style.looks([beside])[beside]["color"]
        axes.axhline(1 if ratio else 0, color=color, linewidth=0.8, linestyle=(0, (5, 2)), zorder=1)
        if metric not in drawn:
            axes.text(0.5, 0.5, "no value", transform=axes.transAxes, ha="center", va="bottom", fontsize=SMALL)
    lowest = list(panels.values())[-1]
    lowest.set_xlabel(name_depth(lowest, table))
    return drawn


def name_depth(axes: Axes, table: pd.DataFrame) -> str:
    """Name the blocks below a panel if all networks have the same ones, else number relative depth; return which."""
    names = block_names(table)
    if names.nunique() == 1:
        name_blocks(axes.xaxis, names.iloc[0])
        return "block"
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    return "relative depth"


def _zeros(axes: Axes, places: np.ndarray, look: Mapping[str, Any], before: int) -> bool:
    """Mark exact zeros on the lower edge of a logarithmic axis, around those of `before` others; return whether any."""
    if len(places):
        look = {**look, "linestyle": "none", "clip_on": False, "markerfacecolor": "none", "markeredgewidth": 0.7}
        axes.plot(places, 0 * places, transform=axes.get_xaxis_transform(), **{**look, "markersize": 3 + 2 * before})
    return bool(len(places))


def block_names(table: pd.DataFrame) -> pd.Series:
    """Return network -> the names of its blocks in order."""
    blocks = table.drop_duplicates(["network", "block"]).sort_values("block")
    return blocks.groupby("network")["block_name"].agg(tuple)


def places_of(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return network -> where its blocks lie on the axis: by number if all have the same ones, or at relative depth."""
    blocks = block_names(table)
    named = blocks.nunique() == 1
    return {name: np.arange(len(own)) / (1 if named else max(len(own) - 1, 1)) for name, own in blocks.items()}


def draw_null(axes: Axes, places, null: pd.DataFrame, color) -> None:
    """Draw what a network has with permuted channels, `null` [mean, low, high] at `places`: mean dotted, a band."""
    mean, low, high = (null[column] for column in null)
    axes.fill_between(places, low, high, color=color, alpha=0.18, linewidth=0)
    axes.plot(places, mean, color=color, linewidth=0.7, linestyle=":")


def draw_references(
    panels: Mapping[str, list[Axes]], tables: dict[str, pd.DataFrame], table: pd.DataFrame, style: Style
) -> None:
    """Draw what width, scale or the number of keys alone makes of each column in `panels`, dash-dotted.

    For the networks that carry a band, in the panel that has their level: at the last epoch on the main images, mean
    over seeds. `table` has the blocks that are drawn. Refuses as `need` does.
    """
    rows = main_images(need(tables, "references"))
    for place, column in enumerate(columns_of(table["network"], style)):
        if column.beside:
            continue
        places, looks = places_of(table[table["network"].isin(column.members)]), style.looks(column.members)
        for name in style.banded(column.members):
            blocks = rows[rows["network"] == name].groupby("block")
            for metric, row in panels.items():
                level = blocks[metric].mean()
                if level.notna().any():
                    line = {"color": looks[name]["color"], "linewidth": 0.8, "linestyle": (0, (5, 1, 1, 1, 1, 1))}
                    row[place].plot(places[name][level.index], level, label=f"_{label(name)}, reference", **line)


def _absent(absent: list[str], shown: list[str], style: Style, most: int) -> str:
    """Return which networks have no value, the students as one where it is all of them."""
    if set(absent) == set(shown):
        return "no value"
    controls = style.names.controls
    both = [name for name in absent if controls.get(name) in absent]
    alone = [name for name in absent if name not in both and name not in map(controls.get, both)]
    names = [*(f"{label(name)} and control" for name in both), *map(label, alone)]
    text = "no value: " + ", ".join(names)
    return text if len(text) <= most else f"no value: {len(absent)} of them"
