"""How alike are the blocks of student and teacher? Unbiased linear CKA on the same images, a picture a variant."""

import math
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..drawing.axis import name_blocks, names_of_blocks, names_shown
from ..drawing.layout import Room, fitted, name_below, sheet
from ..drawing.style import PAGE, SMALL, NoValue, Style, against, label, last_epoch, need
from ..statistics.thresholds import FEWEST_ROWS

TABLES = ("cka",)
REQUIRES = ("students", "teacher")
ACROSS = 5
# Between two pictures, as a share of one.
GAP = 0.1
ROOM = Room(left=0.5, right=0.72, between=0.34, above=0.18)
CAPTION = (
    "Unbiased linear CKA of the blocks of each variant with those of the teacher {teacher}: last epoch, mean over "
    "the seeds measured ({students}), without interval. Control: the untrained student. Similarity is described, "
    "not tested."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw tokens' CKA, or where grids differ the images' (mean tokens), mean over seeds, on one colour scale."""
    table = against(need(tables, "cka", "cka_images"), style)
    if table.empty:
        raise NoValue("no student was compared with the teacher (cka.parquet)")
    whole = table["cka_tokens"].notna().sum() >= table["cka_images"].notna().sum()
    column = "cka_tokens" if whole else "cka_images"
    baselines = style.names.baselines
    untrained = table[(table["epoch"] == 0) & table["network"].isin(baselines.values())]
    trained = last_epoch(table[table["epoch"] > 0])
    titles = {arm: f"untrained {label(name) if len(baselines) > 1 else 'student'}" for name, arm in baselines.items()}
    pictures = {titles[arm]: rows for arm, rows in untrained.groupby("network", sort=False)}
    pictures |= {label(name): rows for name, rows in trained.groupby("network", sort=False)}
    across = min(ACROSS, max(len(pictures), 2))
    down = math.ceil(len(pictures) / across)
    what = "tokens" if column == "cka_tokens" else "images"
    title = f"How alike are student and teacher? Last epoch ({_counts(table, what)})"
    note = "Control: the untrained student. Dots: the teacher's block most like each of the student's. Grey: no value."
    figure, panels = sheet(down, 1, 0.95, title, note, ROOM)
    values = {
        name: rows.pivot_table(values=column, index="block", columns="other_block", dropna=False)
        for name, rows in pictures.items()
    }
    # The scale spans what there is: between 0 and 1 all blocks may look alike.
    low, high = (edge([one.to_numpy() for one in values.values()], largest) for largest in (False, True))
    scale = mpl.cm.ScalarMappable(mpl.colors.Normalize(low, high), mpl.colormaps["viridis"].with_extremes(bad="0.8"))
    blocks, others = names_of_blocks(table), names_of_blocks(table, "other_block")
    width = (PAGE - ROOM.left - ROOM.right) / across
    for place, (name, picture) in enumerate(values.items()):
        axes, left = panels[place // across, 0], (1 + GAP) * (place % across)
        extent = left, left + 1, -0.5, len(picture) - 0.5
        look: Any = {"norm": scale.norm, "cmap": scale.cmap, "aspect": "auto", "origin": "lower", "extent": extent}
        axes.imshow(picture, interpolation="nearest", **look)
        for block, row in enumerate(picture.to_numpy()):
            if np.isfinite(row).any():
                x = left + (np.nanargmax(row) + 0.5) / picture.shape[1]
                axes.plot(x, block, "o", color="white", markeredgecolor="black", markersize=2.6)
        axes.text(
            left + 0.5, len(picture) - 0.4, fitted(name, width, lines=1), ha="center", va="bottom", fontsize=SMALL
        )
    shown, step = names_shown(others, 4)
    for number, axes in enumerate(panels[:, 0]):
        count = min(across, len(values) - number * across)
        axes.set(xlim=(0, across * (1 + GAP) - GAP), ylim=(-0.5, len(blocks) - 0.5))
        ticks = [(1 + GAP) * one + (place + 0.5) / len(others) for one in range(count) for place in step]
        axes.set_xticks(ticks, shown * count)
        name_blocks(axes.yaxis, blocks)
        axes.spines[:].set_visible(False)
    lower, upper = panels[-1, 0].get_position().y0, panels[0, 0].get_position().y1
    bar = figure.colorbar(scale, cax=figure.add_axes((1 - 0.6 / PAGE, lower, 0.1 / PAGE, upper - lower)))
    bar.set_label(f"unbiased linear CKA of {what}")
    bar.outline.set_visible(False)
    name_below(figure, panels, "block of the teacher", 0.18)
    figure.supylabel("block of the student", x=0.06 / PAGE, ha="left")
    return figure


def edge(pictures: list[np.ndarray], upper: bool) -> float:
    """Return the next tenth below all values of pictures, or above them."""
    values = np.concatenate([picture[np.isfinite(picture)] for picture in pictures])
    return float(np.ceil(10 * values.max() + 1e-9) if upper else np.floor(10 * values.min() - 1e-9)) / 10


def _counts(table: pd.DataFrame, what: str) -> str:
    images, tokens = int(table["images"].max()), int(table["tokens_per_image"].max())
    rows = f"{images:,} images" + f" x {tokens} tokens" * (what == "tokens")
    few = f", fewer than {FEWEST_ROWS:,}" * (images < FEWEST_ROWS)
    seeds = table["seed"].nunique()
    return f"n = {rows}{few}; {seeds} seed{'s' * (seeds != 1)}"
