"""How far students predict what the teacher predicts: at the end with its interval, and epoch by epoch."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..drawing.axis import few_ticks, log_scale, name_rows
from ..drawing.layout import NAMES, Room, sheet
from ..drawing.style import (
    NoValue,
    Style,
    against,
    binomial_half,
    counts,
    label,
    last_epoch,
    mean_and_half,
    need,
    over_epochs,
)

TABLES = ("agreement",)
REQUIRES = ("students", "teacher")
PANELS = {"agreement": "same prediction as\nthe teacher [%]", "kl": "KL(teacher || student) [nats]"}
CAPTION = (
    "How far students predict what the teacher {teacher} predicts ({students}): share of equal predictions at the "
    "last epoch with the 95 % binomial interval of the images, and at every kept epoch, with the divergence of the "
    "predicted distributions, means over the seeds measured. Control: how often both would agree by chance, were the "
    "images that each gets right unrelated."
)
ROOM = Room(left=NAMES, gap=0.5, above=0.2)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw the last epoch, a row a variant, and the mean over seeds at every kept epoch."""
    table = against(need(tables, "agreement", *PANELS), style)
    if table.empty:
        raise NoValue("no student was compared with the teacher (agreement.parquet)")
    looks = style.looks(table["network"])
    names = list(looks)
    title = f"Agreement with the teacher ({counts(table)})"
    figure, ((rows, shares, divergence),) = sheet(1, 3, max(0.19 * len(names), 1.6), title, _note(table, style), ROOM)
    final = last_epoch(table)
    for row, name in enumerate(names):
        own = final[final["network"] == name].sort_values("seed")
        places = row + (np.arange(len(own)) - (len(own) - 1) / 2) * min(0.12, 0.5 / len(own))
        look = {**looks[name], "linestyle": "none"}
        half = binomial_half(own["agreement"], own["images"])
        rows.errorbar(own["agreement"], places, xerr=half, elinewidth=0.6, **look)
        if len(own) > 1:
            mean, half = mean_and_half(own["agreement"].to_numpy())
            rows.errorbar(mean, row + 0.36, xerr=half, fmt="d", color="black", markersize=2.8, elinewidth=1.1)
    name_rows(rows, names)
    rows.grid(axis="x", linewidth=0.3)
    rows.set_xlabel("last epoch: same prediction [%]")
    few_ticks(rows, 5, axis="x")
    for axes, (column, text) in zip((shares, divergence), PANELS.items(), strict=True):
        # Untrained students would hide how the trained ones differ.
        over_epochs(axes, table[table["epoch"] > 0] if (table["epoch"] > 0).any() else table, column, looks)
        axes.set_ylabel(text)
    few_ticks(shares, 5)
    log_scale(divergence)
    return figure


def _note(table: pd.DataFrame, style: Style) -> str:
    """Return what the bars are, and what the baseline would agree on by chance and does untrained."""
    own = table[table["network"] == style.names.baseline]
    rows = own.groupby("epoch")[["agreement", "top1", "other_top1"]].mean()
    last, seeds = rows.iloc[-1], table["seed"].nunique()
    chance = last["top1"] * last["other_top1"] / 100
    text = "Bars: 95 % binomial interval of the images"
    text += "; black, and bands: mean and 95 % t interval over seeds" * (seeds > 1)
    text += (
        f". {label(own['network'].iloc[0])}, by chance: {chance:.1f} % (both right, if which images the student gets "
        "right had nothing to do with the teacher)"
    )
    if rows.index[0] == 0:
        text += f"; untrained: {rows['agreement'].iloc[0]:.1f} %"
    return f"{text}. Names and markers of the rows are those of the lines."
