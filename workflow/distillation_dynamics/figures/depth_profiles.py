"""Intensity, entropy and activation magnitude over depth, as published, and the controls that say what they measure.

In: depth.parquet. Out: a figure of three rows: the published measures, their controls on the same scale (constant term
left out, one range for all models, root mean square), and what is left once the scale of the activations is taken out.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .profiles import final, log_if_wide, profile, title
from .style import PAGE, Style, label, legend_below

TABLES = ("depth",)
METRICS = ("spectrum", "entropy", "magnitude")
ROWS = {
    "as published": {
        "intensity": "spectral intensity\n[activation units]",
        "entropy": "token entropy, range\nof each model [bits]",
        "activation_magnitude": "activation magnitude\n[activation units]",
    },
    "controls, same scale": {
        "intensity_without_dc": "intensity without\nDC [activation units]",
        "entropy_fixed_range": "token entropy, range\nof the teacher [bits]",
        "rms": "root mean square\n[activation units]",
    },
    "scale taken out (left, middle); spread within a token": {
        "intensity_per_rms": "intensity / RMS",
        "entropy_standardised": "entropy of standard-\nised tokens [bits]",
        "token_standard_deviation": "deviation in a token\n[activation units]",
    },
}


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw each model's last epoch, mean over seeds; the teacher also on the published choice of images."""
    columns = [column for row in ROWS.values() for column in row]
    table = final(tables, "depth", *columns, "intensity_permuted", "clipped_share")
    figure = Figure(figsize=(PAGE, 6.6), layout="constrained")
    grid = figure.subplots(3, 3, sharex=True)
    for above, below in zip(grid[0], grid[1], strict=True):
        below.sharey(above)
    for line, (name, row) in zip(grid, ROWS.items(), strict=True):
        for axes, (column, text) in zip(line, row.items(), strict=True):
            profile(axes, table, column, style, text)
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
    teacher = table[table["model"] == "teacher"].sort_values("block")
    _draw_null(grid[0, 0], teacher)
    _draw_published(grid, tables["depth"])
    worst = table.loc[table["clipped_share"].idxmax()]
    grid[1, 1].set_title(
        f"outside the range: at most {100 * worst['clipped_share']:.2g} %\n({label(worst['model'])})",
        loc="right", fontsize="x-small",
    )  # fmt: skip
    figure.suptitle(title("Patch tokens over depth", table, _control(teacher), style), fontsize="small")
    legend_below(figure, grid[0, 0], 3)
    return figure


def _places(axes: Axes) -> np.ndarray:
    """Return where the teacher's blocks lie."""
    return next(line.get_xdata() for line in axes.lines if line.get_label() == label("teacher"))


def _draw_null(axes: Axes, teacher: pd.DataFrame) -> None:
    look = {"color": "black", "linewidth": 0.8, "linestyle": ":"}
    axes.plot(_places(axes), teacher["intensity_permuted"], label="teacher, channels permuted", **look)


def _draw_published(grid: np.ndarray, depth: pd.DataFrame) -> None:
    rows = depth[(depth["model"] == "teacher") & (depth["probe"] == "published")].sort_values("block")
    text = f"teacher, published: first {int(rows['images'].iloc[0])} images"
    for line, row in zip(grid, ROWS.values(), strict=True):
        for axes, column in zip(line, row, strict=True):
            axes.plot(_places(axes), rows[column], "x", color="black", markersize=3, markeredgewidth=0.7, label=text)


def _control(teacher: pd.DataFrame) -> str:
    """Return what scale and permuted channels leave of the teacher's intensity."""
    away = 100 * (teacher["intensity"] / teacher["intensity_permuted"] - 1).abs().max()
    text = f"Teacher's intensity: within {away:.2g} % of that of permuted channels"
    if len(teacher) > 2:
        text += f"; its correlation with RMS over blocks is {teacher['intensity'].corr(teacher['rms']):.2f}"
    return text
