"""Walks through the depth of all models at once: where the gradient of the label's logit lies, block after block.

In: gradient_maps.parquet, and the image itself from saliency.parquet. Out: an animation, a frame a relative depth.
"""

import math

import pandas as pd
from matplotlib.animation import FuncAnimation
from matplotlib.figure import Figure

from .saliency import as_array, colorbar, examples, final_maps, models_of, one_map, place, show
from .style import PAGE, Style, block_label, label, need

TABLES = ("gradient_maps", "saliency")
FORMATS = ("gif",)
ACROSS, MOST = 6, 18
# Inches: above the panels, between them, and below.
TITLE, GAP, NAME, BELOW = 0.6, 0.06, 0.3, 0.42
MILLISECONDS = 600


def animate(tables: dict[str, pd.DataFrame], style: Style) -> FuncAnimation:
    """Animate one image, a panel a model (last epoch, lowest seed), as many frames as the deepest model has blocks."""
    table = final_maps(need(tables, "gradient_maps", "map"))
    pixels_of = final_maps(need(tables, "saliency", "map"))
    names, left_out = models_of(table, MOST)
    ((image, class_),) = examples(table, 1).itertuples(index=False)
    pixels = one_map(pixels_of, model=names[0], image=image, method="image")
    blocks = {
        name: table[(table["image"] == image) & (table["model"] == name)].sort_values("block") for name in names
    }
    across = min(ACROSS, len(names))
    side = min((PAGE - GAP) / across - GAP, 1.6)
    edge = (PAGE - across * (side + GAP) + GAP) / 2
    figure = Figure(figsize=(PAGE, TITLE + math.ceil(len(names) / across) * (side + NAME) + BELOW))
    panels = {
        name: place(figure, edge + (k % across) * (side + GAP), TITLE + NAME + (k // across) * (side + NAME), side, side)
        for k, name in enumerate(names)
    }
    colorbar(figure)
    title = figure.suptitle("", fontsize="small", y=1 - 0.06 / figure.get_size_inches()[1], va="top")
    frames = max(len(one) for one in blocks.values())

    def frame(number: int) -> None:
        depth = number / max(frames - 1, 1)
        for name, axes in panels.items():
            one = blocks[name].iloc[round(depth * (len(blocks[name]) - 1))]
            values = as_array(one)
            axes.clear()
            show(axes, pixels, values)
            zero = ": exactly zero" if not values.any() else ""
            axes.set_title(f"{label(name)}\nblock {block_label(one['block_name'])}{zero}", fontsize="x-small", pad=2)
        title.set_text(
            f"Absolute gradient of the label's logit by patch tokens, last epoch, {left_out}one image of class "
            f"{class_}.\nEach map has its own scale. Relative depth {depth:.2f}"
        )

    return FuncAnimation(figure, frame, frames=frames, init_func=lambda: None, interval=MILLISECONDS)
