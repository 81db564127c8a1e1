"""Where the gradient of the label's logit lies on the patches over depth: several images, networks below one another.

Columns are relative depths, so that first stands over first and last over last whatever the number of blocks.
"""

import pandas as pd
from matplotlib.figure import Figure

from ..drawing import overlays
from ..drawing.style import Style, block_label, need

TABLES = ("gradient_maps", "saliency")
REQUIRES = ("labels",)
# Panels side by side that are still readable on a page, and images.
ACROSS, IMAGES = 12, 3
CAPTION = (
    "Absolute gradient of the label's logit by the patch tokens of each block: examples, last epoch, lowest seed; "
    "each map has its own scale. Controls: each network's own, and the untrained student. Single images: nothing is "
    "averaged, and there is no interval."
)


def columns_of(blocks: int, across: int) -> dict[int, int]:
    """Return column -> block: each block at its relative depth or, of more than `across`, those nearest to a column."""
    if blocks > across:
        return {column: round(column * (blocks - 1) / (across - 1)) for column in range(across)}
    return {round(block * (across - 1) / max(blocks - 1, 1)): block for block in range(blocks)}


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw the map of the blocks of every network: last epoch, lowest seed."""
    table = overlays.final_maps(need(tables, "gradient_maps", "map"), style.names)
    pixels_of = overlays.final_maps(need(tables, "saliency", "map"), style.names)
    chosen = overlays.examples(table, IMAGES)
    names, left_out = overlays.networks_of(table, overlays.DOWN, style)
    table = table[table["network"].isin(names) & table["image"].isin(chosen["image"])]
    blocks = table.drop_duplicates(["network", "block"]).sort_values("block").groupby("network")["block_name"].agg(list)
    across = min(max(map(len, blocks)), ACROSS // len(chosen))
    shown = {name: columns_of(len(blocks[name]), across) for name in names}
    places = [(name, column, block) for name in names for column, block in shown[name].items()]
    heads = {0: "first", across - 1: "last"} if across > 1 else {0: "only"}
    below = {name: ", ".join(block_label(blocks[name][block]) for block in own.values()) for name, own in shown.items()}
    count = len(chosen)
    title = f"Gradient of the label's logit on patch tokens, last epoch ({left_out}{count} image{'s' * (count != 1)})"
    note = (
        "Mean absolute gradient over channels, columns: relative depth from first to last block; under a name: its "
        "blocks shown. Each map has its own scale: compare places, not sizes. 0: exactly zero everywhere."
    )
    found = overlays.by_key(table, "network", "image", "block")
    pixels = overlays.by_key(pixels_of[pixels_of["method"] == "image"], "network", "image")
    return overlays.draw_maps(chosen, places, heads, pixels, found, title, note, style.classes, below)
