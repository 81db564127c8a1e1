"""Whether curves over depth are U-shaped: how far they fall and rise, in every network and by every metric.

What the controls of a metric show too (the scale taken out, scale alone, permuted channels) is no finding about
channels.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..drawing.axis import few_ticks, name_rows, signed_scale
from ..drawing.hollow import mark_too_few
from ..drawing.layout import NAMES, Room, name_below, sheet
from ..drawing.profiles import final, name_depth, places_of
from ..drawing.style import PAGE, SMALL, NoValue, Style, counts, label, main_images, need
from ..statistics.bins import PER_BIN, TOO_FEW, too_few
from ..statistics.thresholds import LEVEL, SMALLEST_FACTOR
from ..statistics.u_shape import EMPTY, NO_INTERIOR, NOT_RESOLVED, U_SHAPED, UNDECIDED

TABLES = ("shape", "depth")
ROLES = {
    "paper": "metric of the claim",
    "control": "control",
    "scale": "scale itself",
    "null": "null",
    "no bins": "entropy without bins",
}
# The page has it: a panel more would be a row more.
NOT_DRAWN = ("entropy_nearest_standardised",)
ACROSS = 4
SHADE = {"paper": "white", "control": "0.96", "scale": "0.96", "null": "0.91", "no bins": "0.96"}
SMALLEST = np.log2(SMALLEST_FACTOR)
# Inches: of a curve, and of a network's row.
CURVE, LINE = 0.95, 0.112
ROOM = Room(left=NAMES, gap=0.22, between=0.42, above=0.3, below=0.36)
CAPTION = (
    "Whether curves over depth are U-shaped: the curves of the claim's metrics, and the smaller of fall and rise by "
    "network and metric, last epoch, {images}, every seed measured, with the 95 % interval over images. Controls: "
    "each network's own, the metrics with scale taken out, scale itself, permuted channels, and entropy without bins."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw the curves, then a panel a metric and a row a network: every seed's valley with its interval."""
    if tables["shape"].empty:
        raise NoValue("none of the metrics whose shape is tested was measured")
    table = main_images(need(tables, "shape", "verdict"))
    table = table[~table["metric"].isin(NOT_DRAWN)]
    depth = final(tables, "depth")
    members = list(dict.fromkeys(table["network"]))
    looks = style.looks(members)
    places = _places(table)
    down = 1 + max(row for row, _ in places.values())
    heights = [CURVE] + [LINE * (len(members) + 1)] * down
    title = f"Is it U-shaped? Last epoch ({counts(table)})"
    figure, panels = sheet(1 + down, ACROSS, heights, title, _note(table, style), ROOM)
    for axes in panels.flat:
        axes.set_visible(False)
    roles = dict(zip(table["metric"], table["role"], strict=True))
    scales = dict(zip(table["metric"], table["scale"], strict=True))
    for metric, (row, column) in places.items():
        rows = table[table["metric"] == metric]
        if roles[metric] == "paper" and row == 0:
            _curves(panels[0, column], depth, rows, scales[metric], looks)
        axes = panels[1 + row, column]
        axes.set_visible(True)
        axes.set_facecolor(SHADE[roles[metric]])
        axes.set_title(f"{label(metric)}\n({ROLES[roles[metric]]})")
        _panel(axes, rows, members, looks)
        signed_scale(axes, *_reach(table), SMALLEST)
        name_rows(axes, members, lines=1)
        axes.tick_params(labelleft=column == 0)
        # The lowest panel of a column carries the numbers.
        axes.tick_params(labelbottom=(row + 1, column) not in places.values())
    panels[0, 0].set_ylabel("change from the\nfirst block [doub-\nlings, or bits]")
    text = "smaller of fall and rise [doublings; entropies: bits]"
    name_below(figure, panels, text, 0.18, (NAMES + PAGE) / 2)
    return figure


def _reach(table: pd.DataFrame) -> tuple[float, float]:
    """Return what the axis of valleys spans: all of them, 0, and the smallest that counts."""
    values = table[["valley", "valley_low", "valley_high"]].to_numpy()
    values = values[np.isfinite(values)]
    return 1.2 * min(-SMALLEST / 4, values.min(initial=0)), 1.2 * max(SMALLEST, values.max(initial=0))


