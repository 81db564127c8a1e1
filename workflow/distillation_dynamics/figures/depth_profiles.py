"""Intensity, entropy and activation magnitude over depth, as published, and the controls that say what they measure.

In: depth.parquet, references.parquet. Out: a figure of three rows: the published measures, their controls on the same
scale (constant term left out, one range for all networks, root mean square), and what is left once the activations'
scale is taken out. Beside those that depend on the width stand the levels that Gaussian tokens have.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..spec.tables import PUBLISHED_PROBE
from .profiles import draw_references, final, log_if_wide, places_of, profile, title
from .style import PAGE, Style, label, legend_below

TABLES = ("depth", "references")
METRICS = ("spectrum", "entropy", "magnitude")
# What Gaussian tokens of the same width, and of the same RMS where that matters, have a level of.
OF_WIDTH = "entropy", "entropy_fixed_range", "intensity_per_rms", "entropy_standardised"
ROWS = {
    "as published": {
        "intensity": "spectral intensity\n[activation units]",
        "entropy": "token entropy, range\nof each network [bits]",
        "activation_magnitude": "activation magnitude\n[activation units]",
    },
    "controls, same scale": {
        "intensity_without_dc": "intensity without\nDC [activation units]",
        "entropy_fixed_range": "token entropy, one range\nfor all [bits]",
        "rms": "root mean square\n[activation units]",
    },
    "scale taken out (left, middle); spread within a token": {
        "intensity_per_rms": "intensity / RMS",
        "entropy_standardised": "entropy of standard-\nised tokens [bits]",
        "token_standard_deviation": "deviation in a token\n[activation units]",
    },
}
CAPTION = (
    "Spectral intensity, token entropy and activation magnitude over depth: last epoch, {images}, means over the "
    "seeds measured. Bands: 95 % interval over images. Controls: each network's own, the same measures with scale "
    "or constant term taken out, permuted channels, and the levels of Gaussian tokens of the same width."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw each network's last epoch, mean over seeds; the reference also on the published choice of images."""
    shown = [column for row in ROWS.values() for column in row]
    table = final(tables, "depth", *shown, "intensity_permuted", "clipped_share")
    figure = Figure(figsize=(PAGE, 6.6), layout="constrained")
    grid = figure.subplots(3, 3, sharex=True)
    for above, below in zip(grid[0], grid[1], strict=True):
        below.sharey(above)
    panels = {}
    for line, (name, row) in zip(grid, ROWS.items(), strict=True):
        for axes, (column, text) in zip(line, row.items(), strict=True):
            profile(axes, table, column, style, text)
            panels[column] = axes
        line[0].set_title(name, loc="left", fontweight="bold")
    for axes, *columns in (
        (grid[0, 0], "intensity", "intensity_without_dc"),
        (grid[0, 2], "activation_magnitude", "rms"),
        (grid[2, 0], "intensity_per_rms"),
        (grid[2, 2], "token_standard_deviation"),
    ):
        log_if_wide(axes, table[columns])
    for axes in grid[:2].flat:
        axes.set_xlabel("")
    of_width = {column: panels[column] for column in OF_WIDTH}
    draw_references(of_width, tables, table, style, "Gaussian of its width")
    reference = style.names.reference
    own, look = table[table["network"] == reference].sort_values("block"), style.looks([reference])[reference]
    if own["intensity"].notna().any():
        places = places_of(table)[reference]
        line = {"color": look["color"], "linewidth": 0.8, "linestyle": ":"}
        grid[0, 0].plot(places, own["intensity_permuted"], label=f"{label(reference)}, channels permuted", **line)
        _draw_published(grid, tables["depth"], reference, places, look["color"])
    worst = table.loc[table["clipped_share"].idxmax()]
    most = f"at most {100 * worst['clipped_share']:.2g} %\n({label(worst['network'])})"
    outside = f"outside the range: {most if worst['clipped_share'] > 0 else 'nothing'}"
    grid[1, 1].set_title(outside, loc="right", fontsize="x-small")
    figure.suptitle(title("Patch tokens over depth", table, _control(own), style, shown), fontsize="small")
    legend_below(figure, figure.axes, 3)
    return figure


def _draw_published(grid: np.ndarray, depth: pd.DataFrame, name: str, places: np.ndarray, color) -> None:
    """Mark what a network has on the published choice of images, where it was measured."""
    rows = depth[(depth["network"] == name) & (depth["probe"] == PUBLISHED_PROBE)].sort_values("block")
    if rows.empty:
        return
    count = int(rows["images"].iloc[0])
    text = f"{label(name)}, published: first {count} images" if count > 1 else f"{label(name)}, published: first image"
    look = {"color": color, "markersize": 3, "markeredgewidth": 0.7, "label": text}
    for line, row in zip(grid, ROWS.values(), strict=True):
        for axes, column in zip(line, row, strict=True):
            axes.plot(places, rows[column], "x", **look)


def _control(own: pd.DataFrame) -> str:
    """Return what scale and permuted channels leave of the intensity of one network."""
    if own["intensity"].isna().all():
        return "The reference network has no intensity"
    who = label(own["network"].iloc[0])
    away = 100 * (own["intensity"] / own["intensity_permuted"] - 1).abs().max()
    text = f"Intensity of {who}: within {away:.2g} % of that of permuted channels"
    if len(own) > 2:
        text += f"; its correlation with RMS over blocks is {own['intensity'].corr(own['rms']):.2f}"
    return text
