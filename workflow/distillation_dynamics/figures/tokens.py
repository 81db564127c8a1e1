"""Geometry of the patch tokens over depth: their likeness to each other, outlying norms, distance from the first block.

In: depth.parquet. Out: a figure of four panels.
"""

import pandas as pd
from matplotlib.figure import Figure

from .profiles import final, grid, say, trained_and_control
from .style import Style

TABLES = ("depth",)
METRICS = ("tokens",)
PANELS = {
    "token_cosine": "cosine between\ntokens of an image",
    "cosine_to_first": "cosine to the token\nafter the first block",
    "token_norm_ratio": "largest norm of a token\nover the median norm",
    "token_norm_outliers": "share of tokens with a\nnorm over 3 medians",
}
CAPTION = (
    "Geometry of patch tokens over depth: likeness to each other, outlying norms, likeness to the first block; "
    "last epoch, {images}, means over the seeds measured. Bands: 95 % interval over images. Control: each "
    "network's own."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw each network's last epoch, mean over seeds."""
    # No column is demanded: with one patch an image there is no cosine, and the panel says so.
    table = final(tables, "depth")
    figure = grid(table, style, PANELS, 2)
    control = trained_and_control(table, "token_cosine", style)
    said = (
        "With a cosine to the first block near 1, both blocks are nearly the same target; none on another grid.\n"
        f"Cosine between tokens in the last block (and the control's): {control}"
    )
    say(figure, "Patch tokens of an image", table, said, style, PANELS)
    return figure
