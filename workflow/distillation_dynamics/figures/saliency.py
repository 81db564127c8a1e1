"""Which pixels decide? Maps of what the logit of an image's class depends on, of four networks.

In: saliency.parquet, maps of single images. Out: a row a network, two images with every method.
"""

import pandas as pd
from matplotlib.figure import Figure

from ..drawing import overlays
from ..drawing.style import NoValue, Style, need

TABLES = ("saliency",)
REQUIRES = ("labels",)
IMAGES, NETWORKS = 2, 4
METHODS = {"gradient": "gradient", "smoothgrad": "SmoothGrad", "integrated_gradients": "integrated gradients"}
CAPTION = (
    "Pixels on which the logit of an image's class depends, by method: two example images, last epoch, first seed. "
    "Controls: the first network's own control, and the untrained student. Single images without average or interval."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw the same images for the reference, its control, the student untrained and trained: last epoch, first seed.

    Networks that a study lacks leave their rows to others. Raises NoValue where no network has a map.
    """
    table = overlays.final_maps(need(tables, "saliency", "map"), style.names)
    methods = [method for method in METHODS if (table["method"] == method).any()]
    if not methods:
        raise NoValue("no network has a map of what a logit depends on (saliency.parquet)")
    chosen = overlays.examples(table, IMAGES)
    names, left_out = overlays.networks_of(table, NETWORKS, style)
    table = table[table["network"].isin(names) & table["image"].isin(chosen["image"])]
    count = table["image"].nunique()
    title = f"Which pixels decide? Saliency of the label's logit ({left_out}{count} image{'s' * (count != 1)})"
    note = (
        "Red: largest absolute attribution over colours, on the image in grey. Each map has its own scale, so compare "
        "places and not sizes. 0: the map is zero everywhere."
    )
    found = overlays.by_key(table, "network", "image", "method")
    pixels = overlays.by_key(table[table["method"] == "image"], "network", "image")
    heads = {method: METHODS[method] for method in methods}
    return overlays.draw_maps(chosen, names, heads, pixels, found, title, note, style.classes)
