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

from ..statistics.thresholds import INTERVAL
from .axis import few_ticks, log_scale, name_blocks
from .layout import Room, column_title, inches_of, letters, names_below, rows_below, sheet
from .style import PAGE, SMALL, Style, counts, label, last_epoch, main_probe, mean_and_half, need

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
    return last_epoch(main_probe(need(tables, name, *columns)))


def title(what: str, table: pd.DataFrame, columns: Iterable[str]) -> str:
    """Return the title of a figure of `columns` of a table: what it shows and n, so that it fits on a line."""
    return f"{what}, last epoch ({counts(table, *columns)})"


def bands(table: pd.DataFrame, style: Style, columns: Iterable[str]) -> str:
    """Return what the bands of a figure of `grid` are; nothing of what it has none of."""
    several = set(table.loc[table["images"] > 1, "network"])
    text = ", ".join(map(label, style.banded(several)))
    said = [f"Bands: 95 % interval over images ({text})"] * bool(text)
    students = [name for name in style.students(table["network"]) if name != style.names.baseline]
    if students:
        seeds = table[table["network"].isin(students)].dropna(subset=list(columns), how="all")["seed"].nunique()
        what = "95 % t interval over seeds, paired" if seeds > 1 else "no interval, one seed was measured"
        said.append(f"{'differences' if said else 'Differences'}: {what}")
    return "; ".join(said) + "." * bool(said)


def columns_of(shown: Iterable[str], style: Style) -> list[PanelColumn]:
    """Return who stands in which column of panels: networks, their controls and the baseline, then other variants."""
    shown = list(dict.fromkeys(shown))
    networks = [name for name in style.names.ordered if {name, style.names.controls.get(name)} & set(shown)]
    others = [name for name in style.students(shown) if name != style.names.baseline]
    beside = style.names.baseline if style.names.baseline in shown else None
    left = max(1, min(ACROSS, len(networks))) if not others else 1 if len(networks) <= NETWORKS else 2
    right = min(ACROSS - left, math.ceil(len(others) / VARIANTS))
    columns = []
    for number, part in enumerate(split(networks, left) or [[]]):
        pairs = [one for name in part for one in (name, style.names.controls.get(name)) if one in shown]
        columns.append(PanelColumn((*pairs, beside) if number == 0 and beside is not None else (*pairs,)))
    return [*columns, *(PanelColumn(tuple(part), beside) for part in split(others, right))]


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
    note = " ".join(part for part in (note, bands(table, style, panels)) if part)
    figure, axes = sheet(len(panels), len(columns), height, title(what, table, panels), note, room, sharex="col")
    for row, (column, text) in zip(axes, panels.items(), strict=True):
        _row(row, columns, table, column, style, column in log)
        row[0].set_ylabel(text)
    _heads(axes, columns, panels, list(log))
    for one in axes[:-1].flat:
        one.set_xlabel("")
        one.tick_params(labelbottom=False)
    names_below({lowest: axes[:, place] for place, lowest in enumerate(axes[-1])}, room.below, room.gap)
    return figure, dict(zip(panels, map(list, axes), strict=True))


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


def _row(row: np.ndarray, columns: list[PanelColumn], table: pd.DataFrame, name: str, style: Style, log: bool) -> None:
    first: dict[bool, Axes] = {}
    found = {True: False, False: False}
    for axes, column in zip(row, columns, strict=True):
        rows = table[table["network"].isin(column.members)]
        if column.beside:
            both = table[table["network"].isin([*column.members, column.beside])]
            drawn = differences(axes, both, name, column.members, column.beside, style, log)
        else:
            drawn = profile(axes, rows, name, style, "", log)
        kind = column.beside is not None
        found[kind] |= drawn
        if kind in first:
            axes.sharey(first[kind])
            axes.tick_params(labelleft=False)
        first.setdefault(kind, axes)
    for kind, axes in first.items():
        axes.autoscale(axis="y")
        if not found[kind]:
            axes.set_yticks([])
        elif log:
            log_scale(axes, about=kind)
        else:
            few_ticks(axes)


