"""Walks through the depth of all networks at once: where the gradient of the label's logit lies, block after block.

In: gradient_maps.parquet, and the image itself from saliency.parquet. Out: an animation, a frame a relative depth.
"""

import math

import pandas as pd
from matplotlib.animation import FuncAnimation
from matplotlib.figure import Figure

from . import maps
from .style import PAGE, Style, label, need

TABLES = ("gradient_maps", "saliency")
ASKS = ("labels",)
FORMATS = ("gif",)
ACROSS, MOST = 6, 18
# Inches between panels, for the name above each, and for the bar that fills with depth.
GAP, NAME, BAR = 0.06, 0.3, 0.06
MILLISECONDS = 600
CAPTION = (
    "Where the gradient of the label's logit lies, block after block: one image, last epoch, lowest seed. "
    "Control: each network's own. Nothing is averaged, and there is no interval."
)


def animate(tables: dict[str, pd.DataFrame], style: Style) -> FuncAnimation:
    """Animate one image, a panel a network (last epoch, lowest seed), as many frames as the deepest has blocks."""
    table = maps.final_maps(need(tables, "gradient_maps", "map"), style)
    pixels_of = maps.final_maps(need(tables, "saliency", "map"), style)
    ((image, class_),) = maps.examples(table, 1).itertuples(index=False)
    table = table[table["image"] == image]
    names, left_out = maps.networks_of(table, MOST)
    pixels = {name: maps.one_map(pixels_of, network=name, image=image, method="image") for name in names}
    blocks = {name: table[table["network"] == name].sort_values("block") for name in names}
    down = math.ceil(len(names) / ACROSS)
    across = math.ceil(len(names) / down)
    side = min((PAGE - GAP) / across - GAP, 1.6)
    edge, first = (PAGE - across * (side + GAP) + GAP) / 2, maps.TITLE + 2 * BAR + NAME
    figure = Figure(figsize=(PAGE, first + down * (side + NAME) - NAME + maps.BELOW))
    panels = {
        name: maps.place(figure, edge + (k % across) * (side + GAP), first + (k // across) * (side + NAME), side, side)
        for k, name in enumerate(names)
    }
    maps.colorbar(figure)
    bar = maps.place(figure, PAGE / 2 - 1, maps.TITLE, 2, BAR)
    frames = max(len(one) for one in blocks.values())

    def frame(number: int) -> None:
        depth = number / max(frames - 1, 1)
        for name, axes in panels.items():
            one = blocks[name].iloc[round(depth * (len(blocks[name]) - 1))]
            values = maps.as_array(one)
            axes.clear()
            maps.show(axes, pixels[name], values)
            block = one["block_name"].replace("blocks.", "block ")
            zero = ": exactly zero" if not values.any() else ""
            axes.set_title(f"{label(name)}\n{block}{zero}", fontsize="x-small", pad=2)
        bar.clear()
        bar.set(xlim=(0, 1), xticks=[], yticks=[])
        bar.barh(0, depth, color="0.3")
        maps.title(
            figure,
            f"Absolute gradient of the label's logit by patch tokens, last epoch, {left_out}one image "
            f"({maps.class_said(class_)}).\nEach map has its own scale. Relative depth of the block: {depth:.2f}",
        )

    return FuncAnimation(figure, frame, frames=frames, init_func=lambda: None, interval=MILLISECONDS)
