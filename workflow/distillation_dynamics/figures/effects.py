"""Does a variant help? Its differences to the baseline in test accuracy, seed by seed, with their mean and interval."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..drawing.axis import few_ticks, name_rows
from ..drawing.layout import NAMES, Room, sheet
from ..drawing.style import SMALL, Style, label, need
from ..statistics.thresholds import INTERVAL, LEVEL
from ..statistics.westfall_young import BETTER, WORSE, decision, p_said
from ..words import of_one_or_each, over

TABLES = ("variants", "differences")
REQUIRES = ("variants",)
CAPTION = (
    "Difference of each variant to {baseline} in test top-1 [points], paired by seed ({seeds}, {test_images}, "
    "last epoch), with the mean and its 95 % t interval over seeds. p: joint sign-flip test of all variants, bold at "
    "5 % or below. Control: 95 % of the mean differences that the choice of test images alone would give."
)
# Inches at the right, for the test in words.
WORDS = 1.35
ROOM = Room(left=NAMES, right=WORDS, above=0.16)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw each variant's paired differences around the baseline at 0, with the mean's 95 % t interval."""
    variants = need(tables, "variants", "mean_difference")
    differences = need(tables, "differences", "difference")
    baseline = label(of_one_or_each("baseline", variants["baseline"]))
    several = int(variants["seeds"].max()) > 1
    note = "Points: seeds, paired" + "; black: mean and 95 % t interval over seeds" * several
    note += "" if several else ", without interval of training"
    note += ". Control, grey: mean differences that the choice of test images alone would give (95 %)"
    note += ". p: joint test of all variants, bold at 5 % or below."
    title = f"Does a variant help? Difference to {baseline}, last epoch (n = {over(variants['seeds'])})"
    figure, ((axes,),) = sheet(1, 1, max(0.24 * len(variants), 0.5), title, note, ROOM)
    looks, several_n = style.looks(variants["variant"]), len({_n(one) for one in variants.to_dict("records")}) > 1
    # Where no seed and no interval reaches, there would be nothing but paper.
    seen = np.array([0, *differences["difference"], *variants["low"].dropna(), *variants["high"].dropna()])
    for row, one in enumerate(variants.to_dict("records")):
        points = differences[differences["variant"] == one["variant"]].sort_values("seed")["difference"]
        _row(axes, row, one, points, looks[one["variant"]])
        found = decision(one) in (BETTER, WORSE)
        axes.annotate(
            _words(one, several_n), (1, row), xycoords=("axes fraction", "data"), xytext=(6, 0),
            textcoords="offset points", fontsize=SMALL, va="center", annotation_clip=False,
            fontweight="bold" if found else "normal",
        )  # fmt: skip
    axes.axvline(0, color="black", linewidth=0.8, linestyle=(0, (6, 3)))
    # The noise of few test images must not squeeze what was seen into a line.
    noise = INTERVAL * np.nanmax([0, *variants["evaluation_standard_error"]])
    reach = min(noise, np.ptp(seen)) or 1.0 * (np.ptp(seen) == 0)
    low, high = min(seen.min(), -reach), max(seen.max(), reach)
    axes.set_xlim(low - 0.04 * (high - low), high + 0.04 * (high - low))
    name_rows(axes, variants["variant"])
    axes.grid(axis="x", linewidth=0.3)
    few_ticks(axes, 8, axis="x")
    axes.set_xlabel("difference in test top-1 [points]")
    axes.annotate("joint test", (1, 1), xycoords="axes fraction", xytext=(6, 3), textcoords="offset points",
                  fontsize=SMALL, annotation_clip=False)  # fmt: skip
    return figure


def _row(axes: Axes, row: int, one: dict, points: pd.Series, look: dict) -> None:
    """Draw one variant: its seeds, its mean and interval, and what the number of images alone makes."""
    noise = INTERVAL * one["evaluation_standard_error"]
    axes.fill_between([-noise, noise], row - 0.4, row + 0.4, color="0.91", linewidth=0, zorder=0)
    places = row + np.linspace(-0.22, 0.06, len(points)) if len(points) > 1 else [row + 0.0] * len(points)
    axes.plot(points, places, look["marker"], color=look["color"], markerfacecolor="none", markersize=3, mew=0.8)
    if one["seeds"] > 1:
        axes.plot([one["low"], one["high"]], [row + 0.25] * 2, color="black", linewidth=1.1, zorder=3)
        axes.plot(one["mean_difference"], row + 0.25, "d", color="black", markersize=3.5, zorder=4)


def _n(one: dict) -> int:
    """Return the seeds of the joint test, or those of a variant that is not in it."""
    return one["joint_seeds"] or one["seeds"]


def _words(one: dict, several_n: bool) -> str:
    """Return what the joint sign-flip test can say, and that several changes were made at once; n where n differs."""
    n = f"n = {_n(one)}: " if several_n else ""
    changes = f"\n{one['changes']} changes at once" if one["changes"] > 1 else ""
    if one["seeds"] < 2 or one["joint_seeds"] == 0:
        return f"{n}no test{changes}"
    if one["smallest_p"] > LEVEL:
        return f"{n}cannot reach 5 %{changes}"
    p = p_said(one["p_joint"])
    return f"{n}p {p if p.startswith('<') else f'= {p}'}{changes}"
