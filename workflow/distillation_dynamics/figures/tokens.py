"""How alike are the patch tokens of an image over depth? Their cosine to each other and to the first block, and norms.

Where a grid changes there is no cosine to the first block.
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
}
CAPTION = (
    "Patch tokens over depth: cosine to each other and to the first block, and the largest norm; last epoch, {images}, "
    "means over the seeds measured. Left: levels, bands: 95 % interval over images; right, for variants measured with "
    "several seeds: difference to the baseline of the same seed, with its 95 % t interval. Control: each network's own."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw each network's last epoch, and of each variant its difference to the baseline."""
    # No column is demanded: with one patch an image there is no cosine, and the panel says so.
    note = "Cosine to the first block: none on another grid."
    return grid(final(tables, "depth"), style, PANELS, "Patch tokens of an image over depth", note, height=1.1).figure
