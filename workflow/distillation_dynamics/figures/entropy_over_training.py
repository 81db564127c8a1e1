"""How each student's entropy profile over depth changes from epoch to epoch."""

import math

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from .style import PAGE, Style, label, need

TABLES = ("depth",)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw one panel a variant, one line a kept epoch (mean over seeds), the epoch as colour."""
    table = need(tables, "depth", "entropy")
    students = table[table["seed"] >= 0]
    variants = list(dict.fromkeys(students["model"]))
    across = min(5, len(variants))
    down = math.ceil(len(variants) / across)
    figure = Figure(figsize=(PAGE, 0.8 + 1.25 * down), layout="constrained")
    panels = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    norm = mpl.colors.Normalize(0, max(int(students["epoch"].max()), 1))
    scale = mpl.cm.ScalarMappable(norm, "viridis_r")
    for axes, variant in zip(panels.flat, variants, strict=False):
        rows = students[students["model"] == variant]
        for epoch, group in rows.groupby("epoch"):
            mean = group.groupby("block")["entropy"].mean()
            axes.plot(mean.index, mean, color=scale.to_rgba(epoch), marker="o", markersize=2.5)
        axes.set_title(label(variant), fontsize="small")
        axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
    for axes in panels.flat[len(variants) :]:
        axes.set_visible(False)
    figure.supxlabel("block", fontsize="medium")
    figure.supylabel("token entropy [bits]", fontsize="medium")
    bar = figure.colorbar(scale, ax=panels, fraction=0.03, pad=0.02, ticks=np.unique(students["epoch"]))
    bar.set_label("epoch")
    images, seeds = int(students["images"].iloc[0]), students["seed"].nunique()
    figure.suptitle(
        f"Entropy of the students during training ({images} validation images, {seeds} seed{'s' * (seeds > 1)}; "
        "range of each checkpoint)",
        fontsize="small",
    )
    return figure