def profile(axes: Axes, table: pd.DataFrame, column: str, style: Style, text: str, log: bool = False) -> bool:
    """Draw `column` over depth, `text` its name and unit, for all that have a value of it; return whether any has.

    Who has none is named above. Blocks are named where all networks have the same ones; otherwise the axis is relative
    depth. `log`: for a logarithmic axis, exact zeros being hollow markers on its lower edge.
    """
    names = block_names(table)
    named, all_places = names.nunique() == 1, places_of(table)
    looks = style.looks(table["network"])
    absent, with_band, positive, zeros = [], style.banded(looks), False, 0
    for name, look in looks.items():
        rows = table[table["network"] == name]
        if column not in rows or rows[column].isna().all():
            absent.append(name)
            axes.plot([], [], label=label(name), **look)
            continue
        blocks = rows.groupby("block")
        mean = blocks[column].mean().to_numpy()
        positive |= bool((mean > 0).any())
        drawn = np.where(mean > 0, mean, np.nan) if log else mean
        axes.plot(all_places[name], drawn, label=label(name), **look)
        if log:
            zeros += _zeros(axes, all_places[name][mean == 0], look, zeros)
        if name in with_band and f"{column}_se" in table:
            half = INTERVAL * blocks[f"{column}_se"].mean().to_numpy()
            axes.fill_between(
                all_places[name], drawn - half, drawn + half, color=look["color"], alpha=0.25, linewidth=0
            )
    if named:
        name_blocks(axes.xaxis, names.iloc[0])
    else:
        axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.set_xlabel("block" if named else "relative depth")
    axes.set_ylabel(text)
    if absent:
        most = letters(inches_of(axes)[0] + 0.3)
        axes.set_title(_absent(absent, list(looks), style, most), loc="right", fontsize=SMALL)
    return positive if log else len(absent) < len(looks)


def differences(
    axes: Axes, table: pd.DataFrame, column: str, members: Iterable[str], beside: str, style: Style, ratio: bool
) -> bool:
    """Draw `column` of each member over blocks as its difference (or ratio) to `beside` of the same seed.

    Return whether any has one. The mean over seeds has, of two or more, its 95 % t interval as a band. Where a ratio
    would be that of zeros, a hollow marker on the lower edge says that the member's value is zero.
    """
    looks = style.looks(members)
    table = table if column in table else table.assign(**{column: np.nan})
    values = table.pivot_table(values=column, index="block", columns=["network", "seed"], dropna=False)
    names = table.drop_duplicates("block").sort_values("block")["block_name"]
    there = values.columns.get_level_values(0)
    found, zeros = False, 0
    for name, look in looks.items():
        axes.plot([], [], label=label(name), **look)
        if name not in there or beside not in there:
            continue
        own, base = values[name], values[beside]
        shared = own.columns.intersection(base.columns)
        with np.errstate(divide="ignore", invalid="ignore"):
            each = (np.log(own[shared] / base[shared]) if ratio else own[shared] - base[shared]).to_numpy()
        each = np.where(np.isfinite(each), each, np.nan)
        each = each[:, np.isfinite(each).any(axis=0)]
        if each.size == 0:
            continue
        found = True
        mean, half = mean_and_half(each)
        out = np.exp if ratio else np.asarray
        axes.plot(values.index, out(mean), **look)
        if each.shape[1] > 1:
            band = out(mean - half), out(mean + half)
            axes.fill_between(values.index, *band, color=look["color"], alpha=0.15, linewidth=0)
        if ratio:
            zeros += _zeros(axes, values.index.to_numpy()[own.mean(axis=1) == 0], look, zeros)
    color = style.looks([beside])[beside]["color"]
    axes.axhline(1 if ratio else 0, color=color, linewidth=0.8, linestyle=(0, (5, 2)), zorder=1)
    name_blocks(axes.xaxis, tuple(names))
    axes.set_xlabel("block")
    if not found:
        axes.text(0.5, 0.5, "no value", transform=axes.transAxes, ha="center", va="bottom", fontsize=SMALL)
    return found


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
    rows = main_probe(need(tables, "references"))
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
