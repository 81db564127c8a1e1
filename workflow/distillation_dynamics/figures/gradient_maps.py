"""Where the gradient of the label's logit lies on the patches over depth: several images, networks below one another.

Columns are relative depths, so that first stands over first and last over last whatever the number of blocks.
"""

import pandas as pd
from matplotlib.figure import Figure

from ..drawing import overlays
from ..drawing.style import PAGE, SMALL, TEXT, Style, block_label, need

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
    step = min((PAGE - overlays.NAMES - overlays.GROUP * len(chosen)) / (len(chosen) * across), overlays.LARGEST)
    side, first = step - overlays.GAP, 2 * overlays.LINE + step
    count = len(chosen)
    title = f"Gradient of the label's logit on patch tokens, last epoch ({left_out}{count} image{'s' * (count != 1)})"
    note = (
        "Mean absolute gradient over channels, columns: relative depth from first to last block; under a name: its "
        "blocks shown. Each map has its own scale: compare places, not sizes. 0: exactly zero everywhere."
    )
    figure, axes, top = overlays.canvas(first + step * len(names), title, note)
    found = overlays.by_key(table, "network", "image", "block")
    images = overlays.by_key(pixels_of[pixels_of["method"] == "image"], "network", "image")
    shown = {name: columns_of(len(blocks[name]), across) for name in names}
    for number, (image, class_) in enumerate(chosen.itertuples(index=False)):
        left = overlays.NAMES + number * (across * step + overlays.GROUP)
        middle = left + (across * step - overlays.GAP) / 2
        axes.text(middle, top, overlays.class_said(class_, style.classes), ha="center", va="top", fontsize=TEXT)
        pixels = next(picture for (_, one), picture in images.items() if one == image)
        overlays.show(axes, pixels, (middle - side / 2, top + overlays.LINE, side, side))
        for column, text in {0: "first", across - 1: "last"}.items():
            place = left + column * step + side / 2, top + first - 0.02
            axes.text(*place, text if across > 1 else "only", ha="center", va="bottom", fontsize=SMALL)
        for row, name in enumerate(names):
            for column, block in shown[name].items():
                box = left + column * step, top + first + row * step, side, side
                own, values = images.get((name, image), pixels), found[name, image, block]
                overlays.show(axes, own, box, values, f"{name}/{image}/{block}")
    for row, name in enumerate(names):
        below = ", ".join(block_label(blocks[name][block]) for block in shown[name].values())
        overlays.name_at_left(axes, name, top + first + row * step + side / 2, below if len(below) < 18 else "")
    return figure
