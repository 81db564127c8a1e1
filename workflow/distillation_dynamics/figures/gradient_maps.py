"""Where the gradient of the label's logit lies on the patches of every block: one image, networks below one another.

In: gradient_maps.parquet, and the image itself from saliency.parquet. Out: one figure a page wide, whose columns are
relative depths, so that first stands over first and last over last whatever the number of blocks.
"""

import pandas as pd
from matplotlib.figure import Figure

from .maps import (
    BELOW,
    DOWN,
    GAP,
    GROUP,
    NAMES,
    TITLE,
    as_array,
    class_said,
    colorbar,
    examples,
    final_maps,
    name_at_left,
    networks_of,
    one_map,
    place,
    show,
    title,
)
from .style import PAGE, Style, block_label, need

TABLES = ("gradient_maps", "saliency")
ASKS = ("labels",)
ACROSS = 12
# Inches above each panel, for the block's name.
NAME = 0.12


def columns_of(blocks: int, across: int) -> dict[int, int]:
    """Return column -> block: each block at its relative depth or, of more than `across`, those nearest to a column."""
    if blocks > across:
        return {column: round(column * (blocks - 1) / (across - 1)) for column in range(across)}
    return {round(block * (across - 1) / max(blocks - 1, 1)): block for block in range(blocks)}


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw the map of every block of every network: last epoch, lowest seed."""
    table = final_maps(need(tables, "gradient_maps", "map"), style)
    pixels_of = final_maps(need(tables, "saliency", "map"), style)
    ((image, class_),) = examples(table, 1).itertuples(index=False)
    table = table[table["image"] == image]
    names, left_out = networks_of(table, DOWN)
    table = table[table["network"].isin(names)]
    across = min(ACROSS, int(table["block"].max()) + 1)
    side = min((PAGE - NAMES - GROUP) / (across + 1) - GAP, 0.75)
    step = side + GAP + NAME
    figure = Figure(figsize=(PAGE, TITLE + len(names) * step + BELOW))
    for row, name in enumerate(names):
        blocks = table[table["network"] == name].sort_values("block")
        pixels = one_map(pixels_of, network=name, image=image, method="image")
        top = TITLE + row * step + NAME
        axes = place(figure, NAMES, top, side, side)
        show(axes, pixels)
        name_at_left(axes, name)
        for column, block in columns_of(len(blocks), across).items():
            one = blocks.iloc[block]
            axes = place(figure, NAMES + GROUP + (column + 1) * (side + GAP), top, side, side)
            values = as_array(one)
            show(axes, pixels, values)
            axes.set_title(block_label(one["block_name"]), fontsize="xx-small", pad=1)
    colorbar(figure)
    title(
        figure,
        f"Absolute gradient of the label's logit by the patch tokens of each block, last epoch, {left_out}one image "
        f"({class_said(class_)}).\nColumns: relative depth, numbers: block; each map has its own scale; 0: exactly "
        "zero everywhere",
    )
    return figure
