"""Which pixels the logit of an image's class depends on: networks below one another, a few images with every method.

In: saliency.parquet, maps of single images. Out: one figure a page wide.
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
from .style import PAGE, NoValue, Style, need

TABLES = ("saliency",)
ASKS = ("labels",)
# Inches for a line of text above panels.
LINE = 0.17
# Panels side by side that are still readable on a page.
ACROSS = 9
METHODS = {"gradient": "gradient", "smoothgrad": "SmoothGrad", "integrated_gradients": "int. gradients"}


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw the same images for every network: last epoch, lowest seed."""
    table = final_maps(need(tables, "saliency", "map"), style)
    methods = [method for method in METHODS if (table["method"] == method).any()]
    if not methods:
        raise NoValue("no network has a map of what a logit depends on (saliency.parquet)")
    chosen = examples(table, max(1, ACROSS // len(methods)))
    names, left_out = networks_of(table, DOWN)
    per_image = len(methods)
    side = min((PAGE - NAMES - GROUP * len(chosen)) / (len(chosen) * per_image) - GAP, 1.0)
    first = TITLE + LINE + side + LINE
    figure = Figure(figsize=(PAGE, first + len(names) * (side + GAP) + BELOW))
    for number, (image, class_) in enumerate(chosen.itertuples(index=False)):
        left = NAMES + number * (per_image * (side + GAP) + GROUP)
        pixels = one_map(table, network=names[0], image=image, method="image")
        axes = place(figure, left + (per_image - 1) * (side + GAP) / 2, TITLE + LINE, side, side)
        show(axes, pixels)
        axes.set_title(class_said(class_), fontsize="small", pad=2)
        for row, name in enumerate(names):
            for column, method in enumerate(methods):
                axes = place(figure, left + column * (side + GAP), first + row * (side + GAP), side, side)
                own = one_map(table, network=name, image=image, method="image")
                show(axes, own, one_map(table, network=name, image=image, method=method))
                if row == 0:
                    axes.set_title(METHODS[method], fontsize="x-small", pad=2)
                if number == column == 0:
                    name_at_left(axes, name)
    colorbar(figure)
    title(
        figure,
        f"Saliency of the label's logit, last epoch, {left_out}{len(chosen)} of {table['image'].nunique()} images."
        "\nLargest absolute attribution over colours; each map has its own scale: compare places, not sizes; "
        "0: exactly zero",
    )
    return figure
