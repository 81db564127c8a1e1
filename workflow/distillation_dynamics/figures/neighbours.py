"""How many nearest images the blocks of every two networks share: mutual nearest neighbours."""

import pandas as pd
from matplotlib.figure import Figure

from ..drawing.style import Style, need
from ._matrix import Scale, draw_matrix

TABLES = ("neighbours",)
METRICS = ("neighbours",)
REQUIRES = ("networks",)
CAPTION = (
    "Mutual nearest neighbours of the blocks of every two networks: last epoch, without interval. Controls: above "
    "the diagonal each network's own, and the share that chance gives. Likeness describes, and is not tested."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw the share of mutual neighbours, on a scale from what chance gives."""
    table = need(tables, "neighbours", "neighbours")
    chance, images = table["neighbours_chance"].mean(), int(table["images"].max())
    scale = Scale("share of mutual nearest neighbours", "viridis", float(chance), None)
    said = f"Networks beside each other: mutual neighbours (n = {images:,} images; {chance:.2g} by chance)"
    return draw_matrix(table, "neighbours", scale, said, style)
