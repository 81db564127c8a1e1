"""How well does every block separate the classes? Accuracy of a linear probe and of the nearest images, with chance.

What the control of a network reaches too takes no training.
"""

import pandas as pd
from matplotlib.figure import Figure

from ..drawing.profiles import final, grid
from ..drawing.style import Style

TABLES = ("depth",)
METRICS = ("linear_probe", "nearest_probe")
REQUIRES = ("classes",)
PANELS = {"linear_probe_top1": "linear probe\ntop-1 [%]", "nearest_probe_top1": "nearest images\ntop-1 [%]"}
CHANCE = "linear_probe_chance"
CAPTION = (
    "Top-1 of a linear probe (ridge regression, held out) and of the nearest images, from the mean patch token of "
    "every block: last epoch, {images}, means over the seeds measured, without interval over images. Left: levels, "
    "with chance (dotted), the share of the most frequent class; right, for variants measured with several seeds: "
    "difference to the baseline of the same seed, with its 95 % t interval. Controls: each network's own."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw each network's last epoch, of each variant its difference to the baseline, and chance."""
    table = final(tables, "depth", *PANELS, CHANCE)
    note = "Dotted: chance, the share of the most frequent class. No image is classified with its own help."
    drawn = grid(table, style, PANELS, "How well blocks separate classes", note, height=1.25)
    for place, column in enumerate(drawn.columns):
        if column.beside:
            continue
        for chance in sorted(set(table.loc[table["network"].isin(column.members), CHANCE].dropna().round(6))):
            for panels in drawn.panels.values():
                panels[place].axhline(chance, color="0.2", linewidth=0.8, linestyle=":", zorder=0, label="_chance")
    for panels in drawn.panels.values():
        panels[0].autoscale(axis="y")
    return drawn.figure
