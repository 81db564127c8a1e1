"""Whether curves over depth are U-shaped: how far they fall and rise, in every network and by every metric.

In: shape.parquet. Out: the metrics of the claim beside their controls: the same with the scale taken out, scale alone,
and intensity after the channels were permuted; what these show too is no finding about channels.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from ..statistics.thresholds import LEVEL, SMALLEST_FACTOR
from ..statistics.valley import EMPTY, NO_INTERIOR, U_SHAPED, UNDECIDED
from .style import PAGE, NoValue, Style, counts, label, main_probe, need

TABLES = ("shape",)
ROLES = {"paper": "metric of the claim", "control": "control", "scale": "scale itself", "null": "null"}
ACROSS = 4
SHADE = {"paper": "white", "control": "0.96", "scale": "0.96", "null": "0.91"}
SMALLEST = np.log2(SMALLEST_FACTOR)
CAPTION = (
    "Whether curves over depth are U-shaped: the smaller of fall and rise by network and metric, last epoch, "
    "{images}, every seed measured, with the 95 % interval over images. Controls: each network's own, the metrics "
    "with scale taken out, scale itself, and permuted channels."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw a panel a metric and a row a network: every seed's valley with its interval, filled where U-shaped."""
    if tables["shape"].empty:
        raise NoValue("none of the metrics whose shape is tested was measured")
    table = main_probe(need(tables, "shape", "verdict"))
    members = list(dict.fromkeys(table["network"]))
    looks = style.looks(members)
    places = _places(table)
    down = 1 + max(row for row, _ in places.values())
    figure = Figure(figsize=(PAGE, 0.8 + down * (0.5 + 0.135 * len(members))), layout="constrained")
    panels = figure.subplots(down, ACROSS, sharex=True, sharey=True, squeeze=False)
    roles = dict(zip(table["metric"], table["role"], strict=True))
    for axes in panels.flat:
        axes.set_visible(False)
    for metric, place in places.items():
        axes = panels[place]
        axes.set_visible(True)
        axes.set_facecolor(SHADE[roles[metric]])
        axes.set_title(f"{label(metric)}\n({ROLES[roles[metric]]})", fontsize="small")
        # The lowest panel of a column carries the numbers.
        lower = (place[0] + 1, place[1])
        axes.tick_params(labelsize="small", labelbottom=lower not in places.values())
        _panel(axes, table[table["metric"] == metric], members, looks)
    first = panels[0, 0]
    first.set_yticks(range(len(members)), [label(name) for name in members])
    first.set_ylim(len(members) - 0.4, -0.6)
    # Linear about 0, as far as the smallest change that counts.
    first.set_xscale("symlog", linthresh=SMALLEST, linscale=0.4)
    first.xaxis.set_minor_locator(NullLocator())
    first.set_xticks([-1, -SMALLEST, SMALLEST, 1], ["-1", f"-{SMALLEST:.2f}", f"{SMALLEST:.2f}", "1"])
    figure.supxlabel(
        f"smaller of fall and rise [doublings; entropies: bits]; dashed: {SMALLEST:.2f}, a factor of "
        f"{SMALLEST_FACTOR:g}",
        fontsize="medium",
    )
    figure.suptitle(_title(table, style), fontsize="small")
    return figure


def _places(table: pd.DataFrame) -> dict[str, tuple[int, int]]:
    """Return metric -> (row, column): the controls start a row, the null takes the next free place."""
    places: dict[str, tuple[int, int]] = {}
    row = column = 0
    for role in ROLES:
        if role == "control" and column:
            row, column = row + 1, 0
        for metric in dict.fromkeys(table.loc[table["role"] == role, "metric"]):
            places[metric] = row, column
            row, column = (row, column + 1) if column + 1 < ACROSS else (row + 1, 0)
    return places


def _panel(axes: Axes, table: pd.DataFrame, members: list[str], looks: dict) -> None:
    axes.axvline(0, color="0.75", linewidth=0.6, zorder=0)
    axes.axvline(SMALLEST, color="0.3", linewidth=0.6, linestyle=(0, (4, 2)), zorder=0)
    for row, name in enumerate(members):
        group = table[table["network"] == name].sort_values("seed")
        places = row + (np.arange(len(group)) - (len(group) - 1) / 2) * min(0.25, 0.7 / max(len(group), 1))
        color, marker = looks[name]["color"], looks[name]["marker"]
        size = (5 if marker == "*" else 3.5) if len(group) < 4 else 2.2
        for place, one in zip(places, group.to_dict("records"), strict=True):
            if one["verdict"] == EMPTY:
                # Its valley is that of rounding errors.
                axes.text(0, place, "flat", fontsize="x-small", va="center", ha="center", color=color)
                continue
            axes.plot([one["valley_low"], one["valley_high"]], [place, place], color=color, linewidth=0.8)
            face = {U_SHAPED: color, UNDECIDED: "0.75"}.get(one["verdict"], "white")
            axes.plot(one["valley"], place, marker, color=color, markerfacecolor=face, markersize=size, mew=0.7)
        if len(group) and (group["verdict"] == NO_INTERIOR).all():
            axes.text(0, row, NO_INTERIOR, fontsize="x-small", va="center", ha="center", color=color)


def _title(table: pd.DataFrame, style: Style) -> str:
    trained = table[table["network"].isin(style.names.trained) & table["p"].notna()]
    said = {}
    for metric in ("intensity", "intensity_permuted"):
        rows = trained[trained["metric"] == metric]
        said[metric] = f"{(rows['verdict'] == U_SHAPED).sum()} of {len(rows)}" if len(rows) else "(not measured)"
    return (
        f"Is it U-shaped? Last epoch ({counts(table)}). Lines: 95 % interval over images; filled: U-shaped\n"
        f"(adjusted p <= {LEVEL:.2f} of no fall and rise by {SMALLEST:.2f}), grey: undecided. Trained networks where "
        f"intensity is U-shaped: {said['intensity']}; its null: {said['intensity_permuted']}"
    )
