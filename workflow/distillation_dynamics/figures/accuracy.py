"""Test accuracy and agreement with the teacher, by variant, every seed a point."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from .style import PAGE, Style, label, need

TABLES = ("runs",)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw each run as a point with the 95 % binomial interval of its test images; the teacher is a line."""
    runs = need(tables, "runs", "test_top1", "test_images")
    teacher, students = runs[runs["variant"] == "teacher"], runs[runs["variant"] != "teacher"]
    variants = list(dict.fromkeys(students["variant"]))
    looks = style.looks(variants)
    figure = Figure(figsize=(PAGE, 0.9 + 0.21 * len(variants)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for row, variant in enumerate(variants):
        group = students[students["variant"] == variant]
        places = row + (np.arange(len(group)) - (len(group) - 1) / 2) * min(0.12, 0.6 / len(group))
        look = {"color": looks[variant]["color"], "marker": looks[variant]["marker"], "linestyle": "none"}
        share = group["test_top1"] / 100
        interval = 196 * np.sqrt(share * (1 - share) / group["test_images"])
        left.errorbar(group["test_top1"], places, xerr=interval, elinewidth=0.7, **look)
        right.plot(group["test_agreement"], places, **look)
        if len(group) > 1:
            for axes, column in ((left, "test_top1"), (right, "test_agreement")):
                axes.plot([group[column].mean()], [row], "|", color="black", markersize=11)
    if len(teacher):
        value = teacher["test_top1"].iloc[0]
        left.axvline(value, color="black", linewidth=0.8, linestyle=(0, (6, 3)))
        left.annotate(
            f"teacher {value:.1f}", (value, 1), xycoords=("data", "axes fraction"), xytext=(-2, 2), ha="right",
            textcoords="offset points", fontsize="small",
        )  # fmt: skip
    left.set_yticks(range(len(variants)), [label(variant) for variant in variants])
    left.invert_yaxis()
    left.set_xlabel("test top-1 [%], last epoch")
    right.set_xlabel("same prediction as the teacher [%]")
    for axes in (left, right):
        axes.grid(axis="x", linewidth=0.3)
    images, seeds = int(students["test_images"].iloc[0]), students["seed"].nunique()
    note = f"{images:,} test images, n = {seeds} seed{'s' * (seeds > 1)}; bars: 95 % binomial interval of the images"
    figure.suptitle(note + ("; |: mean" if seeds > 1 else ", not of training"), fontsize="small")
    return figure
