"""Are curves over depth U-shaped? The claim's metrics as change from the first block, with the verdict of the test.

The controls of a metric (scale taken out, scale itself, permuted channels) are in the table shape.parquet and on the
page: a U that they have too is no finding about channels.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..drawing.axis import few_ticks, name_depth, places_of
from ..drawing.hollow import mark_too_few
from ..drawing.layout import Room, legend_below, legend_rows, sheet
from ..drawing.profiles import final
from ..drawing.style import NoValue, Style, counts, label, main_images, need
from ..statistics.bins import PER_BIN, TOO_FEW, too_few
from ..statistics.thresholds import LEVEL, SMALLEST_FACTOR
from ..statistics.u_shape import U_SHAPED
from ..words import listed, spaced

TABLES = ("shape", "depth")
ACROSS = 2
OTHERS = "other variants"
UNIT = {"bits": "change from the\nfirst block [bits]", "log": "change from the first\nblock [doublings]"}
ROOM = Room(left=0.72, gap=0.62, between=0.5, above=0.2, below=0.36)
CAPTION = (
    "Whether curves over depth are U-shaped: the claim's metrics as change from the first block, last epoch, {images}, "
    "means over the seeds measured. Thick: U-shaped by a test over images; no interval is drawn. Controls: each "
    "network's own; the verdict on permuted channels is stated."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw a panel a metric of the claim; variants that have no U and are no baseline share one look."""
    if tables["shape"].empty:
        raise NoValue("none of the metrics whose shape is tested was measured")
    every = main_images(need(tables, "shape", "verdict"))
    table, depth = every[every["role"] == "paper"], final(tables, "depth")
    # A study that measured none of the claim's metrics shows those that it tested.
    table = every if table.empty else table
    metrics = list(dict.fromkeys(table["metric"]))
    shaped = {metric: _shaped(table, metric) for metric in metrics}
    looks = _looks(list(dict.fromkeys(table["network"])), set().union(*shaped.values()), style)
    across = min(ACROSS, len(metrics))
    down = -(-len(metrics) // across)
    named = dict.fromkeys(text for text, _ in looks.values())
    title = f"Are curves over depth U-shaped? Last epoch ({counts(table)})"
    room = ROOM.with_legend(legend_rows(named, 4))
    figure, panels = sheet(down, across, 1.55, title, _note(every, shaped, depth, style), room)
    scales = dict(zip(table["metric"], table["scale"], strict=True))
    for axes, metric in zip(panels.flat, metrics, strict=False):
        _curves(axes, depth, metric, scales[metric], shaped[metric], looks)
    for axes in panels.flat[len(metrics) :]:
        axes.set_visible(False)
    legend_below(figure, panels.flat[: len(metrics)], 4, room.below)
    return figure


def _shaped(table: pd.DataFrame, metric: str) -> list[str]:
    """Return the networks whose curve of a metric is U-shaped in any seed."""
    rows = table[(table["metric"] == metric) & (table["verdict"] == U_SHAPED)]
    return list(dict.fromkeys(rows["network"]))


def _looks(members: list[str], shaped: set[str], style: Style) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return network -> its name in the legend and its look, those that share one first."""
    own = {*style.names.fixed, *style.names.baselines.values(), *shaped}
    grey: dict[str, Any] = {"color": "0.75", "linewidth": 0.7, "zorder": 1}
    looks: dict[str, tuple[str, dict[str, Any]]] = {name: (OTHERS, grey) for name in members if name not in own}
    return looks | {name: (label(name), look) for name, look in style.looks(members).items() if name in own}


def _curves(
    axes: Axes, depth: pd.DataFrame, metric: str, scale: str, shaped: list[str],
    looks: dict[str, tuple[str, dict[str, Any]]],
) -> None:  # fmt: skip
    """Draw a metric over depth as change from the first block, U-shaped curves thick."""
    places, known = places_of(depth), set(depth["network"])
    for name, (text, look) in looks.items():
        rows = depth[depth["network"] == name]
        if name not in known or metric not in rows:
            continue
        mean = rows.groupby("block")[metric].mean()
        with np.errstate(divide="ignore", invalid="ignore"):
            change = np.log2(mean / mean.iloc[0]) if scale == "log" else mean - mean.iloc[0]
        shown = change.where(np.isfinite(change))
        thick = {"linewidth": 2.2, "zorder": 3} if name in shaped else {}
        axes.plot(places[name][change.index], shown, label=text, **{**look, **thick})
        if PER_BIN.get(metric) in rows:
            few = too_few(rows.groupby("block")[[PER_BIN[metric]]].mean(), metric)
            mark_too_few(axes, places[name][change.index], shown, few.to_numpy(), look)
    axes.set(title=spaced(metric), xlabel=name_depth(axes, depth), ylabel=UNIT[scale])
    axes.axhline(0, color="black", linewidth=0.4, zorder=0)
    few_ticks(axes)


def _note(table: pd.DataFrame, shaped: dict[str, list[str]], depth: pd.DataFrame, style: Style) -> str:
    """Return who is U-shaped by which metric, and whether the null of intensity is so too."""
    said = [f"{spaced(metric)}: {listed(map(label, names))}" for metric, names in shaped.items() if names]
    verdict = f"U-shaped (thick; falls and rises by a factor of {SMALLEST_FACTOR:g}, adjusted p <= {LEVEL:.2f})"
    text = f"{verdict}: {'; '.join(said)}." if said else f"No curve is {verdict.replace('thick; ', '')}."
    text += " Lighter and dashed: controls."
    trained = table[table["network"].isin(style.names.trained) & table["p"].notna()]
    null = trained[trained["metric"] == "intensity_permuted"]
    if len(null):
        count = (null["verdict"] == U_SHAPED).sum()
        text += f" Null: intensity of permuted channels is U-shaped in {count} of {len(null)} trained networks."
    hollow = any(too_few(depth, metric).any() for metric in shaped if metric in depth)
    return text + f" Hollow in curves: {TOO_FEW}." * hollow
