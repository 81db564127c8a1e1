"""How many directions the patch tokens fill over depth: of one image by itself, and of all images together.

In: depth.parquet. Out: a panel a rank, with the largest value that widths and numbers of tokens allow.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from .profiles import final, grid, log_if_wide, say, trained_and_control
from .style import Style

TABLES = ("depth",)
METRICS = ("rank",)
PANELS = {
    "sample_rank_95_p99": "rank of an image, 95 % energy\n(99th percentile) [directions]",
    "pca_rank_95_p99": "data set's PCA rank, 95 % energy\n(99th percentile) [directions]",
    "effective_rank": "effective rank\nof an image [directions]",
    "pca_effective_rank": "effective rank\nof all images [directions]",
}
OF_AN_IMAGE = ("sample_rank_95_p99", "effective_rank")
CAPTION = (
    "How many directions patch tokens fill over depth, of one image and of all: last epoch, {images}, means over "
    "the seeds measured. Bands: 95 % interval over images. Controls: each network's own, and the largest rank "
    "that width and tokens allow."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw each network's last epoch, mean over seeds, under the limits of the ranks."""
    table = final(tables, "depth", *PANELS, "channels", "tokens")
    figure = grid(table, style, PANELS, 2)
    for axes, column in zip(figure.axes, PANELS, strict=True):
        few_tokens = column in OF_AN_IMAGE and (table["tokens"] < table["channels"]).any()
        limits = np.minimum(table["channels"], table["tokens"]) if column in OF_AN_IMAGE else table["channels"]
        for limit in np.unique(limits):
            axes.axhline(limit, color="0.4", linewidth=0.5, zorder=0)
        what = "channels or tokens" if few_tokens else "channels"
        axes.set_title(f"lines: {what}, {', '.join(map(str, np.unique(limits)))}", loc="left", fontsize="x-small")
        log_if_wide(axes, table[[column]])
    control = trained_and_control(table, "pca_effective_rank", style)
    said = (
        "Thin lines: no rank can exceed the channels, that of an image not the number of its tokens either.\n"
        f"Effective rank of all images in the last block (and the control's): {control}"
    )
    say(figure, "Directions that patch tokens fill", table, said, style, PANELS)
    return figure
