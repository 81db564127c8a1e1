"""How alike the blocks of student and teacher arrange the same images: unbiased linear CKA, a picture a variant.

In: cka.parquet. Out: student block by teacher block at the last epoch, and the untrained student as control.
"""

import math

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..statistics.thresholds import FEWEST_ROWS
from .profiles import name_blocks
from .style import PAGE, NoValue, Style, against, label, last_epoch, need

TABLES = ("cka",)
ASKS = ("students", "teacher")
ACROSS = 4
CAPTION = (
    "Unbiased linear CKA of the blocks of each variant with those of the teacher {teacher}: last epoch, mean over "
    "the seeds measured ({students}), without interval. Control: the untrained student. Likeness describes, and "
    "is not tested."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw tokens' CKA, or where grids differ the images' (mean tokens), mean over seeds, on one colour scale."""
    table = against(need(tables, "cka", "cka_images"), style)
    if table.empty:
        raise NoValue("no student was compared with the teacher (cka.parquet)")
    whole = table["cka_tokens"].notna().sum() >= table["cka_images"].notna().sum()
    column = "cka_tokens" if whole else "cka_images"
    untrained = table[(table["epoch"] == 0) & (table["network"] == style.names.baseline)]
    trained = last_epoch(table[table["epoch"] > 0])
    pictures = {"untrained student": untrained} if len(untrained) else {}
    pictures |= {label(name): rows for name, rows in trained.groupby("network", sort=False)}
    down = math.ceil(len(pictures) / ACROSS)
    figure = Figure(figsize=(PAGE, 1.1 + 1.35 * down), layout="constrained")
    panels = figure.subplots(down, ACROSS, sharex=True, sharey=True, squeeze=False)
    values = {
        name: rows.pivot_table(values=column, index="block", columns="other_block", dropna=False)
        for name, rows in pictures.items()
    }
    low = min(0, min(picture.min(axis=None) for picture in values.values()))
    scale = mpl.cm.ScalarMappable(mpl.colors.Normalize(low, 1), mpl.colormaps["viridis"].with_extremes(bad="0.8"))
    for axes, (name, picture) in zip(panels.flat, values.items(), strict=False):
        axes.imshow(picture, norm=scale.norm, cmap=scale.cmap, aspect="auto", origin="lower", interpolation="nearest")
        for block, row in enumerate(picture.to_numpy()):
            if np.isfinite(row).any():
                axes.plot(np.nanargmax(row), block, "o", color="white", markeredgecolor="black", markersize=3)
        axes.set_title(name, fontsize="small")
        name_blocks(axes.xaxis, _names(table, "other_"))
        name_blocks(axes.yaxis, _names(table, ""))
    for axes in panels.flat[len(values) :]:
        axes.set_visible(False)
    for axes in panels.flat[max(len(values) - ACROSS, 0) : len(values)]:
        axes.tick_params(labelbottom=True)
    figure.supxlabel("block of the teacher", fontsize="medium")
    figure.supylabel("block of the student", fontsize="medium")
    what = "tokens" if column == "cka_tokens" else "images"
    figure.colorbar(scale, ax=panels, fraction=0.03, pad=0.02).set_label(f"unbiased linear CKA of {what}")
    figure.suptitle(f"Likeness of student and teacher, last epoch ({_counts(table, what)}).\nControl: the untrained "
                    "student. Dots: the teacher's block most like each of the student's", fontsize="small")  # fmt: skip
    return figure


def _names(table: pd.DataFrame, side: str) -> tuple[str, ...]:
    return tuple(table.drop_duplicates(f"{side}block").sort_values(f"{side}block")[f"{side}block_name"])


def _counts(table: pd.DataFrame, what: str) -> str:
    images, tokens = int(table["images"].max()), int(table["tokens_per_image"].max())
    rows = f"{images:,} images" + f" x {tokens} tokens" * (what == "tokens")
    few = f", fewer than {FEWEST_ROWS:,}" * (images < FEWEST_ROWS)
    seeds = table["seed"].nunique()
    return f"n = {rows}{few}; {seeds} seed{'s' * (seeds != 1)}"
