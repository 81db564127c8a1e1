"""Geometry of the patch tokens over depth: their likeness to each other, outlying norms, distance from the first block.

Where a grid changes there is no likeness to the first block.
"""

import pandas as pd
from matplotlib.figure import Figure

from ..drawing.profiles import final, grid
from ..drawing.style import Style

TABLES = ("depth",)
METRICS = ("tokens",)
PANELS = {
    "token_cosine": "cosine between\ntokens of an image",
    "cosine_to_first": "cosine to the token\nafter the first block",
    "token_norm_ratio": "largest token norm\n/ median norm",
    "token_norm_outliers": "share of tokens over\n3 median norms",
}
CAPTION = (
    "Geometry of patch tokens over depth: likeness to each other, outlying norms, likeness to the first block; last "
    "epoch, {images}, means over the seeds measured. Left: levels, bands: 95 % interval over images; right, where "
    "there are variants: difference to the baseline of the same seed, with its 95 % t interval where several seeds "
    "were measured. Control: each network's own."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw each network's last epoch, and of each variant its difference to the baseline."""
    # No column is demanded: with one patch an image there is no cosine, and the panel says so.
    note = "Cosine to the first block: none on another grid."
    return grid(final(tables, "depth"), style, PANELS, "Patch tokens of an image over depth", note)[0]
