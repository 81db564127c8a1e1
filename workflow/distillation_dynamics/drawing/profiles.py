"""Metrics over depth: a row of panels a metric, networks left, what variants change right.

In: rows of depth.parquet. Left are the levels of networks, their controls and the baseline; right of them each variant
as its difference (or ratio) to the baseline of the same seed, a few in each panel, named below it. Lines are means over
seeds. Variants are drawn of two or more seeds: a difference without an interval cannot be read.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..statistics.bins import PER_BIN, too_few
from ..statistics.thresholds import INTERVAL
from . import hollow
from .axis import few_ticks, log_scale, name_depth, places_of
from .columns import PanelColumn, columns_of, compared_over_seeds
from .layout import Room, column_title, inches_of, letters, names_below, rows_below, sheet
from .style import PAGE, SMALL, Style, counts, label, last_epoch, main_images, mean_and_half, need

HEIGHT = 0.85
# Of the span of trained networks, the room above and below it.
MARGIN = 0.2
ROOM = Room(left=0.86, gap=0.36, between=0.24, above=0.34)


class Grid(NamedTuple):
    """A figure of `grid`, its panels by metric (a list in the order of columns), and its columns."""

    figure: Figure
    panels: dict[str, list[Axes]]
    columns: list[PanelColumn]


def final(tables: dict[str, pd.DataFrame], name: str, *columns: str) -> pd.DataFrame:
    """Return the rows of each network's last epoch on the main images; refuse as `need` does."""
    return last_epoch(main_images(need(tables, name, *columns)))


def title(what: str, table: pd.DataFrame, columns: Iterable[str]) -> str:
    """Return the title of a figure of `columns` of a table: what it shows and n, so that it fits on a line."""
    when = ", last epoch" if (table["epoch"] > 0).any() else ""
    return f"{what}{when} ({counts(table, *columns)})"


def bands(table: pd.DataFrame, style: Style, metrics: Iterable[str], compared: list[str], variants: bool) -> str:
    """Return what the bands of a figure of `grid` are, and why it has no `variants` where it could have them."""
    with_error = any(f"{metric}_se" in table for metric in metrics)
    several = set(table.loc[table["images"] > 1, "network"]) if with_error else set()
    text = ", ".join(map(label, style.banded(several)))
    said = [f"Bands: 95 % interval over images ({text})"] * bool(text)
    if compared:
        said.append(f"{'differences' if said else 'Differences'}: 95 % t interval over seeds, paired")
    left_out = [name for name in style.students(table["network"]) if name in style.names.against]
    note = "; ".join(said) + "." * bool(said)
    return note + " Variants were measured with one seed and are not drawn." * bool(
        variants and left_out and not compared
    )


def grid(
    table: pd.DataFrame, style: Style, panels: Mapping[str, str], what: str, note: str = "", log: Iterable[str] = (),
    height: float = HEIGHT, variants: bool = True,
) -> Grid:  # fmt: skip
    """Return a figure with a row for each column of the table in `panels`.

    `panels`: column -> its name and unit. `what` the figure shows is its title; a `note` is printed below, before what
    the bands are. Those in `log` have logarithmic axes, and ratios to the baseline instead of differences. With
    `variants` those measured with two or more seeds are compared with their baseline.
    """
    compared = compared_over_seeds(table, style, panels) if variants else []
    shown = dict.fromkeys(table["network"])
    columns = columns_of([name for name in shown if name not in style.names.against or name in compared], style)
    width = (PAGE - ROOM.left - ROOM.right - ROOM.gap * (len(columns) - 1)) / len(columns)
    names = [rows_below(map(label, column.members), width + ROOM.gap) for column in columns]
    room = ROOM.with_legend(max(names))
    said = bands(table, style, panels, compared, variants)
    table = table[table["network"].isin({name for column in columns for name in column.members})]
    note = " ".join(part for part in (note, said, hollow.note(table, panels)) if part)
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
            _scale(alike, name in drawn[beside], name in log, beside, style)
    _heads(axes, columns, panels, list(log))
    names_below({lowest: axes[:, place] for place, lowest in enumerate(axes[-1])}, room.below, room.gap)
    return Grid(figure, dict(zip(panels, map(list, axes), strict=True)), columns)


