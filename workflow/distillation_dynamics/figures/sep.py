"""Spectral energy pattern: which share of the tokens' energy the lowest channel frequencies hold."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..drawing.axis import few_ticks
from ..drawing.layout import Room, column_title, names_below, rows_below, sheet
from ..drawing.profiles import PanelColumn, columns_of, draw_null, final, levels, places_of, title
from ..drawing.style import PAGE, Style, label
from ..words import span

TABLES = ("spectrum", "depth")
METRICS = ("sep",)
NULL = ["sep_folded_null", "sep_folded_band_low", "sep_folded_band_high"]
TEST = "sep_folded_p"
BANDWIDTH = "bandwidth_folded_95"
BANDWIDTH_NULL = [f"{BANDWIDTH}_null", f"{BANDWIDTH}_null_low", f"{BANDWIDTH}_null_high"]
CAPTION = (
    "Share of the tokens' energy that the lowest channel frequencies hold, in the last block (folded and less that of "
    "permuted channels; as published) and over depth: last epoch, {images}, means over the seeds measured. Control: "
    "the same tokens with permuted channels, mean and 95 % band."
)
TEXTS = (
    "energy in frequencies\n0..k less that of per-\nmuted channels",
    "share of the energy\nin bins 0..k, as\npublished",
    "frequencies that\nhold 95 % of the\nenergy [share]",
)
ROOM = Room(left=0.86, gap=0.16, between=0.5, above=0.2, below=0.42)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw each network's last epoch, mean over seeds: networks left, students right, a few in each panel."""
    bins = final(tables, "spectrum", "frequency", "sep", "sep_folded", *NULL)
    bins = bins[bins["block"] == bins.groupby("network")["block"].transform("max")]
    depth = final(tables, "depth", BANDWIDTH, *BANDWIDTH_NULL, TEST)
    columns = columns_of(depth["network"], style)
    # The baseline stands among the variants, which share its width.
    columns = [column if not column.beside else PanelColumn((column.beside, *column.members)) for column in columns]
    width = (PAGE - ROOM.left - ROOM.right - ROOM.gap * (len(columns) - 1)) / len(columns)
    rows = max(rows_below(map(label, column.members), width + ROOM.gap) for column in columns)
    room = ROOM.with_legend(rows)
    what = title("Spectral energy pattern of patch tokens", depth, [BANDWIDTH])
    figure, panels = sheet(3, len(columns), 1.15, what, _note(depth, style), room, sharey="row")
    for line, column in zip(panels.T, columns, strict=True):
        _curves(line[0], line[1], bins, column, style)
        own = depth[depth["network"].isin(column.members)]
        levels({BANDWIDTH: line[2]}, own, column, style)
        for name in _with_null(column, style):
            null = own[own["network"] == name].groupby("block")[BANDWIDTH_NULL].mean()
            draw_null(line[2], places_of(own)[name], null, style.looks([name])[name]["color"])
    for line, text in zip(panels, TEXTS, strict=True):
        line[0].set_ylabel(text)
        few_ticks(line[0])
    column_title(panels[0, 0], "last block: folded (top) and as published; below: over depth")
    names_below({lowest: panels[2:, place] for place, lowest in enumerate(panels[-1])}, room.below, room.gap)
    return figure


def _with_null(column: PanelColumn, style: Style) -> list[str]:
    """Return whose null a column shows: one, since those of several would hide each other."""
    return style.banded(column.members)[:1]


def _curves(folded: Axes, published: Axes, bins: pd.DataFrame, column: PanelColumn, style: Style) -> None:
    for name, look in style.looks(column.members).items():
        rows = bins[bins["network"] == name].groupby("frequency")[["sep", "sep_folded", *NULL]].mean()
        look = {**look, "marker": None}
        published.plot(rows.index, rows["sep"], label=label(name), **look)
        rows = rows.dropna(subset=["sep_folded"])
        folded.plot(rows.index, rows["sep_folded"] - rows[NULL[0]], label=label(name), **look)
        if name in _with_null(column, style):
            draw_null(folded, rows.index, rows[NULL].sub(rows[NULL[0]], axis=0), look["color"])
    for axes in (folded, published):
        axes.set_xlabel("k/C [cycles a channel]")
    folded.set_xticks([0, 0.25, 0.5], ["0", "0.25", "0.5"])
    published.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])


def _note(depth: pd.DataFrame, style: Style) -> str:
    last = depth[depth["block"] == depth.groupby("network")["block"].transform("max")]
    tests = [
        f"{label(name)} {span(last.loc[last['network'] == name, TEST], '.2g')}"
        for name in style.banded(set(depth["network"]))
    ]
    return (
        "Bands, of the first network or of the baseline: permuted channels; 95 % of such curves leave the upper one "
        "nowhere, 95 % of values lie in the lower one. As published the curve is point-symmetric by construction: bin "
        f"C - k repeats bin k. p, one test of the whole folded curve of the last block: {', '.join(tests)}."
    )
