"""Where the gradient of the label's logit lies on the patches of every block: one image, models below one another.

In: gradient_maps.parquet, and the image itself from saliency.parquet. Out: one figure a page wide, whose columns are
relative depths, so that first stands over first and last over last whatever the number of blocks.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from .saliency import BELOW, DOWN, GAP, NAMES, TITLE, as_array, colorbar, examples, final_maps, models_of, one_map, place
from .saliency import show
from .style import PAGE, Style, block_label, label, need

TABLES = ("gradient_maps", "saliency")
ACROSS = 12
# Above each panel: the block's name.
NAME = 0.12


def columns_of(blocks: int, across: int) -> dict[int, int]:
    """Return column -> block: each block at its relative depth or, of more than `across`, those nearest to a column."""
    if blocks > across:
        return {column: round(column * (blocks - 1) / (across - 1)) for column in range(across)}
    return {round(block * (across - 1) / max(blocks - 1, 1)): block for block in range(blocks)}


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw the map of every block of every model: last epoch, lowest seed."""
    table = final_maps(need(tables, "gradient_maps", "map"))
    pixels_of = final_maps(need(tables, "saliency", "map"))
    names, left_out = models_of(table, DOWN)
    ((image, class_),) = examples(table, 1).itertuples(index=False)
    pixels = one_map(pixels_of, model=names[0], image=image, method="image")
    table = table[(table["image"] == image) & table["model"].isin(names)]
    across = min(ACROSS, int(table["block"].max()) + 1)
    side = min((PAGE - NAMES - 0.1) / (across + 1) - GAP, 0.75)
    step = side + GAP + NAME
    figure = Figure(figsize=(PAGE, TITLE + len(names) * step + BELOW))
    for row, name in enumerate(names):
        blocks = table[table["model"] == name].sort_values("block")
        top = TITLE + row * step + NAME
        axes = place(figure, NAMES, top, side, side)
        show(axes, pixels)
        axes.set_ylabel(label(name), rotation=0, ha="right", va="center", fontsize="small")
        for column, block in columns_of(len(blocks), across).items():
            one = blocks.iloc[block]
            axes = place(figure, NAMES + 0.1 + (column + 1) * (side + GAP), top, side, side)
            values = as_array(one)
            show(axes, pixels, values)
            axes.set_title(block_label(one["block_name"]), fontsize="xx-small", pad=1)
            if not np.any(values):
                axes.text(0.5, 0.5, "0", color="white", ha="center", va="center", fontsize="small")
    colorbar(figure)
    figure.suptitle(
        f"Absolute gradient of the label's logit by the patch tokens of each block, last epoch, {left_out}one image of "
        f"class {class_}.\nColumns: relative depth, numbers: block; each map has its own scale; 0: exactly zero "
        "everywhere",
        fontsize="small", y=1 - 0.06 / figure.get_size_inches()[1], va="top",
    )  # fmt: skip
    return figure
