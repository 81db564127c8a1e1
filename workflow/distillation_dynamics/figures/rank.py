"""How many directions do patch tokens fill over depth? Effective rank of one image alone and of all images."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..drawing.profiles import final, grid
from ..drawing.style import Style

TABLES = ("depth",)
METRICS = ("rank",)
PANELS = {
    "effective_rank": "effective rank\nof an image\n[directions]",
    "pca_effective_rank": "effective rank\nof all images\n[directions]",
}
CAPTION = (
    "Effective rank of patch tokens over depth, of one image and of all: last epoch, {images}, means over the seeds "
    "measured. Left: levels, bands: 95 % interval over images; right, for variants measured with several seeds: "
    "difference to the baseline of the same seed, with its 95 % t interval. Controls: each network's own, and the "
    "largest rank that width and tokens allow."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw each network's last epoch, and of each variant its difference to the baseline."""
    table = final(tables, "depth", *PANELS, "channels", "tokens")
    note = "Grey lines: the largest rank, of channels or of an image's tokens; those far above are not drawn."
    drawn = grid(table, style, PANELS, "Directions that patch tokens fill over depth", note, height=1.25)
    for place, column in enumerate(drawn.columns):
        own = table[table["network"].isin(column.members)]
        for metric, axes in drawn.panels.items():
            if not column.beside:
                _limits(axes[place], own, metric)
    return drawn.figure


def _limits(axes: Axes, table: pd.DataFrame, metric: str) -> None:
    """Draw the limits of a rank that lie near what is shown."""
    of_an_image = metric == "effective_rank"
    limits = np.minimum(table["channels"], table["tokens"]) if of_an_image else table["channels"]
    low, high = axes.get_ylim()
    for limit in np.unique(limits):
        if limit <= high + 0.5 * (high - low):
            axes.axhline(limit, color="0.6", linewidth=0.5, zorder=0)
