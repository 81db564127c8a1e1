"""How alike are blocks before aligning, and what did aligning them do?

Pairs that a variant aligned by themselves are marked with the effects on test accuracy, one a variant; those that were
only aligned together with others have none of their own.
"""

import string
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..drawing.axis import name_blocks
from ..drawing.layout import Room, inches_of, sheet
from ..drawing.style import TEXT, Style, label, need
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
    "the seeds measured, without aligning and without interval; what training added to it (control: the same "
    "student untrained), and the mismatch of rank and of bandwidth. Marks: pairs that variants aligned, with the "
    "difference to {baseline} in test top-1 [points] over {seeds} and its verdict; a verdict needs the joint "
    "sign-flip test. Likeness describes, and is not tested here."
)
# Column -> its name, colours, and what its scale reaches at least: a difference that small is none to look at.
PANELS = {
    "cka": ("unbiased linear CKA", "viridis", 0.2),
    "gain": ("CKA: trained - untrained", "RdBu", 0.2),
    "rank": ("rank: log2(student / teacher)", "RdBu", 1.0),
    "bandwidth": ("bandwidth: student - teacher", "RdBu", 0.2),
}
ROOM = Room(left=0.42, right=0.62, gap=0.95, between=0.5, above=0.2, below=0.36, legend=2)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw student block by teacher block; a mark's form is the verdict, its letter stands before the effects below."""
    # Of several students the first.
    table = need(tables, "alignment", "student_block")
    table = table[table["baseline"] == table["baseline"].iloc[0]].copy()
    effects = tables["effects"]
    table["rank"] = np.log2(table["student_rank"] / table["teacher_rank_reduced"])
    table["bandwidth"] = table["student_bandwidth"] - table["teacher_bandwidth_reduced"]
    tried = table[table["aligned_by"].fillna("") != ""].sort_values(["student_block", "teacher_block"])
    letters = dict(zip(tried.index, string.ascii_letters, strict=False))
    figure, panels = sheet(2, 2, 1.5, _title(table), _note(tried, letters, effects), ROOM)
    for axes, (column, (text, colors, least)) in zip(panels.flat, PANELS.items(), strict=True):
        picture = _picture(table, column)
        if np.isfinite(picture).any():
            _heatmap(figure, axes, picture, colors, _limits(picture, column == "cka", least))
            axes.set_title(text, loc="left")
        else:
            axes.imshow(picture, aspect="auto", origin="lower")
            axes.set_title(f"{text}: no value", loc="left")
        for axis, blocks, most in ((axes.xaxis, picture.shape[1], 12), (axes.yaxis, picture.shape[0], 8)):
            name_blocks(axis, tuple(map(str, range(blocks))), most)
    shown = _mark(panels, tried, letters, effects)
    for axes in panels[1]:
        axes.set_xlabel("block of the teacher")
    for axes in panels[:, 0]:
        axes.set_ylabel("block of the student")
    _legend(figure, panels[1, 0], shown)
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


def _mark(panels: np.ndarray, tried: pd.DataFrame, letters: dict, effects: pd.DataFrame) -> list[str]:
    """Mark the tried pairs in all panels, with their letter in the first; return what the marks say."""
    shown = []
    box = {"boxstyle": "square,pad=0.15", "facecolor": "white", "linewidth": 0}
    for index, one in tried.iterrows():
        place = one["teacher_block"], one["student_block"]
        verdicts = list(dict.fromkeys(_own(one, effects)["verdict"]))
        text = verdicts[0] if len(verdicts) == 1 else SEVERAL if verdicts else TOGETHER
        shown.append(text)
        for axes in panels.flat:
            axes.plot(*place, MARKS[text], color="black", mfc="white", markersize=4, mew=0.8, zorder=3)
        axes = panels.flat[0]
        left = place[0] > np.mean(axes.get_xlim())
        axes.annotate(
            letters.get(index, ""), place, xytext=(-5 if left else 5, 0), textcoords="offset points", va="center",
            ha="right" if left else "left", fontsize=TEXT, bbox=box,
        )  # fmt: skip
    return shown


def _own(one: pd.Series, effects: pd.DataFrame) -> pd.DataFrame:
    """Return the effects of the variants that align this pair by itself."""
    return effects[effects["pairs"] == f"{one['student_block']}-{one['teacher_block']}"]


def _title(table: pd.DataFrame) -> str:
    rows = table["cka_rows"].min()
    few = "" if np.isnan(rows) else f", n = {rows:,.0f} rows" + f" (< {FEWEST_ROWS:,})" * bool(rows < FEWEST_ROWS)
    return f"Blocks of {label(table['baseline'].iloc[0])} and teacher before any aligning, last epoch{few}"


def _note(tried: pd.DataFrame, letters: dict, effects: pd.DataFrame) -> str:
    """Return the effects of each pair that was aligned by itself, and what the controls are."""
    said = []
    for index, one in tried.iterrows():
        numbers = [
            f"{label(row['variant'])} "
            + ("no seed" if np.isnan(row["mean_difference"]) else f"{row['mean_difference']:+.2f}")
            for row in _own(one, effects).to_dict("records")
        ]
        if numbers:
            said.append(f"{letters.get(index, '')}: {', '.join(numbers)}")
    text = "No variant aligns a pair by itself."
    if said:
        text = (
            "Effect of variants that align no other pair on test top-1 [points], n = "
            f"{over(effects['seeds'])}: {'; '.join(said)}."
        )
    return f"{text} Control of CKA: the untrained student. What aligning did is judged by a test over seeds."
