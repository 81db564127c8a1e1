"""Which blocks might be aligned: likeness and mismatch of every pair before aligning, and the effect of those tried.

In: alignment.parquet. Out: CKA of the baseline's blocks with the teacher's, the tried pairs marked with their effect on
test accuracy; beside it the mismatch of rank and of bandwidth.
"""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..statistics.thresholds import FEWEST_ROWS
from .style import PAGE, Style, label, need

TABLES = ("alignment",)
ASKS = ("students", "teacher")
MARKS = {"align": "^", "do not align": "v", "no effect found": "s", "not enough evidence": "o"}


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw student block by teacher block; a mark's form is the recommendation, the number beside it the effect."""
    table = need(tables, "alignment", "recommendation").copy()
    table["rank"] = np.log2(table["student_rank"] / table["teacher_rank_reduced"])
    table["bandwidth"] = table["student_bandwidth"] - table["teacher_bandwidth_reduced"]
    figure = Figure(figsize=(PAGE, 3.9), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=[1.75, 1])
    main = figure.add_subplot(grid[:, 0])
    picture = _picture(table, "cka")
    if np.isfinite(picture).any():
        low = min(0.0, float(np.nanmin(picture)))
        _heatmap(figure, main, picture, "viridis", (low, 1), "unbiased linear CKA")
    else:
        _heatmap(figure, main, picture, "viridis", (0, 1), None)
        main.set_title("CKA has no value", fontsize="small")
    tried = table[table["variants"].fillna("") != ""]
    _mark(main, tried)
    above, below = figure.add_subplot(grid[0, 1]), figure.add_subplot(grid[1, 1])
    sides = (above, "rank", "rank: log2(student / teacher)"), (below, "bandwidth", "bandwidth: student - teacher")
    for axes, column, text in sides:
        picture = _picture(table, column)
        finite = picture[np.isfinite(picture)]
        # A mismatch of exactly 0 everywhere still needs a scale.
        reach = float(np.abs(finite).max(initial=0)) or 1.0
        _heatmap(figure, axes, picture, "RdBu", (-reach, reach), text if len(finite) else None)
        if not len(finite):
            axes.set_title(f"{column} has no value", fontsize="small")
        axes.plot(tried["teacher_block"], tried["student_block"], "s", color="black", mfc="none", markersize=3, mew=0.6)
    for axes in (main, above, below):
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.yaxis.get_major_locator().set_params(integer=True)
    main.set_ylabel("block of the student")
    for axes in (main, below):
        axes.set_xlabel("block of the teacher")
    figure.suptitle(_title(table, tried), fontsize="small")
    handles = [
        mpl.lines.Line2D([], [], linestyle="none", marker=mark, color="black", mfc="white", markersize=4.5, label=text)
        for text, mark in MARKS.items()
        if (tried["recommendation"] == text).any()
    ]
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=4, handletextpad=0.2, fontsize="small")
    return figure


def _picture(table: pd.DataFrame, column: str) -> np.ndarray:
    """Return `column` as [student block, teacher block], NaN where there is no row."""
    shape = 1 + table["student_block"].max(), 1 + table["teacher_block"].max()
    picture = np.full(shape, np.nan)
    picture[table["student_block"], table["teacher_block"]] = table[column]
    return picture


def _heatmap(
    figure: Figure, axes: Axes, picture: np.ndarray, colors: str, limits: tuple[float, float], text: str | None
) -> None:
    scale = mpl.cm.ScalarMappable(mpl.colors.Normalize(*limits), mpl.colormaps[colors].with_extremes(bad="0.9"))
    axes.imshow(picture, norm=scale.norm, cmap=scale.cmap, aspect="auto", origin="lower", interpolation="nearest")
    axes.tick_params(labelsize="small")
    if text:
        bar = figure.colorbar(scale, ax=axes, fraction=0.05, pad=0.02)
        bar.set_label(text, fontsize="small")
        bar.ax.tick_params(labelsize="x-small")


def _mark(axes: Axes, tried: pd.DataFrame) -> None:
    """Mark the tried pairs, the effect beside each, on the side that has room."""
    middle = np.mean(axes.get_xlim())
    for one in tried.to_dict("records"):
        place = one["teacher_block"], one["student_block"]
        axes.plot(*place, MARKS[one["recommendation"]], color="black", mfc="white", markersize=5, mew=0.8, zorder=3)
        left = place[0] > middle
        axes.annotate(
            "no seed" if np.isnan(one["effect"]) else f"{one['effect']:+.2f}",
            place,
            xytext=(-5 if left else 5, 0),
            textcoords="offset points",
            ha="right" if left else "left",
            va="center",
            fontsize="small",
            path_effects=[patheffects.withStroke(linewidth=2, foreground="white")],
        )


def _title(table: pd.DataFrame, tried: pd.DataFrame) -> str:
    baseline = label(table["baseline"].iloc[0])
    rows = table["cka_rows"].min()
    few = "" if np.isnan(rows) else f", n = {rows:,.0f} rows" + f" (< {FEWEST_ROWS:,})" * bool(rows < FEWEST_ROWS)
    if tried.empty:
        said = "no variant aligns a pair"
    else:
        seeds = sorted(set(tried["seeds"]))
        many = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
        said = (
            f"numbers: effect on test top-1 [points], n = {many} seed{'s' * (seeds != [1])}, pairs tried: {len(tried)}"
        )
    return (
        f"Which blocks to align? {baseline} and teacher before any aligning, last epoch{few};\n{said}.\n"
        "Control: what aligning did is judged by a test over seeds against the baseline, not by likeness"
    )