def _scale(row: list[Axes], drawn: bool, log: bool, beside: bool, style: Style) -> None:
    """Let panels of one row share a scale, numbered at the first of them; without numbers where nothing is drawn.

    Trained networks set the scale of levels: a control of another size would squeeze them into a line.
    """
    for axes in row[1:]:
        axes.sharey(row[0])
        axes.tick_params(labelleft=False)
    for axes in row[:1]:
        axes.autoscale(axis="y")
        if not beside:
            _fit_trained(row, log, style)
        if not drawn:
            axes.set_yticks([])
        elif log:
            log_scale(axes, about=beside)
        else:
            few_ticks(axes)


def _fit_trained(row: list[Axes], log: bool, style: Style) -> None:
    """Set the shared scale of a row to the lines of trained networks and a margin, where any has a value."""
    trained = {*map(label, style.names.trained), *(f"_{label(name)}, reference" for name in style.names.trained)}
    lines = [line for axes in row for line in axes.lines if line.get_label() in trained]
    values = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in lines] or [np.empty(0)])
    values = values[np.isfinite(values) & ((values > 0) | (not log))]
    if not values.size:
        return
    low, high = (np.log(values.min()), np.log(values.max())) if log else (values.min(), values.max())
    # A flat curve looks flat: ratios span a quarter at least.
    room = max(MARGIN * (high - low), (np.log(1.25) - high + low) / 2 if log else 0) or 0.05 * (abs(high) or 1)
    row[0].set_ylim(*(np.exp([low - room, high + room]) if log else (low - room, high + room)))


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

    Who has no value is named above.
    """
    looks, places, drawn = style.looks(table["network"]), places_of(table), set()
    known = [name for metric in panels for name in (metric, f"{metric}_se", PER_BIN.get(metric, "")) if name in table]
    means = dict(iter(table.groupby(["network", "block"])[known].mean().groupby("network")))
    for metric, axes in panels.items():
        absent = []
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

    The same seeds are compared, two or more; the mean over them has its 95 % t interval as a band. Of those in `log`
    they are ratios. Return what is drawn.
    """
    drawn, beside = set(), column.beside
    assert beside is not None, "differences are to a baseline"
    known = [metric for metric in panels if metric in table]
    seeds = {
        name: rows.groupby(["block", "seed"])[known].mean().unstack("seed")
        for name, rows in table[table["seed"].notna()].groupby("network")
    }
    for metric, axes in panels.items():
        ratio = metric in log
        for name, look in style.looks(column.members).items():
            axes.plot([], [], label=label(name), **look)
            if metric not in known or not {name, beside} <= seeds.keys():
                continue
            own, base = seeds[name][metric], seeds[beside][metric]
            with np.errstate(divide="ignore", invalid="ignore"):
                each = (np.log(own / base) if ratio else own - base).to_numpy()
            each = np.where(np.isfinite(each), each, np.nan)
            each = each[:, np.isfinite(each).any(axis=0)]
            if each.shape[1] < 2:
                continue
            drawn.add(metric)
            mean, half = mean_and_half(each)
            out = np.exp if ratio else np.asarray
            axes.plot(own.index, out(mean), **look)
            band = out(mean - half), out(mean + half)
            axes.fill_between(own.index, *band, color=look["color"], alpha=0.15, linewidth=0)
        color = style.looks([beside])[beside]["color"]
        axes.axhline(1 if ratio else 0, color=color, linewidth=0.8, linestyle=(0, (5, 2)), zorder=1)
        if metric not in drawn:
            axes.text(
                0.5, 0.55, "fewer than two seeds", transform=axes.transAxes, ha="center", va="bottom", fontsize=SMALL
            )
    lowest = list(panels.values())[-1]
    lowest.set_xlabel(name_depth(lowest, table))
    return drawn


def draw_references(
    grid: Grid, metrics: Iterable[str], tables: dict[str, pd.DataFrame], table: pd.DataFrame, style: Style
) -> None:
    """Draw what width or scale alone makes of some metrics of a grid, dash-dotted.

    For the networks that carry a band, in the panel that has their level: at the last epoch on the main images, mean
    over seeds. `table` has the blocks that are drawn. Refuses as `need` does.
    """
    rows = main_images(need(tables, "references"))
    for place, column in enumerate(grid.columns):
        if column.beside:
            continue
        places, looks = places_of(table[table["network"].isin(column.members)]), style.looks(column.members)
        for name in style.banded(column.members):
            blocks = rows[rows["network"] == name].groupby("block")
            for metric in metrics:
                level = blocks[metric].mean()
                if level.notna().any():
                    line = {"color": looks[name]["color"], "linewidth": 0.8, "linestyle": (0, (5, 1, 1, 1, 1, 1))}
                    axes = grid.panels[metric][place]
                    axes.plot(places[name][level.index], level, label=f"_{label(name)}, reference", **line)


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
