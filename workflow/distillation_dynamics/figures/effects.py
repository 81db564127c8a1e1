"""Whether a variant helps: its differences to the baseline in test accuracy, seed by seed.

In: variants.parquet and differences.parquet. Out: every seed a point, mean and interval beside them, and in words what
that number of seeds can show. The control is the noise of the test images alone.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..statistics.report.words import over
from ..statistics.thresholds import INTERVAL, LEVEL
from .style import PAGE, Style, label, need

TABLES = ("variants", "differences")
ASKS = ("variants",)
CAPTION = (
    "Difference of each variant to {baseline} in test top-1 [points], paired by seed ({seeds}, {test_images}, "
    "last epoch), with the mean and its 95 % t interval over seeds. p: joint sign-flip test of all variants. "
    "Control: what the number of test images alone makes of no difference."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw each variant's paired differences around the baseline at 0, with the mean's 95 % t interval."""
    variants = need(tables, "variants", "mean_difference")
    differences = need(tables, "differences", "difference")
    baseline = variants["baseline"].iloc[0]
    looks = style.looks(variants["variant"])
    figure = Figure(figsize=(PAGE, 1.15 + 0.27 * len(variants)), layout="constrained")
    axes, words = figure.subplots(1, 2, width_ratios=[1, 0.42], sharey=True)
    for row, one in enumerate(variants.to_dict("records")):
        color, marker = looks[one["variant"]]["color"], looks[one["variant"]]["marker"]
        noise = INTERVAL * one["evaluation_standard_error"]
        axes.fill_between([-noise, noise], row - 0.4, row + 0.4, color="0.92", linewidth=0, zorder=0)
        points = differences.loc[differences["variant"] == one["variant"]].sort_values("seed")["difference"]
        places = row + np.linspace(-0.12, 0.12, len(points)) if len(points) > 1 else [row + 0.0] * len(points)
        axes.plot(points, places, marker, color=color, markerfacecolor="none", markersize=3.5, markeredgewidth=0.8)
        if one["seeds"] > 1:
            axes.plot([one["low"], one["high"]], [row, row], color="black", linewidth=0.9, zorder=3)
            axes.plot(one["mean_difference"], row, "d", color="black", markersize=4.5, zorder=4)
        words.text(0, row, _words(one), fontsize="small", va="center")
    axes.axvline(0, color="black", linewidth=0.8, linestyle=(0, (6, 3)))
    # The noise of few test images must not squeeze what was seen into a line.
    seen = np.abs([*differences["difference"], *variants["low"].dropna(), *variants["high"].dropna()]).max()
    noise = INTERVAL * variants["evaluation_standard_error"].max()
    reach = 1.1 * max(seen, min(noise, 2 * seen) if noise > 0 else 0) or 1.0
    axes.set_xlim(-reach, reach)
    axes.set_yticks(range(len(variants)), [label(name) for name in variants["variant"]])
    axes.set_ylim(len(variants) - 0.5, -0.5)
    axes.grid(axis="x", linewidth=0.3)
    axes.set_xlabel(f"difference to {label(baseline)} in test top-1 [points]")
    words.set_axis_off()
    most = int(variants["seeds"].max())
    seeds = f"n = {over(variants['seeds'])}"
    means = "; black: mean and 95 % t interval over seeds" if most > 1 else ", without interval of training"
    figure.suptitle(
        f"Does a variant help? Last epoch, paired by seed ({seeds}{means}).\nControl, grey: 95 % of what the number of "
        "test images alone makes of no difference, for one seed",
        fontsize="small",
    )
    return figure


def _words(one: dict) -> str:
    """Return n, what the joint sign-flip test of so many seeds can say, and that several changes were made at once."""
    changes = f"\n{one['changes']} changes at once" if one["changes"] > 1 else ""
    if one["seeds"] < 2 or one["joint_seeds"] == 0:
        return f"n = {one['seeds']}: no test{changes}"
    if one["smallest_p"] > LEVEL:
        return f"n = {one['joint_seeds']}: no test can reach 5 %{changes}"
    return f"n = {one['joint_seeds']}: p = {one['p_joint']:.2g} (joint sign flips){changes}"
