"""Do curves over depth depend on the images? Ranks, entropy and intensity on every image set of a study.

What the control of a network shows on the same images too comes from images and architecture alone.
"""

import math
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..drawing.axis import block_names, few_ticks, log_if_wide, name_blocks
from ..drawing.hollow import mark_too_few, note
from ..drawing.layout import Room, fitted, inches_of, legend_below, legend_rows, sheet
from ..drawing.style import (
    CONTROL_LINES,
    MARKERS,
    SMALL,
    TEXT,
    NoValue,
    Style,
    first_of,
    label,
    last_epoch,
    lighter,
    need,
)
from ..spec.tables import PUBLISHED_IMAGE_SET
from ..statistics.bins import PER_BIN, too_few
from ..statistics.thresholds import INTERVAL

TABLES = ("depth",)
METRICS = ("covariance", "entropy", "rank", "spectrum")
REQUIRES = ("probes",)
PANELS = {
    "covariance_rank": "rank of all\ntokens' cov.\n[directions]",
    "effective_rank": "effective rank\nof an image\n[directions]",
    "entropy": "token entropy\n[bits]",
    "intensity": "spectral\nintensity\n[act. units]",
}
# Networks side by side, and in all: a page holds two such rows of panels.
ACROSS, MOST = 4, 8
ROOM = Room(left=0.8, gap=0.42, between=0.15, above=0.24)
CAPTION = (
    "Ranks, token entropy and spectral intensity over depth on every image set: last epoch, means over the seeds "
    "measured, without interval. Control: each network's own on the same images."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw each network's last epoch, mean over seeds, on all image sets but the published choice from the main one."""
    table = need(tables, "depth", *PANELS)
    table = last_epoch(table[table["probe"] != PUBLISHED_IMAGE_SET])
    sets = list(dict.fromkeys(table["probe"]))
    if len(sets) < 2:
        raise NoValue("there is a single image set")
    members = [name for name in style.names.trained if (table["network"] == name).any()]
    shown, left_out = first_of(members, MOST, "networks")
    across, pages = min(len(shown), ACROSS), math.ceil(len(shown) / ACROSS)
    rows = legend_rows([_said(table, image_set) for image_set in sets], 4)
    room = ROOM.with_legend(rows)
    # A row without panels holds the names of the next networks.
    heights = [*[0.8] * len(PANELS), 0.3] * pages
    title = "Does it depend on the images? One line an image set, last epoch" + f" ({left_out})" * bool(left_out)
    figure, grid = sheet(len(heights) - 1, across, heights[:-1], title, _note(table, style), room)
    for axes in grid.flat:
        axes.set_visible(False)
    looks = _looks(sets, style)
    for number, name in enumerate(shown):
        panels = grid[(len(PANELS) + 1) * (number // ACROSS) :, number % ACROSS][: len(PANELS)]
        for axes, (metric, text) in zip(panels, PANELS.items(), strict=True):
            axes.set_visible(True)
            _panel(axes, table, metric, name, style.names.controls.get(name), looks)
            axes.tick_params(labelbottom=axes is panels[-1])
            if number % ACROSS == 0:
                axes.set_ylabel(text)
        panels[0].set_title(fitted(label(name), inches_of(panels[0])[0] + ROOM.gap, TEXT, 2))
        panels[-1].set_xlabel("block")
    legend_below(figure, grid, 4, room.below)
    return figure


def _looks(sets: list[str], style: Style) -> dict[str, dict[str, Any]]:
    colors = sns.color_palette(style.palette, len(sets))
    return {
        image_set: {"color": color, "marker": MARKERS[place % len(MARKERS)], "markersize": 2.6, "linewidth": 1}
        for place, (image_set, color) in enumerate(zip(sets, colors, strict=True))
    }


def _panel(axes: Axes, table: pd.DataFrame, metric: str, name: str, control: str | None, looks: dict) -> None:
    """Draw one metric of one network and of its control on all image sets; say where it has no value."""
    own = table[table["network"].isin([name, control])]
    if own[metric].isna().all():
        axes.text(0.5, 0.5, "no value", transform=axes.transAxes, ha="center", va="center", fontsize=SMALL)
        axes.set(xticks=[], yticks=[])
        return
    for image_set, look in looks.items():
        rows = own[own["probe"] == image_set]
        curve = _curve(rows[rows["network"] == name], metric)
        axes.plot(curve.index, curve[metric], label=_said(table, image_set), **look)
        mark_too_few(axes, curve.index, curve[metric], too_few(curve, metric).to_numpy(), look)
        if f"{metric}_se" in curve:
            half = INTERVAL * curve[f"{metric}_se"]
            low, high = curve[metric] - half, curve[metric] + half
            axes.fill_between(curve.index, low, high, color=look["color"], alpha=0.2, linewidth=0)
        beside = _curve(rows[rows["network"] == control], metric)
        color = lighter(look["color"])
        axes.plot(beside.index, beside[metric], color=color, linewidth=0.9, linestyle=CONTROL_LINES[0], zorder=1)
    name_blocks(axes.xaxis, block_names(own)[name], 4)
    few_ticks(axes)
    log_if_wide(axes, own[[metric]])


def _curve(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return the mean over seeds by block, and that of the standard error and of RMS per bin where there is one."""
    columns = [column for column in (metric, f"{metric}_se", PER_BIN.get(metric, "")) if column in rows]
    return rows.groupby("block")[columns].mean()


def _said(table: pd.DataFrame, image_set: str) -> str:
    """Return the name of an image set as it is read, and how many images it has."""
    count = int(table.loc[table["probe"] == image_set, "images"].max())
    return f"{label(image_set)} ({count:,} image{'s' * (count != 1)})"


def _note(table: pd.DataFrame, style: Style) -> str:
    controls = set(style.names.controls.values()) & set(table["network"])
    text = "Bands: 95 % interval over images" + ", mean over seeds" * (table["seed"].nunique() > 1)
    text += (
        ". Dashed, lighter: the network's control on the same images; what it shows too takes no training."
        if controls
        else ". No control was measured."
    )
    counts = table.groupby("probe")["images"].max()
    tokens, widest = int(counts.min() * table["tokens"].min()), int(table["channels"].max())
    if counts.nunique() > 1 and tokens < 10 * widest:
        text += (
            f" The smallest set has {tokens:,} tokens for up to {widest:,} channels: a rank of so few grows with their "
            "number."
        )
    return " ".join(filter(None, (text, note(table, PANELS), "Cov.: covariance; act.: activation.")))
