"""How far students predict what the teacher predicts, epoch by epoch.

In: agreement.parquet. Out: the share of equal predictions and the divergence of the predicted distributions.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..statistics.thresholds import INTERVAL
from .profiles import log_scale
from .style import PAGE, NoValue, Style, against, counts, label, legend_below, need, over_epochs

TABLES = ("agreement",)
ASKS = ("students", "teacher")
PANELS = {"agreement": "same prediction as\nthe teacher [%]", "kl": "KL(teacher || student) [nats]"}
CAPTION = (
    "How far students predict what the teacher {teacher} predicts, at every kept epoch ({students}): share of "
    "equal predictions and divergence of the predicted distributions, means over seeds. Band: 95 % binomial "
    "interval of the images, of {baseline}. Control: how often both would agree by chance, were the images that "
    "each gets right unrelated."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw the mean over seeds of each variant at every kept epoch, single seeds thin."""
    table = against(need(tables, "agreement", *PANELS), style)
    if table.empty:
        raise NoValue("no student was compared with the teacher (agreement.parquet)")
    looks = style.looks(table["network"])
    figure = Figure(figsize=(PAGE, 3.3), layout="constrained")
    panels = figure.subplots(1, 2)
    for axes, (column, text) in zip(panels, PANELS.items(), strict=True):
        over_epochs(axes, table, column, looks)
        axes.set_ylabel(text)
    log_scale(panels[1])
    first = style.names.baseline
    rows = table[table["network"] == first].groupby("epoch")[["agreement", "top1", "other_top1", "images"]].mean()
    share = rows["agreement"] / 100
    half = 100 * INTERVAL * np.sqrt(share * (1 - share) / rows["images"])
    color = looks[first]["color"]
    panels[0].fill_between(
        rows.index, rows["agreement"] - half, rows["agreement"] + half, color=color, alpha=0.25, linewidth=0
    )
    chance = rows["top1"] * rows["other_top1"] / 100
    panels[0].plot(
        rows.index, chance, color=color, linewidth=0.8, linestyle=(0, (1, 1)), label=f"{label(first)}, by chance"
    )
    figure.suptitle(
        f"Agreement with the teacher ({counts(table)}). Band: 95 % binomial interval ({label(first)}).\n"
        "By chance: both right, if which images the student gets right had nothing to do with the teacher",
        fontsize="small",
    )
    legend_below(figure, panels[0], 4)
    return figure
