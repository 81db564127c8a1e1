"""A map of all networks, blocks and epochs: near each other lie blocks that arrange the same images alike."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..drawing.layout import Room, legend_below, legend_rows, sheet
from ..drawing.style import Style, label, last_epoch, need

TABLES = ("map",)
# Opacity of the earliest epoch; the last one has 1.
FAINTEST = 0.12
ROOM = Room(left=0.6, gap=0.2, above=0.2)
CAPTION = (
    "All networks, blocks and kept epochs on a plane, by the shape distance of what they make of the same images; "
    "students of the lowest seed, without interval. Controls: each network's own. A plane holds only a part of "
    "the distances."
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
        f"The plane holds {share:.0f} % of all distances. A line runs from the first block (hollow) to the last (filled"
    )
    room = ROOM.with_legend(legend_rows(map(label, looks), 4))
    height = 3.6 if len(groups) == 1 else 2.9
    figure, (panels,) = sheet(1, len(groups), height, what, f"{note}){fading}.", room, sharex=True, sharey=True)
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
    legend_below(figure, panels, 4, room.below)
    return figure


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
