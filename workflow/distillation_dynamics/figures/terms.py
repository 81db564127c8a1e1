"""What drives training: the share of each term in a variant's loss, the gradient's norm and how often it is clipped.

At one weight a term can make half of one variant's loss and a tenth of another's, so that variants compare only beside
their shares; one norm limits them only where they are clipped alike.
"""

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..drawing.axis import few_ticks, log_scale
from ..drawing.layout import Room, column_title, fitted, inches_of, legend_below, legend_rows, sheet
from ..drawing.style import TEXT, NoValue, Style, first_of, label, need, over_epochs
from ..words import of_each

TABLES = ("terms", "epochs")
REQUIRES = ("students",)
# Variants side by side, and in all: a page holds four such rows of panels.
ACROSS, MOST = 6, 24
PANELS = {"share": "share of\nloss", "gradient_norm": "gradient\nnorm", "clipped": "updates\nclipped"}
ROOM = Room(left=0.62, gap=0.1, between=0.13, above=0.3, below=0.36)
CAPTION = (
    "Share of each term in the loss of every variant, norm of the gradient before clipping and share of clipped "
    "updates: {students}, means over the updates of an epoch and over seeds; bands: 95 % t interval over seeds. Grey: "
    "the baseline. At one weight terms differ in dose."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw a column a variant: shares of its loss by epoch, its norm before clipping and share of clipped updates.

    The baseline stands thin beside each.
    """
    terms, epochs = need(tables, "terms", "share"), need(tables, "epochs", "gradient_norm")
    terms, epochs = (table[table["network"].isin(style.names.variants)] for table in (terms, epochs))
    if terms.empty:
        raise NoValue("no student was trained (terms.parquet)")
    variants, left_out = first_of(list(dict.fromkeys(terms["network"])), MOST, "variants")
    names = list(dict.fromkeys(terms["term"]))
    colors = {name: style.terms()[name] for name in names}
    across = min(ACROSS, len(variants))
    groups, seeds = math.ceil(len(variants) / across), terms["seed"].nunique()
    room = ROOM.with_legend(legend_rows(names, 6))
    title = (
        f"Terms of the loss, norm of the gradient before clipping, and clipping (n = {seeds} seed{'s' * (seeds != 1)})"
    )
    grey = label(of_each("baseline", style.names.baselines.values()))
    note = f"Means over seeds; bands: 95 % t interval over seeds. Grey: {grey}."
    note += f" Shown: {left_out}." * bool(left_out)
    # A row without panels holds the names of the next variants.
    heights = [0.7, 0.5, 0.5, 0.2] * groups
    figure, panels = sheet(4 * groups - 1, across, heights[:-1], title, note, room)
    for axes in panels.flat:
        axes.set_visible(False)
    rows: dict[str, list[Axes]] = {name: [] for name in PANELS}
    for number, variant in enumerate(variants):
        own = panels[4 * (number // across) :, number % across][:3]
        for axes, (column, text) in zip(own, PANELS.items(), strict=True):
            axes.set_visible(True)
            rows[column].append(axes)
            axes.tick_params(labelleft=number % across == 0, labelbottom=False)
            if number % across == 0:
                axes.set_ylabel(text)
        _bars(own[0], terms[terms["network"] == variant], colors)
        column_title(own[0], fitted(label(variant), inches_of(own[0])[0] + ROOM.gap, TEXT, 2))
        for axes, column in zip(own[1:], list(PANELS)[1:], strict=True):
            _line(axes, epochs, column, variant, style)
        if number + across >= len(variants):
            own[2].tick_params(labelbottom=True)
            own[2].set_xlabel("epoch")
    _scales(rows)
    legend_below(figure, rows["share"], 6, room.below)
    return figure


def _bars(axes: Axes, terms: pd.DataFrame, colors: dict) -> None:
    mean = terms.pivot_table(index="epoch", columns="term", values="share").reindex(columns=list(colors)).dropna(axis=1)
    base = np.zeros(len(mean))
    for name in mean:
        axes.bar(mean.index, mean[name], bottom=base, width=0.9, color=colors[name], label=label(name), linewidth=0.3)
        base = base + mean[name].to_numpy()


def _line(axes: Axes, epochs: pd.DataFrame, column: str, variant: str, style: Style) -> None:
    """Draw one variant over epochs, the baseline thin in grey behind it."""
    looks = style.looks([variant])
    baseline = epochs[epochs["network"] == style.names.baseline_of(variant)].groupby("epoch")[column].mean()
    axes.plot(baseline.index, baseline, color="0.6", linewidth=0.7, zorder=1)
    over_epochs(axes, epochs, column, looks)
    axes.set_xlabel("")


def _scales(rows: dict[str, list[Axes]]) -> None:
    share, norm, clipped = (axes[0] for axes in rows.values())
    # Only now: as long as panels share an axis, whatever is drawn in one of them moves all.
    for first, *others in rows.values():
        for axes in others:
            axes.sharey(first)
    for axes in [axes for row in rows.values() for axes in row if axes is not share]:
        axes.sharex(share)
    share.autoscale(axis="x")
    share.set_ylim(0, 1)
    clipped.set_ylim(-0.03, 1.06)
    for axes in (share, clipped):
        axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    norm.autoscale(axis="y")
    log_scale(norm)
    few_ticks(share, 5, axis="x")
    whole: Any = share.xaxis.get_major_locator()
    whole.set_params(integer=True)
