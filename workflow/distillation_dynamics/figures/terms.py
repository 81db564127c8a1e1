"""What drives training: the share of each term in a variant's loss, the gradient's norm and how often it is clipped.

In: terms.parquet and epochs.parquet. At one weight a term can make half of one variant's loss and a tenth of another's,
so that variants compare only beside their shares; one norm limits them only where they are clipped alike.
"""

import math

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from .style import PAGE, Style, label, legend_below, need, over_epochs

TABLES = ("terms", "epochs")
ASKS = ("students",)
ACROSS = 6
CAPTION = (
    "Share of each term in the loss of every variant, norm of the gradient and how often it was clipped: "
    "{students}, means over the updates of an epoch and over seeds, without interval. At one weight terms differ "
    "in dose."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw shares of the loss by epoch, a panel a variant (means over seeds), and below norms and clipping."""
    terms, epochs = need(tables, "terms", "share"), need(tables, "epochs", "gradient_norm")
    terms, epochs = (table[table["network"].isin(style.names.variants)] for table in (terms, epochs))
    variants, names = list(dict.fromkeys(terms["network"])), list(dict.fromkeys(terms["term"]))
    colors = dict(zip(names, sns.color_palette(style.palette, len(names)), strict=True))
    across = min(ACROSS, len(variants))
    down = math.ceil(len(variants) / across)
    figure = Figure(figsize=(PAGE, 1.1 * down + 2.8), layout="constrained")
    top, bottom = figure.add_gridspec(2, 1, height_ratios=[1.1 * down, 1.6])
    panels = top.subgridspec(down, across).subplots(sharex=True, sharey=True, squeeze=False)
    for axes, variant in zip(panels.flat, variants, strict=False):
        rows = terms[terms["network"] == variant]
        mean = rows.pivot_table(index="epoch", columns="term", values="share").reindex(columns=names).dropna(axis=1)
        base = np.zeros(len(mean))
        for name in mean:
            axes.bar(mean.index, mean[name], bottom=base, width=0.9, color=colors[name], label=label(name))
            base = base + mean[name].to_numpy()
        axes.set_title(label(variant), fontsize="small")
        axes.set_ylim(0, 1)
        axes.tick_params(labelsize="small")
        axes.xaxis.get_major_locator().set_params(integer=True)
    for axes in panels.flat[len(variants) :]:
        axes.set_visible(False)
    for axes in panels[:, 0]:
        axes.set_ylabel("share of loss", fontsize="small")
    looks = style.looks(variants)
    norm, clipped = bottom.subgridspec(1, 2).subplots()
    over_epochs(norm, epochs, "gradient_norm", looks)
    over_epochs(clipped, epochs, "clipped", looks)
    norm.set_ylabel("norm of the gradient,\nbefore clipping")
    norm.set_yscale("log")
    clipped.set_ylabel("share of updates clipped")
    clipped.set_ylim(-0.03, 1.03)
    seeds = terms["seed"].nunique()
    figure.suptitle(
        f"Terms of the loss and gradients by epoch: means over n = {seeds} seed{'s' * (seeds != 1)}; of norms and "
        "clipping each seed thin",
        fontsize="small",
    )
    legend_below(figure, [*panels.flat, norm], 6)
    return figure
