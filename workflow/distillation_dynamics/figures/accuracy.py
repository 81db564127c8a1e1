"""Test accuracy and agreement with the teacher, by network and variant, every seed a point."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..statistics.thresholds import INTERVAL
from .style import PAGE, Style, label, need

TABLES = ("runs",)
ASKS = ("labels",)
CAPTION = (
    "Test top-1 of networks and variants (last epoch, {test_images}; students: {students}) and, where there is a "
    "teacher, agreement with its predictions. Every seed is a point. Bars: 95 % binomial interval of the test "
    "images, which says nothing of other trainings."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw each run as a point with the 95 % binomial interval of its test images; a teacher is a line.

    Agreement has a panel where something was compared with a teacher. What has no accuracy is left out and named.
    """
    runs = need(tables, "runs", "test_top1")
    absent = list(dict.fromkeys(runs.loc[runs["test_top1"].isna(), "network"]))
    runs = runs[runs["test_top1"].notna()]
    teacher, runs = (runs[(runs["network"] == style.names.teacher) == is_one] for is_one in (True, False))
    if runs.empty:
        teacher, runs = runs, teacher
    names = list(dict.fromkeys(runs["network"]))
    looks = style.looks(names)
    compared = runs["test_agreement"].notna().any()
    figure = Figure(figsize=(PAGE, 0.9 + 0.21 * len(names) + 0.15 * bool(absent)), layout="constrained")
    panels = figure.subplots(1, 2 if compared else 1, sharey=True, squeeze=False)[0]
    left, columns = panels[0], ["test_top1", "test_agreement"][: len(panels)]
    for row, name in enumerate(names):
        group = runs[runs["network"] == name]
        places = row + (np.arange(len(group)) - (len(group) - 1) / 2) * min(0.12, 0.6 / len(group))
        look = {"color": looks[name]["color"], "marker": looks[name]["marker"], "linestyle": "none"}
        share = group["test_top1"] / 100
        interval = 100 * INTERVAL * np.sqrt(share * (1 - share) / group["test_images"])
        left.errorbar(group["test_top1"], places, xerr=interval, elinewidth=0.7, **look)
        for axes in panels[1:]:
            axes.plot(group["test_agreement"], places, **look)
        if len(group) > 1:
            for axes, column in zip(panels, columns, strict=True):
                axes.plot([group[column].mean()], [row], "|", color="black", markersize=11)
    if len(teacher):
        value = teacher["test_top1"].iloc[0]
        left.axvline(value, color="black", linewidth=0.8, linestyle=(0, (6, 3)))
        left.annotate(
            f"teacher ({label(style.names.teacher)}) {value:.1f}", (value, 1), xycoords=("data", "axes fraction"),
            xytext=(-2, 2), ha="right", textcoords="offset points", fontsize="small",
        )  # fmt: skip
    left.set_yticks(range(len(names)), [label(name) for name in names])
    left.set_ylim(len(names) - 0.5, -0.5)
    for axes, text in zip(panels, ("test top-1 [%], last epoch", "same prediction as the teacher [%]"), strict=False):
        axes.set_xlabel(text)
        axes.grid(axis="x", linewidth=0.3)
    images, seeds = int(runs["test_images"].iloc[0]), runs.loc[runs["seed"] >= 0, "seed"].nunique()
    count = f", n = {seeds} seed{'s' * (seeds > 1)}" if seeds else ""
    note = f"{images:,} test images{count}; bars: 95 % binomial interval of the images"
    note += "; |: mean" if seeds > 1 else ", not of training"
    note += f"\nNo accuracy: {', '.join(map(label, absent))}" if absent else ""
    figure.suptitle(note, fontsize="small")
    return figure
