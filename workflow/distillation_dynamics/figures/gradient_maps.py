"""Where the gradient of the label's logit lies on the patches of every block: one image, networks below one another.

In: gradient_maps.parquet, and the image itself from saliency.parquet. Out: one figure a page wide, whose columns are
relative depths, so that first stands over first and last over last whatever the number of blocks.
"""

import pandas as pd
from matplotlib.figure import Figure

from . import maps
from .style import PAGE, Style, block_label, need

TABLES = ("gradient_maps", "saliency")
ASKS = ("labels",)
ACROSS = 12
# Inches above each panel, for the block's name.
NAME = 0.12
CAPTION = (
    "Absolute gradient of the label's logit by the patch tokens of each block: examples, last epoch, lowest seed; "
    "each map has its own scale. Control: each network's own. Single images: nothing is averaged, and there is no "
    "interval."
)


def columns_of(blocks: int, across: int) -> dict[int, int]:
    """Return column -> block: each block at its relative depth or, of more than `across`, those nearest to a column."""
    if blocks > across:
        return {column: round(column * (blocks - 1) / (across - 1)) for column in range(across)}
    return {round(block * (across - 1) / max(blocks - 1, 1)): block for block in range(blocks)}


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw the map of every block of every network: last epoch, lowest seed."""
    table = maps.final_maps(need(tables, "gradient_maps", "map"), style)
    pixels_of = maps.final_maps(need(tables, "saliency", "map"), style)
    ((image, class_),) = maps.examples(table, 1).itertuples(index=False)
    table = table[table["image"] == image]
    names, left_out = maps.networks_of(table, maps.DOWN)
    table = table[table["network"].isin(names)]
    across = min(ACROSS, int(table["block"].max()) + 1)
    side = min((PAGE - maps.NAMES - maps.GROUP) / (across + 1) - maps.GAP, 0.75)
    step = side + maps.GAP + NAME
    figure = Figure(figsize=(PAGE, maps.TITLE + len(names) * step + maps.BELOW))
    for row, name in enumerate(names):
        blocks = table[table["network"] == name].sort_values("block")
        pixels = maps.one_map(pixels_of, network=name, image=image, method="image")
        top = maps.TITLE + row * step + NAME
        axes = maps.place(figure, maps.NAMES, top, side, side)
        maps.show(axes, pixels)
        maps.name_at_left(axes, name)
        for column, block in columns_of(len(blocks), across).items():
            one = blocks.iloc[block]
            axes = maps.place(figure, maps.NAMES + maps.GROUP + (column + 1) * (side + maps.GAP), top, side, side)
            values = maps.as_array(one)
            maps.show(axes, pixels, values)
            axes.set_title(block_label(one["block_name"]), fontsize="xx-small", pad=1)
    maps.colorbar(figure)
    maps.title(
        figure,
        f"Absolute gradient of the label's logit by the patch tokens of each block, last epoch, {left_out}one image "
        f"({maps.class_said(class_)}).\nColumns: relative depth, numbers: block; each map has its own scale; "
        "0: exactly zero everywhere",
    )
    return figure
