"""How many directions the patch tokens fill over depth: of one image by itself, and of all images together."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..drawing.profiles import columns_of, final, grid
from ..drawing.style import Style

TABLES = ("depth",)
METRICS = ("rank",)
PANELS = {
    "sample_rank_95_p99": "rank of an image,\n95 % of energy, 99th\npercentile [directions]",
    "pca_rank_95_p99": "rank of all images,\n95 % of energy, 99th\npercentile [directions]",
    "effective_rank": "effective rank\nof an image\n[directions]",
    "pca_effective_rank": "effective rank\nof all images\n[directions]",
}
OF_AN_IMAGE = ("sample_rank_95_p99", "effective_rank")
CAPTION = (
    "How many directions patch tokens fill over depth, of one image and of all: last epoch, {images}, means over the "
    "seeds measured. Left: levels, bands: 95 % interval over images; right, where there are variants: difference to "
    "the baseline of the same seed, with its 95 % t interval where several seeds were measured. Controls: each "
    "network's own, and the largest rank that width and tokens allow."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw each network's last epoch, and of each variant its difference to the baseline."""
    table = final(tables, "depth", *PANELS, "channels", "tokens")
    note = (
        "Grey lines: the channels that no rank can exceed, or of an image the number of its tokens; those far above "
        "all ranks are not shown."
    )
    figure, rows = grid(table, style, PANELS, "Directions that patch tokens fill over depth", note, height=0.95)
    for place, column in enumerate(columns_of(table["network"], style)):
        own = table[table["network"].isin(column.members)]
        for metric, axes in rows.items():
            if not column.beside:
                _limits(axes[place], own, metric)
    return figure


def _limits(axes: Axes, table: pd.DataFrame, metric: str) -> None:
    """Draw the limits of a rank that lie near what is shown."""
    limits = np.minimum(table["channels"], table["tokens"]) if metric in OF_AN_IMAGE else table["channels"]
    low, high = axes.get_ylim()
    for limit in np.unique(limits):
        if limit <= high + 0.5 * (high - low):
            axes.axhline(limit, color="0.6", linewidth=0.5, zorder=0)
