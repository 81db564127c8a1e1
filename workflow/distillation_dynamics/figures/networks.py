"""How alike the blocks of every two networks arrange the same images: unbiased linear CKA."""

import pandas as pd
from matplotlib.figure import Figure

from ..drawing.style import Style, need
from ..questions.networks import cka_column, pairs_of
from ..statistics.thresholds import FEWEST_ROWS
from ._matrix import MOST, Scale, compared, draw_matrix, rows_of

TABLES = ("cka",)
METRICS = ("cka",)
REQUIRES = ("networks",)
CAPTION = (
    "Unbiased linear CKA of the blocks of every two networks: last epoch, without interval. Controls: above the "
    "diagonal each network's own. Likeness describes, and is not tested."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw tokens' CKA where every pair of blocks shown has it, otherwise the images' (mean tokens)."""
    table = need(tables, "cka", "cka_images")
    shown = compared(table, "cka_images", style)[:MOST]
    column = cka_column(pairs_of(rows_of(table, shown, style), style.names))
    tokens = int(table["tokens_per_image"].max()) if column == "cka_tokens" else 0
    images = int(table["images"].max())
    rows = f"n = {images:,} images" + (f" x {tokens} tokens" if tokens else "")
    few = f", fewer than {FEWEST_ROWS:,} rows" * (images * max(tokens, 1) < FEWEST_ROWS)
    what = "tokens" if tokens else "images"
    scale = Scale(f"unbiased linear CKA of {what}", "viridis", None, None)
    return draw_matrix(table, column, scale, f"Networks beside each other: CKA ({rows}{few})", style)
