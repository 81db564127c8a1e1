"""Which pixels the logit of an image's class depends on: networks below one another, a few images with every method.

In: saliency.parquet, maps of single images. Out: one figure a page wide.
"""

import pandas as pd
from matplotlib.figure import Figure

from . import maps
from .style import PAGE, NoValue, Style, need

TABLES = ("saliency",)
ASKS = ("labels",)
# Inches for a line of text above panels.
LINE = 0.17
# Panels side by side that are still readable on a page.
ACROSS = 9
METHODS = {"gradient": "gradient", "smoothgrad": "SmoothGrad", "integrated_gradients": "int. gradients"}
CAPTION = (
    "Pixels that the logit of an image's class depends on, by method: examples, last epoch, lowest seed. Control: "
    "each network's own. Single images: nothing is averaged, and there is no interval."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw the same images for every network: last epoch, lowest seed."""
    table = maps.final_maps(need(tables, "saliency", "map"), style)
    methods = [method for method in METHODS if (table["method"] == method).any()]
    if not methods:
        raise NoValue("no network has a map of what a logit depends on (saliency.parquet)")
    chosen = maps.examples(table, max(1, ACROSS // len(methods)))
    names, left_out = maps.networks_of(table, maps.DOWN)
    per_image = len(methods)
    side = min((PAGE - maps.NAMES - maps.GROUP * len(chosen)) / (len(chosen) * per_image) - maps.GAP, 1.0)
    first = maps.TITLE + LINE + side + LINE
    figure = Figure(figsize=(PAGE, first + len(names) * (side + maps.GAP) + maps.BELOW))
    for number, (image, class_) in enumerate(chosen.itertuples(index=False)):
        left = maps.NAMES + number * (per_image * (side + maps.GAP) + maps.GROUP)
        pixels = maps.one_map(table, network=names[0], image=image, method="image")
        axes = maps.place(figure, left + (per_image - 1) * (side + maps.GAP) / 2, maps.TITLE + LINE, side, side)
        maps.show(axes, pixels)
        axes.set_title(maps.class_said(class_), fontsize="small", pad=2)
        for row, name in enumerate(names):
            for column, method in enumerate(methods):
                axes = maps.place(
                    figure, left + column * (side + maps.GAP), first + row * (side + maps.GAP), side, side
                )
                own = maps.one_map(table, network=name, image=image, method="image")
                maps.show(axes, own, maps.one_map(table, network=name, image=image, method=method))
                if row == 0:
                    axes.set_title(METHODS[method], fontsize="x-small", pad=2)
                if number == column == 0:
                    maps.name_at_left(axes, name)
    maps.colorbar(figure)
    maps.title(
        figure,
        f"Saliency of the label's logit, last epoch, {left_out}{len(chosen)} of {table['image'].nunique()} images."
        "\nLargest absolute attribution over colours; each map has its own scale: compare places, not sizes; "
        "0: exactly zero",
    )
    return figure
