"""How much energy do the lowest channel frequencies hold? The spectral energy pattern of the last block.

Drawn in the folded form, minus that of permuted channels: as published the curve is point-symmetric by construction.
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..drawing.axis import few_ticks
from ..drawing.columns import PanelColumn, columns_of
from ..drawing.layout import Room, names_below, rows_below, sheet
from ..drawing.profiles import final, title
from ..drawing.style import PAGE, Style, label
from ..words import span

TABLES = ("spectrum", "depth")
METRICS = ("sep",)
NULL = ["sep_folded_null", "sep_folded_band_low", "sep_folded_band_high"]
TEST = "sep_folded_p"
CAPTION = (
    "Share of the tokens' energy that the lowest channel frequencies hold in the last block (folded, minus that of "
    "permuted channels), of networks, their controls and the baseline: last epoch, {images}, means over the seeds "
    "measured. Control: the same tokens with permuted channels, mean and simultaneous 95 % band."
)
ROOM = Room(left=0.86, gap=0.16, above=0.1, below=0.42)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw each network's last epoch, mean over seeds, a few networks in each panel."""
    bins = final(tables, "spectrum", "frequency", "sep_folded", *NULL)
    bins = bins[bins["block"] == bins.groupby("network")["block"].transform("max")]
    depth = final(tables, "depth", TEST)
    columns = columns_of([name for name in depth["network"] if name not in style.names.against], style)
    width = (PAGE - ROOM.left - ROOM.right - ROOM.gap * (len(columns) - 1)) / len(columns)
    rows = max(rows_below(map(label, column.members), width + ROOM.gap) for column in columns)
    what = title("Energy of the lowest channel frequencies, last block", bins, ["sep_folded"])
    figure, panels = sheet(1, len(columns), 1.7, what, _note(depth, style), ROOM.with_legend(rows), sharey="row")
    for axes, column in zip(panels[0], columns, strict=True):
        _curves(axes, bins, column, style)
    panels[0, 0].set_ylabel("energy in frequencies\n0..k minus that of per-\nmuted channels")
    few_ticks(panels[0, 0])
    names_below({axes: [axes] for axes in panels[0]}, ROOM.below, ROOM.gap)
    return figure


def _curves(axes: Axes, bins: pd.DataFrame, column: PanelColumn, style: Style) -> None:
    """Draw the curves of a column, with the null of one network: those of several would hide each other."""
    for name, look in style.looks(column.members).items():
        rows = bins[bins["network"] == name].groupby("frequency")[["sep_folded", *NULL]].mean()
        rows = rows.dropna(subset=["sep_folded"])
        axes.plot(rows.index, rows["sep_folded"] - rows[NULL[0]], label=label(name), **{**look, "marker": None})
        if name in style.banded(column.members)[:1]:
            mean, low, high = (rows[column] - rows[NULL[0]] for column in NULL)
            axes.fill_between(rows.index, low, high, color=look["color"], alpha=0.18, linewidth=0)
            axes.plot(rows.index, mean, color=look["color"], linewidth=0.7, linestyle=":")
    axes.set_xlabel("k/C [cycles per channel]")
    axes.set_xticks([0, 0.25, 0.5], ["0", "0.25", "0.5"])


def _note(depth: pd.DataFrame, style: Style) -> str:
    last = depth[depth["block"] == depth.groupby("network")["block"].transform("max")]
    tests = [
        f"{label(name)} {span(last.loc[last['network'] == name, TEST], '.2g')}"
        for name in style.banded(set(depth["network"]))
    ]
    return (
        "Band: permuted channels of the first network or of the baseline; 95 % of their curves lie entirely inside it. "
        f"p, one test of the whole curve: {', '.join(tests)}."
    )
