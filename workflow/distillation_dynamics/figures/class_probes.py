"""How well every block tells the classes of the images apart: a linear probe and the nearest images, beside chance.

What the control of a network has too takes no training.
"""

import pandas as pd
from matplotlib.figure import Figure

from ..drawing.profiles import columns_of, final, grid
from ..drawing.style import Style

TABLES = ("depth",)
METRICS = ("linear_probe", "nearest_probe")
REQUIRES = ("classes",)
PANELS = {"linear_probe_top1": "linear probe\ntop-1 [%]", "nearest_probe_top1": "nearest images\ntop-1 [%]"}
CHANCE = "linear_probe_chance"
CAPTION = (
    "Top-1 of a linear probe (ridge regression, held out) and of the nearest images, from the mean patch token of "
    "every block: last epoch, {images}, means over the seeds measured, without interval over images. Left: levels, "
    "beside chance (dotted), the share of the most frequent class; right, where there are variants: difference to the "
    "baseline of the same seed. Controls: each network's own."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw each network's last epoch, of each variant its difference to the baseline, and chance."""
    table = final(tables, "depth", *PANELS, CHANCE)
    note = "Dotted: chance, the share of the most frequent class. Each image is told without itself."
    figure, rows = grid(table, style, PANELS, "Classes told apart", note, height=1.15)
    for place, column in enumerate(columns_of(table["network"], style)):
        if column.beside:
            continue
        for chance in sorted(set(table.loc[table["network"].isin(column.members), CHANCE].dropna().round(6))):
            for panels in rows.values():
                panels[place].axhline(chance, color="0.2", linewidth=0.8, linestyle=":", zorder=0, label="_chance")
    for panels in rows.values():
        panels[0].autoscale(axis="y")
    return figure
