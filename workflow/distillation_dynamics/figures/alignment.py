"""Which blocks should be aligned? How alike blocks are before aligning, what training added, and what aligning did.

Pairs that a variant aligned alone carry its effect on test accuracy; those aligned only together with others have none
of their own.
"""

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..drawing.axis import name_blocks
from ..drawing.layout import Room, inches_of, sheet
from ..drawing.style import SMALL, Style, label, need
from ..questions.dose.effects import HARMS, HELPS, MIXED, NO_EFFECT, UNKNOWN
from ..statistics.thresholds import FEWEST_ROWS
from ..words import over

TABLES = ("alignment", "effects")
REQUIRES = ("students", "teacher")
MARKS = {HELPS: "^", HARMS: "v", NO_EFFECT: "s", UNKNOWN: "o", MIXED: "x"}
SEVERAL, TOGETHER = "verdicts differ by variant", "aligned only with others"
MARKS |= {SEVERAL: "D", TOGETHER: "."}
CAPTION = (
    "Unbiased linear CKA of the blocks of {baseline} with those of the teacher {teacher}, last epoch, mean over "
    "the seeds measured, without aligning and without interval, and what training added to it (control: the same "
    "student untrained). Marks: pairs that variants aligned, with the difference to {baseline} in test top-1 [points] "
    "over {seeds} and its verdict by the joint sign-flip test. Similarity is described, not tested."
)
# Column -> its name, colours, and what its scale reaches at least: a smaller difference is none to look at.
PANELS = {"cka": ("unbiased linear CKA", "viridis", 0.2), "gain": ("CKA: trained minus untrained", "RdBu", 0.2)}
# Lines beside a mark.
LINES = 4
ROOM = Room(left=0.42, right=0.62, gap=0.95, above=0.2, below=0.36, legend=2)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw student block by teacher block; the form of a mark is the verdict, beside it are the effects."""
    # Of several students the first.
    table = need(tables, "alignment", "student_block")
    table = table[table["baseline"] == table["baseline"].iloc[0]]
    effects = tables["effects"]
    tried = table[table["aligned_by"].fillna("") != ""].sort_values(["student_block", "teacher_block"])
    figure, (panels,) = sheet(1, len(PANELS), 2.3, _title(table), _note(tried, effects), ROOM)
    for axes, (column, (text, colors, least)) in zip(panels, PANELS.items(), strict=True):
        picture = _picture(table, column)
        if np.isfinite(picture).any():
            _heatmap(figure, axes, picture, colors, _limits(picture, column == "cka", least))
            axes.set_title(text, loc="left")
        else:
            axes.imshow(picture, aspect="auto", origin="lower")
            axes.set_title(f"{text}: no value", loc="left")
        for axis, blocks, most in ((axes.xaxis, picture.shape[1], 12), (axes.yaxis, picture.shape[0], 8)):
            name_blocks(axis, tuple(map(str, range(blocks))), most)
        axes.set_xlabel("block of the teacher")
    panels[0].set_ylabel("block of the student")
    _legend(figure, panels[0], _mark(panels, tried, effects))
    return figure


def _limits(picture: np.ndarray, likeness: bool, least: float) -> tuple[float, float]:
    """Return what the colours span: of likeness about what there is, of differences as far to both sides."""
    finite = picture[np.isfinite(picture)]
    if not likeness:
        reach = max(float(np.abs(finite).max()), least)
        return -reach, reach
    low, high = np.floor(10 * finite.min()) / 10, np.ceil(10 * finite.max()) / 10
    return (low, high) if high - low >= least else (high - least, high)


def _legend(figure: Figure, lowest: Axes, shown: list[str]) -> None:
    handles = [
        mpl.lines.Line2D([], [], linestyle="none", marker=MARKS[text], color="black", mfc="white", label=text)
        for text in MARKS
        if text in shown
    ]
    top = lowest.get_position().y0 - ROOM.below / figure.get_size_inches()[1]
    if handles:
        place: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, top), "borderaxespad": 0, "ncols": 3}
        figure.legend(handles=handles, handletextpad=0.2, markerscale=1.4, **place)


def _picture(table: pd.DataFrame, column: str) -> np.ndarray:
    """Return `column` as [student block, teacher block], NaN where there is no row."""
    shape = 1 + table["student_block"].max(), 1 + table["teacher_block"].max()
    picture = np.full(shape, np.nan)
    picture[table["student_block"], table["teacher_block"]] = table[column]
    return picture


def _heatmap(figure: Figure, axes: Axes, picture: np.ndarray, colors: str, limits: tuple[float, float]) -> None:
    norm = mpl.colors.Normalize(*limits)
    scale = mpl.cm.ScalarMappable(norm, mpl.colormaps[colors].with_extremes(bad="0.9"))
    axes.imshow(picture, norm=norm, cmap=scale.cmap, aspect="auto", origin="lower", interpolation="nearest")
    width, _ = inches_of(axes)
    bar = figure.colorbar(scale, cax=axes.inset_axes((1 + 0.08 / width, 0, 0.1 / width, 1)))
    bar.locator = mpl.ticker.MaxNLocator(4)
    bar.update_ticks()
    bar.outline.set_visible(False)


def _mark(panels: np.ndarray, tried: pd.DataFrame, effects: pd.DataFrame) -> list[str]:
    """Mark the tried pairs in all panels, with their effects in the first; return what the marks say."""
    shown = []
    box = {"boxstyle": "square,pad=0.2", "facecolor": "white", "linewidth": 0, "alpha": 0.85}
    for one in tried.to_dict("records"):
        place, own = (one["teacher_block"], one["student_block"]), _own(one, effects)
        verdicts = list(dict.fromkeys(own["verdict"]))
        text = verdicts[0] if len(verdicts) == 1 else SEVERAL if verdicts else TOGETHER
        shown.append(text)
        for axes in panels:
            axes.plot(*place, MARKS[text], color="black", mfc="white", markersize=4, mew=0.8, zorder=3)
        if own.empty:
            continue
        # Towards the middle of the panel, where there is room.
        left, low = (value > np.mean(limits) for value, limits in zip(place, _ends(panels[0]), strict=True))
        panels[0].annotate(
            _said(own), place, xytext=(-6 if left else 6, 0), textcoords="offset points", fontsize=SMALL,
            ha="right" if left else "left", va="top" if low else "bottom", bbox=box, zorder=2,
        )  # fmt: skip
    return shown


def _ends(axes: Axes) -> tuple[tuple[float, float], tuple[float, float]]:
    return axes.get_xlim(), axes.get_ylim()


def _said(own: pd.DataFrame) -> str:
    """Return the effects of the variants that align a pair alone, one a line."""
    said = [
        f"{label(row['variant'])} "
        + ("no seed" if np.isnan(row["mean_difference"]) else f"{row['mean_difference']:+.2f}")
        for row in own.to_dict("records")
    ]
    return "\n".join(said if len(said) <= LINES else [*said[: LINES - 1], f"and {len(said) - LINES + 1} more"])


def _own(one: dict[str, Any], effects: pd.DataFrame) -> pd.DataFrame:
    """Return the effects of the variants that align this pair alone."""
    return effects[effects["pairs"] == f"{one['student_block']}-{one['teacher_block']}"]


def _title(table: pd.DataFrame) -> str:
    rows = table["cka_rows"].min()
    few = "" if np.isnan(rows) else f", n = {rows:,.0f} rows" + f" (< {FEWEST_ROWS:,})" * bool(rows < FEWEST_ROWS)
    return f"Blocks of {label(table['baseline'].iloc[0])} and teacher before any aligning, last epoch{few}"


def _note(tried: pd.DataFrame, effects: pd.DataFrame) -> str:
    """Return what the numbers beside marks are, and the control."""
    alone = pd.concat([effects.iloc[:0], *(_own(one, effects) for one in tried.to_dict("records"))])
    text = "No variant aligns a pair by itself."
    if len(alone):
        text = f"Beside marks: effect of aligning this pair alone on test top-1 [points], n = {over(alone['seeds'])}."
    return f"{text} Control of CKA: the untrained student."
