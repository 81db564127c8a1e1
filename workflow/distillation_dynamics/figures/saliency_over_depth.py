"""Walks through the depth of all networks at once: where the gradient of the label's logit lies, block after block."""

import pandas as pd
from matplotlib.animation import FuncAnimation
from matplotlib.artist import Artist

from ..drawing import overlays
from ..drawing.layout import fitted
from ..drawing.style import PAGE, SMALL, TEXT, Style, block_label, label, need

TABLES = ("gradient_maps", "saliency")
REQUIRES = ("labels",)
FORMATS = ("gif",)
# Networks beside one another, and images below one another.
ACROSS, IMAGES = 9, 3
# Inches at the left for the names of classes, above for those of networks and blocks.
LEFT, NAME = 0.75, 0.62
MILLISECONDS = 700
CAPTION = (
    "Where the gradient of the label's logit lies, block after block: one image, last epoch, lowest seed. "
    "Control: each network's own. Nothing is averaged, and there is no interval."
)


def animate(tables: dict[str, pd.DataFrame], style: Style) -> FuncAnimation:
    """Animate a few images, a column a network (last epoch, lowest seed), a frame a block of the deepest network."""
    table = overlays.final_maps(need(tables, "gradient_maps", "map"), style.names)
    pixels_of = overlays.final_maps(need(tables, "saliency", "map"), style.names)
    chosen = overlays.examples(table, IMAGES)
    names, left_out = overlays.networks_of(table, ACROSS, style)
    table = table[table["network"].isin(names) & table["image"].isin(chosen["image"])]
    blocks = table.drop_duplicates(["network", "block"]).sort_values("block").groupby("network")["block_name"].agg(list)
    step = min((PAGE - LEFT) / len(names), overlays.LARGEST)
    side = step - overlays.GAP - 0.03
    title = f"Gradient of the label's logit on patch tokens, from first to last block ({left_out}last epoch)"
    note = "Each map has its own scale: compare places, not sizes. 0: exactly zero everywhere."
    figure, axes, top = overlays.canvas(NAME + step * len(chosen), title, note)
    images = overlays.by_key(pixels_of[pixels_of["method"] == "image"], "network", "image")
    found, shown = overlays.by_key(table, "network", "image", "block"), {}
    for row, (image, class_) in enumerate(chosen.itertuples(index=False)):
        pixels = next(picture for (_, one), picture in images.items() if one == image)
        above = top + NAME + row * step
        said = fitted(overlays.class_said(class_, style.classes), LEFT - 0.1, TEXT, 3)
        axes.text(LEFT - 0.06, above + side / 2, said, ha="right", va="center", fontsize=TEXT)
        for column, name in enumerate(names):
            shown[name, image] = images.get((name, image), pixels), (LEFT + column * step, above, side, side)
    for column, name in enumerate(names):
        place = LEFT + column * step + side / 2, top + NAME - 0.14
        axes.text(*place, fitted(label(name), step, SMALL, 3), ha="center", va="bottom", fontsize=SMALL)
    frames = max(map(len, blocks))
    drawn: list[Artist] = []

    def frame(number: int) -> None:
        depth = number / max(frames - 1, 1)
        while drawn:
            drawn.pop().remove()
        kept = {*axes.texts, *axes.images, *axes.patches}
        for column, name in enumerate(names):
            block = round(depth * (len(blocks[name]) - 1))
            place = LEFT + column * step + side / 2, top + NAME - 0.03
            axes.text(*place, block_label(blocks[name][block]), ha="center", va="bottom", fontsize=SMALL, color="0.35")
            for image in chosen["image"]:
                overlays.show(axes, *shown[name, image], found[name, image, block])
        below = top + NAME + step * len(chosen) + overlays.APART
        axes.text(PAGE - 0.1, below, f"relative depth {depth:.2f}", ha="right", va="top", fontsize=TEXT)
        drawn.extend(artist for artist in (*axes.texts, *axes.images) if artist not in kept)

    return FuncAnimation(figure, frame, frames=frames, init_func=lambda: None, interval=MILLISECONDS)
