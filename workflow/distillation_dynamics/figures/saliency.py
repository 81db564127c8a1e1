"""Which pixels the logit of an image's class depends on: networks below one another, several images with every method.

Maps are of single images.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..drawing import overlays
from ..drawing.style import PAGE, SMALL, TEXT, NoValue, Style, need

TABLES = ("saliency",)
REQUIRES = ("labels",)
# Panels side by side that are still readable on a page.
ACROSS = 12
METHODS = {"gradient": "gradient", "smoothgrad": "smooth", "integrated_gradients": "integr."}
CAPTION = (
    "Pixels that the logit of an image's class depends on, by method: examples, last epoch, lowest seed. Controls: "
    "each network's own, and the untrained student. Single images: nothing is averaged, and there is no interval."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw the same images for every network: last epoch, lowest seed."""
    table = overlays.final_maps(need(tables, "saliency", "map"), style.names)
    methods = [method for method in METHODS if (table["method"] == method).any()]
    if not methods:
        raise NoValue("no network has a map of what a logit depends on (saliency.parquet)")
    chosen = overlays.examples(table, max(1, ACROSS // len(methods)))
    names, left_out = overlays.networks_of(table, overlays.DOWN, style)
    table = table[table["network"].isin(names) & table["image"].isin(chosen["image"])]
    found = overlays.by_key(table, "network", "image", "method")
    width = (PAGE - overlays.NAMES - overlays.GROUP * len(chosen)) / (len(chosen) * len(methods))
    step = min(width, overlays.LARGEST)
    side, first = step - overlays.GAP, 2 * overlays.LINE + step
    count = table["image"].nunique()
    title = f"Saliency of the label's logit, last epoch ({left_out}{count} image{'s' * (count != 1)})"
    note = (
        "Largest absolute attribution over colours: gradient, SmoothGrad, integrated gradients, over the image in "
        "grey. Each map has its own scale: compare places, not sizes. 0: exactly zero everywhere."
    )
    figure, axes, top = overlays.canvas(first + step * len(names), title, note)
    nothing = np.full((1, 1), np.nan)
    for number, (image, class_) in enumerate(chosen.itertuples(index=False)):
        left = overlays.NAMES + number * (len(methods) * step + overlays.GROUP)
        middle = left + (len(methods) * step - overlays.GAP) / 2
        axes.text(middle, top, overlays.class_said(class_, style.classes), ha="center", va="top", fontsize=TEXT)
        pixels = next(found[name, image, "image"] for name in names if (name, image, "image") in found)
        overlays.show(axes, pixels, (middle - side / 2, top + overlays.LINE, side, side))
        for column, method in enumerate(methods):
            x = left + column * step
            axes.text(x + side / 2, top + first - 0.02, METHODS[method], ha="center", va="bottom", fontsize=SMALL)
            for row, name in enumerate(names):
                box = x, top + first + row * step, side, side
                own, values = found.get((name, image, "image"), pixels), found.get((name, image, method), nothing)
                overlays.show(axes, own, box, values, f"{name}/{image}/{method}")
    for row, name in enumerate(names):
        overlays.name_at_left(axes, name, top + first + row * step + side / 2)
    return figure
