"""Spectral energy pattern: which share of the tokens' energy the lowest channel frequencies hold.

In: spectrum.parquet and depth.parquet. Out: the cumulative curve of the last block, folded (with its null) and as
published, and over depth the bandwidth that holds 95 % of the energy.
"""

import pandas as pd
from matplotlib.figure import Figure

from ..statistics.report.words import span
from .profiles import draw_null, final, places_of, profile
from .style import PAGE, Style, counts, label, legend_below

TABLES = ("spectrum", "depth")
METRICS = ("sep",)
# Markers on a curve.
MARKS = 7
NULL = ["sep_folded_null", "sep_folded_band_low", "sep_folded_band_high"]
TEST = "sep_folded_p"
BANDWIDTH = "bandwidth_folded_95"
BANDWIDTH_NULL = [f"{BANDWIDTH}_null", f"{BANDWIDTH}_null_low", f"{BANDWIDTH}_null_high"]
CAPTION = (
    "Share of the tokens' energy that the lowest channel frequencies hold, in the last block and over depth: last "
    "epoch, {images}, means over the seeds measured. Control: the same tokens with permuted channels, mean and 95 "
    "% band."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw each network's last epoch, mean over seeds."""
    bins = final(tables, "spectrum", "frequency", "sep", "sep_folded", *NULL)
    bins = bins[bins["block"] == bins.groupby("network")["block"].transform("max")]
    depth = final(tables, "depth", BANDWIDTH, *BANDWIDTH_NULL, TEST)
    looks = style.looks(depth["network"])
    figure = Figure(figsize=(PAGE, 3.7), layout="constrained")
    folded, published, bandwidth = panels = figure.subplots(1, 3)
    for name, look in looks.items():
        rows = bins[bins["network"] == name].groupby("frequency")[["sep", "sep_folded", *NULL]].mean()
        look = {**look, "markersize": 2.4, "markevery": max(len(rows) // MARKS, 1)}
        published.plot(rows.index, rows["sep"], label=label(name), **look)
        rows = rows.dropna(subset=["sep_folded"])
        folded.plot(rows.index, rows["sep_folded"], label=label(name), **look)
        if name in style.banded(looks):
            draw_null(folded, rows.index, rows[NULL], look["color"], label(name))
    profile(bandwidth, depth, BANDWIDTH, style, "share of the frequencies that\nholds 95 % of the energy")
    for name in style.banded(looks):
        rows = depth[depth["network"] == name].groupby("block")[BANDWIDTH_NULL].mean()
        draw_null(bandwidth, places_of(depth)[name], rows, looks[name]["color"], label(name))
    for axes, title in zip(
        panels, ("last block, folded", "last block, as published", "over depth, folded"), strict=True
    ):
        axes.set_title(title)
    folded.set_ylabel("share of the energy\nin frequencies 0..k")
    published.set_ylabel("share of the energy\nin bins 0..k")
    for axes in (folded, published):
        axes.set_xlabel("k/C [cycles per channel]")
    published.text(0.98, 0.03, "point-symmetric by\nconstruction: bin C - k\nrepeats bin k",
                   transform=published.transAxes, ha="right", fontsize="x-small")  # fmt: skip
    last = depth[depth["block"] == depth.groupby("network")["block"].transform("max")]
    tests = [f"{label(name)} {span(last.loc[last['network'] == name, TEST], '.2g')}" for name in style.banded(looks)]
    figure.suptitle(
        f"Spectral energy pattern of patch tokens, last epoch ({counts(depth, BANDWIDTH)}).\n"
        "Channels permuted: 95 % of such curves leave the left band nowhere, 95 % of values lie in the right one.\n"
        f"p, one test of the whole folded curve of the last block: {', '.join(tests)}",
        fontsize="small",
    )
    legend_below(figure, panels, 4)
    return figure
