"""What drives training? The share of each term in a variant's loss, the gradient's norm and how often it is clipped.

At one weight a term can make half of one variant's loss and a tenth of another's, so shares are shown for each
variant. Where every update is clipped, the clipping norm limits every step.
"""

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..drawing.axis import log_scale
from ..drawing.layout import Room, fitted, legend_below, legend_rows, sheet
from ..drawing.style import PAGE, TEXT, NoValue, Style, first_of, label, need, over_epochs
from ..words import listed, of_one_or_each

TABLES = ("terms", "epochs")
REQUIRES = ("students",)
# Variants side by side, and in all: a page holds four such rows of panels.
ACROSS, MOST = 6, 24
# Share of clipped updates from which on the third row is flat.
ALL = 0.98
PANELS = {"share": "share of\nloss", "gradient_norm": "gradient\nnorm", "clipped": "updates\nclipped"}
# Between two variants, as a share of one.
GAP = 0.08
ROOM = Room(left=0.62, between=0.14, above=0.3, below=0.36)
CAPTION = (
    "Share of each term in the loss of every variant, norm of the gradient before clipping and share of clipped "
    "updates: {students}, means over the updates of an epoch and over seeds; bands: 95 % t interval over seeds. Grey: "
    "the baseline. At one weight terms differ in dose."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw a column a variant: shares of its loss by epoch, its norm before clipping and share of clipped updates.

    The baseline is drawn thin behind each.
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
    grey = label(of_one_or_each("baseline", style.names.baselines.values()))
    note = f"Means over seeds; bands: 95 % t interval over seeds. Grey: {grey}.{_clipped(epochs)}"
    note += f" Shown: {left_out}." * bool(left_out)
    # A row without panels holds the names of the next variants.
    figure, panels = sheet(4 * groups - 1, 1, ([0.7, 0.5, 0.5, 0.2] * groups)[:-1], title, note, room)
    for axes in panels[3::4, 0]:
        axes.set_visible(False)
    first, last = terms["epoch"].min(), terms["epoch"].max()
    # Variants side by side on one axis, each from its own place on: an axis a variant takes six times as long.
    step = (last - first + 1) * (1 + GAP)
    ticks = _ticks(first, last)
    for number in range(groups):
        own = variants[number * across : (number + 1) * across]
        rows = dict(zip(PANELS, panels[4 * number :, 0], strict=False))
        for place, variant in enumerate(own):
            _bars(rows["share"], terms[terms["network"] == variant], colors, place * step)
            for column in list(PANELS)[1:]:
                _line(rows[column], epochs, column, variant, place * step, style)
            name = fitted(label(variant), (PAGE - ROOM.left - ROOM.right) / across, TEXT, 2)
            rows["share"].annotate(
                name, (first - 0.5 + place * step, 1), xytext=(0, 3), textcoords="offset points", va="bottom",
                fontsize=TEXT, annotation_clip=False,
            )  # fmt: skip
        for (column, text), axes in zip(PANELS.items(), rows.values(), strict=True):
            axes.set(ylabel=text, xlim=(first - 0.5, first - 0.5 + across * step), ylim=_limits(column, epochs))
            axes.set_xticks([place * step + tick for place in range(len(own)) for tick in ticks], ticks * len(own))
            axes.tick_params(labelbottom=column == "clipped")
            if column == "gradient_norm":
                log_scale(axes)
            else:
                axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
        rows["clipped"].set_xlabel("epoch")
    legend_below(figure, panels[::4, 0], 6, room.below)
    return figure


def _ticks(first: int, last: int) -> list[int]:
    """Return three epochs to number, at most."""
    return sorted({first, round((first + last) / 2), last} if last - first > 1 else {first, last})


def _limits(column: str, epochs: pd.DataFrame) -> tuple[float, float]:
    """Return what the axis of a row spans, the same in all groups of variants."""
    if column == "gradient_norm":
        means = epochs.groupby(["network", "epoch"])[column].mean()
        return 0.85 * means.min(), 1.2 * means.max()
    return (0, 1) if column == "share" else (-0.03, 1.06)


def _clipped(epochs: pd.DataFrame) -> str:
    """Return which variants had nearly every update clipped, in all epochs; empty where none had."""
    least = epochs.groupby(["network", "epoch"], sort=False)["clipped"].mean().groupby("network", sort=False).min()
    names = [label(name) for name in least.index[least >= ALL]]
    if not names:
        return ""
    who = "every variant" if len(names) == len(least) else listed(names)
    return f" Third row flat at 1: {100 * ALL:.0f} % or more of the updates of {who} were clipped in every epoch."


def _bars(axes: Axes, terms: pd.DataFrame, colors: dict, left: float) -> None:
    """Draw the shares of a variant's terms as stacked bars, from `left` on."""
    mean = terms.pivot_table(index="epoch", columns="term", values="share").reindex(columns=list(colors)).dropna(axis=1)
    base = np.zeros(len(mean))
    for name in mean:
        look: dict[str, Any] = {"width": 0.9, "color": colors[name], "label": label(name), "linewidth": 0.3}
        axes.bar(mean.index + left, mean[name], bottom=base, **look)
        base = base + mean[name].to_numpy()


def _line(axes: Axes, epochs: pd.DataFrame, column: str, variant: str, left: float, style: Style) -> None:
    """Draw one variant over epochs from `left` on, the baseline thin in grey behind it."""
    own = epochs[epochs["network"].isin([variant, style.names.baseline_of(variant)])]
    own = own.assign(epoch=own["epoch"] + left)
    baseline = own[own["network"] == style.names.baseline_of(variant)].groupby("epoch")[column].mean()
    axes.plot(baseline.index, baseline, color="0.6", linewidth=0.7, zorder=1)
    over_epochs(axes, own, column, style.looks([variant]))
    axes.set_xlabel("")
