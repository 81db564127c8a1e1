"""How alike are blocks before aligning, and what did aligning them do?

In: alignment.parquet and effects.parquet. Out: CKA of the baseline's blocks with the teacher's; beside it what training
added to it, and the mismatch of rank and of bandwidth. Pairs that a variant aligned by themselves are marked with the
effects on test accuracy, one a variant; those that were only aligned together with others have none of their own.
"""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..statistics.effects import HARMS, HELPS, MIXED, NO_EFFECT, UNKNOWN
from ..statistics.report.words import over
from ..statistics.thresholds import FEWEST_ROWS
from .style import PAGE, Style, label, need

TABLES = ("alignment", "effects")
ASKS = ("students", "teacher")
MARKS = {HELPS: "^", HARMS: "v", NO_EFFECT: "s", UNKNOWN: "o", MIXED: "x"}
SEVERAL, TOGETHER = "verdicts differ by variant", "aligned only with others"
MARKS |= {SEVERAL: "D", TOGETHER: "."}
CAPTION = (
    "Unbiased linear CKA of the blocks of {baseline} with those of the teacher {teacher}, last epoch, mean over "
    "the seeds measured, without aligning and without interval; what training added to it (control: the same "
    "student untrained), and the mismatch of rank and of bandwidth. Marks: pairs that variants aligned, with the "
    "difference to {baseline} in test top-1 [points] over {seeds} and its verdict; a verdict needs the joint "
    "sign-flip test. Likeness describes, and is not tested here."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw student block by teacher block; a mark's form is the verdict, the numbers beside it the effects."""
    table = need(tables, "alignment", "student_block").copy()
    effects = tables["effects"]
    table["rank"] = np.log2(table["student_rank"] / table["teacher_rank_reduced"])
    table["bandwidth"] = table["student_bandwidth"] - table["teacher_bandwidth_reduced"]
    figure = Figure(figsize=(PAGE, 4.4), layout="constrained")
    grid = figure.add_gridspec(3, 2, width_ratios=[1.75, 1])
    main = figure.add_subplot(grid[:, 0])
    picture = _picture(table, "cka")
    if np.isfinite(picture).any():
        low = min(0.0, float(np.nanmin(picture)))
        _heatmap(figure, main, picture, "viridis", (low, 1), "unbiased linear CKA")
    else:
        _heatmap(figure, main, picture, "viridis", (0, 1), None)
        main.set_title("CKA has no value", fontsize="small")
    tried = table[table["aligned_by"].fillna("") != ""]
    shown = _mark(main, tried, effects)
    sides = {
        "gain": "CKA: trained\n- untrained",
        "rank": "rank: log2\n(student / teacher)",
        "bandwidth": "bandwidth:\nstudent - teacher",
    }
    panels = [figure.add_subplot(grid[row, 1]) for row in range(len(sides))]
    for axes, (column, text) in zip(panels, sides.items(), strict=True):
        picture = _picture(table, column)
        finite = picture[np.isfinite(picture)]
        # A mismatch of exactly 0 everywhere still needs a scale.
        reach = float(np.abs(finite).max(initial=0)) or 1.0
        _heatmap(figure, axes, picture, "RdBu", (-reach, reach), text if len(finite) else None)
        if not len(finite):
            axes.set_title(f"{column} has no value", fontsize="small")
        axes.plot(tried["teacher_block"], tried["student_block"], "s", color="black", mfc="none", markersize=3, mew=0.6)
    for axes in (main, *panels):
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.yaxis.get_major_locator().set_params(integer=True)
    main.set_ylabel("block of the student")
    for axes in (main, panels[-1]):
        axes.set_xlabel("block of the teacher")
    figure.suptitle(_title(table, effects), fontsize="small")
    handles = [
        mpl.lines.Line2D([], [], linestyle="none", marker=mark, color="black", mfc="white", markersize=4.5, label=text)
        for text, mark in MARKS.items()
        if text in shown
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


def _mark(axes: Axes, tried: pd.DataFrame, effects: pd.DataFrame) -> set[str]:
    """Mark the tried pairs, the effects beside each on the side that has room; return what the marks say."""
    middle, shown = np.mean(axes.get_xlim()), set()
    for one in tried.to_dict("records"):
        place = one["teacher_block"], one["student_block"]
        own = effects[effects["pairs"] == f"{one['student_block']}-{one['teacher_block']}"]
        verdicts = list(dict.fromkeys(own["verdict"]))
        text = verdicts[0] if len(verdicts) == 1 else SEVERAL if verdicts else TOGETHER
        shown.add(text)
        axes.plot(*place, MARKS[text], color="black", mfc="white", markersize=5, mew=0.8, zorder=3)
        left = place[0] > middle
        numbers = [
            "no seed" if np.isnan(row["mean_difference"]) else f"{row['objective']} {row['mean_difference']:+.2f}"
            for row in own.to_dict("records")
        ]
        if numbers:
            axes.annotate(
                "\n".join(numbers),
                place,
                xytext=(-5 if left else 5, 0),
                textcoords="offset points",
                ha="right" if left else "left",
                va="center",
                fontsize="small",
                path_effects=[patheffects.withStroke(linewidth=2, foreground="white")],
            )
    return shown


def _title(table: pd.DataFrame, effects: pd.DataFrame) -> str:
    baseline = label(table["baseline"].iloc[0])
    rows = table["cka_rows"].min()
    few = "" if np.isnan(rows) else f", n = {rows:,.0f} rows" + f" (< {FEWEST_ROWS:,})" * bool(rows < FEWEST_ROWS)
    said = "no variant aligns a pair"
    if len(effects):
        seeds = over(effects["seeds"])
        said = f"numbers: effect of variants that align no other pair on test top-1 [points], n = {seeds}"
    return (
        f"Blocks of {baseline} and teacher before any aligning, last epoch{few};\n{said}.\n"
        "Controls: the untrained student (trained - untrained); what aligning did is judged by a test over seeds"
    )
