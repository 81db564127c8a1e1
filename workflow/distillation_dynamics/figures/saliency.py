"""Which pixels the logit of an image's class depends on: networks below one another, several images with every method.

Maps are of single images.
"""

import pandas as pd
from matplotlib.figure import Figure

from ..drawing import overlays
from ..drawing.style import NoValue, Style, need

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
    places = [(name, column, method) for column, method in enumerate(methods) for name in names]
    heads = {column: METHODS[method] for column, method in enumerate(methods)}
    count = table["image"].nunique()
    title = f"Saliency of the label's logit, last epoch ({left_out}{count} image{'s' * (count != 1)})"
    note = (
        "Largest absolute attribution over colours: gradient, SmoothGrad, integrated gradients, over the image in "
        "grey. Each map has its own scale: compare places, not sizes. 0: exactly zero everywhere."
    )
    found = overlays.by_key(table, "network", "image", "method")
    pixels = overlays.by_key(table[table["method"] == "image"], "network", "image")
    return overlays.draw_maps(chosen, places, heads, pixels, found, title, note, style.classes)
