"""Spectral energy pattern: which share of the tokens' energy the lowest channel frequencies hold.

In: spectrum.parquet and depth.parquet. Out: the cumulative curve of the last block, folded (with its null) and as
published, and over depth the bandwidth that holds 95 % of the energy.
"""

import pandas as pd
from matplotlib.figure import Figure

from .profiles import draw_null, final, profile
from .style import PAGE, Style, counts, label, legend_below

TABLES = ("spectrum", "depth")
METRICS = ("sep",)
NULL = ["sep_folded_null", "sep_folded_null_low", "sep_folded_null_high"]
BANDWIDTH = "bandwidth_folded_95"
BANDWIDTH_NULL = [f"{BANDWIDTH}_null", f"{BANDWIDTH}_null_low", f"{BANDWIDTH}_null_high"]


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw each model's last epoch, mean over seeds."""
    bins = final(tables, "spectrum", "frequency", "sep", "sep_folded", *NULL)
    bins = bins[bins["block"] == bins.groupby("model")["block"].transform("max")]
    depth = final(tables, "depth", BANDWIDTH, *BANDWIDTH_NULL)
    looks = style.looks(depth["model"])
    figure = Figure(figsize=(PAGE, 3.7), layout="constrained")
    folded, published, bandwidth = panels = figure.subplots(1, 3)
    for model, look in looks.items():
        rows = bins[bins["model"] == model].groupby("frequency")[["sep", "sep_folded", *NULL]].mean()
        look = {**look, "marker": None}
        published.plot(rows.index, rows["sep"], label=label(model), **look)
        rows = rows.dropna(subset=["sep_folded"])
        folded.plot(rows.index, rows["sep_folded"], label=label(model), **look)
        if model in style.banded(looks):
            draw_null(folded, rows.index, rows[NULL], look["color"], label(model))
    profile(bandwidth, depth, BANDWIDTH, style, "share of the frequencies that\nholds 95 % of the energy")
    places = {line.get_label(): line.get_xdata() for line in bandwidth.lines}
    for model in style.banded(looks):
        rows = depth[depth["model"] == model].groupby("block")[BANDWIDTH_NULL].mean()
        draw_null(bandwidth, places[label(model)], rows, looks[model]["color"], label(model))
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
    outside = [f"{label(model)} {100 * _outside(bins[bins['model'] == model]):.0f} %" for model in style.banded(looks)]
    figure.suptitle(
        f"Spectral energy pattern of patch tokens, last epoch ({counts(depth)}).\n"
        f"Bands: 95 % of channel permutations; frequencies of the last block outside: {', '.join(outside)}",
        fontsize="small",
    )
    legend_below(figure, panels, 4)
    return figure


def _outside(rows: pd.DataFrame) -> float:
    """Return the share of frequencies that leave the null's band; the last holds all energy by definition."""
    mean = rows.groupby("frequency")[["sep_folded", *NULL]].mean().dropna().iloc[:-1]
    return ((mean["sep_folded"] < mean[NULL[1]]) | (mean["sep_folded"] > mean[NULL[2]])).mean()