def _curves(axes: Axes, depth: pd.DataFrame, found: pd.DataFrame, scale: str, looks: dict) -> None:
    """Draw a metric over depth as change from the first block: in colour where it is U-shaped, otherwise grey."""
    metric = found["metric"].iloc[0]
    axes.set_visible(True)
    places, shaped = places_of(depth), set(found.loc[found["verdict"] == U_SHAPED, "network"])
    for name in sorted(set(depth["network"]) & set(looks), key=lambda name: (name in shaped, list(looks).index(name))):
        rows = depth[depth["network"] == name]
        mean = rows.groupby("block")[metric].mean() if metric in rows else pd.Series(dtype=float)
        with np.errstate(divide="ignore", invalid="ignore"):
            change = np.log2(mean / mean.iloc[0]) if scale == "log" and len(mean) else mean - mean.head(1).sum()
        look: dict[str, Any] = (
            {**looks[name], "zorder": 3} if name in shaped else {"color": "0.7", "linewidth": 0.6, "zorder": 1}
        )
        if len(change):
            shown = change.where(np.isfinite(change))
            axes.plot(places[name][change.index], shown, **look)
            if PER_BIN.get(metric) in rows:
                few = too_few(rows.groupby("block")[[PER_BIN[metric]]].mean(), metric)
                mark_too_few(axes, places[name][change.index], shown, few.to_numpy(), look)
    axes.set_title(f"{label(metric)},\nby {name_depth(axes, depth)}")
    axes.axhline(0, color="black", linewidth=0.4, zorder=0)
    few_ticks(axes)


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
    groups = dict(iter(table.sort_values("seed").groupby("network")))
    for row, name in enumerate(members):
        group = groups.get(name, table.iloc[:0])
        places = row + (np.arange(len(group)) - (len(group) - 1) / 2) * min(0.25, 0.7 / max(len(group), 1))
        color, marker = looks[name]["color"], looks[name]["marker"]
        size = (4.5 if marker == "*" else 3) if len(group) < 4 else 2
        verdicts = group["verdict"].to_numpy()
        # Of a flat curve the valley is that of rounding errors.
        flat = verdicts == EMPTY
        if flat.any():
            text = "flat" if flat.all() else f"{flat.sum()} flat"
            axes.text(0, row, text, fontsize=SMALL, va="center", ha="center", color=color)
        valley, low, high = group[["valley", "valley_low", "valley_high"]].to_numpy().T
        # Where the bins decide, the interval over all of them is dashed, and a cross stands for no verdict.
        open_ = verdicts == NOT_RESOLVED
        for which, line in ((~flat & ~open_, "-"), (open_, (0, (2, 1.5)))):
            axes.hlines(places[which], low[which], high[which], color=color, linewidth=0.7, linestyle=line)
        axes.plot(valley[open_], places[open_], "x", color=color, markersize=size, mew=0.6)
        for verdict in dict.fromkeys(verdicts[~flat & ~open_]):
            own = verdicts == verdict
            look = {"color": color, "markerfacecolor": {U_SHAPED: color, UNDECIDED: "0.75"}.get(verdict, "white")}
            axes.plot(valley[own], places[own], marker, **look, markersize=size, mew=0.6)
        if len(group) and (verdicts == NO_INTERIOR).all():
            axes.text(0, row, NO_INTERIOR, fontsize=SMALL, va="center", ha="center", color=color)


def _marks(table: pd.DataFrame) -> str:
    """Return what crosses and hollow markers say, where there are any."""
    if not (table["verdict"] == NOT_RESOLVED).any():
        return ""
    return f", cross on a dashed interval: not resolved, its bins decide (hollow in curves: {TOO_FEW})"


def _note(table: pd.DataFrame, style: Style) -> str:
    trained = table[table["network"].isin(style.names.trained) & table["p"].notna()]
    said = {}
    for metric in ("intensity", "intensity_permuted"):
        rows = trained[trained["metric"] == metric]
        said[metric] = f"{(rows['verdict'] == U_SHAPED).sum()} of {len(rows)}" if len(rows) else "(not measured)"
    return (
        f"Curves: U-shaped ones in the colours of the rows, others grey. Rows: 95 % interval over images; filled: "
        f"U-shaped (adjusted p <= {LEVEL:.2f} of no fall and rise by {SMALLEST:.2f}, a factor of {SMALLEST_FACTOR:g}, "
        f"dashed), grey: undecided{_marks(table)}. Trained networks where intensity is U-shaped: {said['intensity']}; "
        f"its null, permuted channels: {said['intensity_permuted']}."
    )
