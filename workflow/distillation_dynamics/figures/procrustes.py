"""How far the blocks of every two networks are from being rotations of each other: Procrustes distance."""

import pandas as pd
from matplotlib.figure import Figure

from ..drawing.style import Style, need
from ._matrix import Scale, draw_matrix

TABLES = ("procrustes",)
METRICS = ("procrustes",)
REQUIRES = ("networks",)
CAPTION = (
    "Procrustes distance between the blocks of every two networks, smaller where they are more alike: last epoch, "
    "without interval. Controls: above the diagonal each network's own, and shuffled images. Likeness describes, "
    "and is not tested."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw distances, bright where two blocks are near, up to those of shuffled images."""
    table = need(tables, "procrustes", "procrustes")
    shuffled, images = table["procrustes_shuffled"].mean(), int(table["images"].max())
    scale = Scale("Procrustes distance", "viridis_r", 0, None, largest=False)
    said = f"Networks beside each other: Procrustes distance (n = {images:,} images; {shuffled:.2f} if shuffled)"
    return draw_matrix(table, "procrustes", scale, said, style)
