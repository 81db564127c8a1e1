"""Which blocks arrange images alike? A map of all networks, blocks and epochs, where similar blocks lie close."""

import math
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..drawing.layout import Room, sheet
from ..drawing.style import Style, label, last_epoch, need

TABLES = ("map",)
# Opacity of the earliest epoch; the last one has 1.
FAINTEST = 0.12
# Letters of a name from which on a legend has one column.
LONG = 22
ROOM = Room(left=0.6, gap=0.2, above=0.2, below=0.34)
CAPTION = (
    "All networks, blocks and kept epochs on a plane, by the shape distance between their features of the same images; "
    "without interval. Controls: each network's own. The plane holds only a part of the distances."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw the two coordinates of every block; networks and their controls beside students where there are any."""
    table = need(tables, "map", "x", "y")
    looks = style.looks(table["network"])
    students = style.students(looks)
    fixed = [name for name in looks if name not in students]
    groups = {"networks and controls": fixed, "students": students}
    groups = {title: names for title, names in groups.items() if names}
    share, images = 100 * table["explained"].max(), int(table["images"].max())
    fading = "; fading: earlier epochs" * bool(table.groupby("network")["epoch"].nunique().max() > 1)
    what = f"Networks by shape distance (n = {images:,} images)"
    note = (
        f"The plane holds {share:.0f} % of all distances. A line runs from the first block (hollow) to the last "
        f"(filled){fading}."
    )
    note += " Grey lines: the networks of the other panel." * (len(groups) > 1)
    room = ROOM.with_legend(max(map(_legend_rows, groups.values())))
    height = 3.6 if len(groups) == 1 else 2.7
    figure, (panels,) = sheet(1, len(groups), height, what, note, room, sharex=True, sharey=True)
    for axes, (title, names) in zip(panels, groups.items(), strict=True):
        for name in names:
            _network(axes, table[table["network"] == name], looks[name], label(name))
        if len(groups) > 1:
            axes.set_title(title)
            # Where the others lie, without their names.
            for name in [other for other in looks if other not in names]:
                _behind(axes, table[table["network"] == name])
        axes.set_aspect("equal", adjustable="box" if len(groups) > 1 else "datalim")
        axes.set_xlabel("first coordinate [radians]")
    panels[0].set_ylabel("second coordinate [radians]")
    for axes, names in zip(panels, groups.values(), strict=True):
        # Around the middle of its own panel, however much of it the equal units leave free.
        handles, texts = axes.get_legend_handles_labels()
        middle = (axes.get_position(original=True).x0 + axes.get_position(original=True).x1) / 2
        top = axes.get_position(original=True).y0 - room.below / figure.get_figheight()
        beside: Any = {"loc": "upper center", "bbox_to_anchor": (middle, top), "borderaxespad": 0}
        figure.legend(handles, texts, ncols=_legend_columns(names), handlelength=2.6, labelspacing=0.25, **beside)
    return figure


def _legend_columns(names: list[str]) -> int:
    return 1 if max(len(name) for name in names) > LONG else 2


def _legend_rows(names: list[str]) -> int:
    return math.ceil(len(names) / _legend_columns(names))


def _network(axes: Axes, table: pd.DataFrame, look: dict, name: str) -> None:
    """Draw the lines of one network: a line an epoch and seed, the last epoch marked and named."""
    # Those of the last one alone where the weights are of no epoch.
    last, epochs = last_epoch(table), sorted(table["epoch"].dropna().unique())
    for (epoch, seed), rows in table.groupby(["epoch", "seed"], dropna=False):
        rows = rows.sort_values("block")
        x, y = rows["x"].to_numpy(), rows["y"].to_numpy()
        if rows.index[0] not in last.index:
            age = epochs.index(epoch) / (len(epochs) - 1)
            faint = {"color": look["color"], "linewidth": 0.6, "alpha": FAINTEST + 0.5 * age, "zorder": 1}
            axes.plot(x, y, **faint)
            continue
        text = name if pd.isna(seed) or seed == table["seed"].min() else None
        axes.plot(x, y, label=text, **{**look, "markersize": 2.2})
        ends = {"color": look["color"], "marker": look["marker"], "markersize": 4.5, "linestyle": "none"}
        axes.plot(x[-1:], y[-1:], **ends)
        axes.plot(x[:1], y[:1], markerfacecolor="white", **ends)


def _behind(axes: Axes, table: pd.DataFrame) -> None:
    for _, rows in last_epoch(table).groupby("seed", dropna=False):
        rows = rows.sort_values("block")
        axes.plot(rows["x"], rows["y"], color="0.85", linewidth=0.5, zorder=0)
