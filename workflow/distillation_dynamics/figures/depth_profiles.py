"""Intensity, entropy and activation magnitude over depth: teacher, untrained teacher and students."""

import pandas as pd
from matplotlib.figure import Figure

from .style import PAGE, Style, label, last_epoch, legend_below, need

TABLES = ("depth",)
PANELS = {
    "intensity": "spectral intensity\n[activation units]",
    "entropy": "token entropy [bits]",
    "activation_magnitude": "activation magnitude\n[activation units]",
}


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw each model's last epoch, mean over seeds, against relative depth."""
    table = last_epoch(need(tables, "depth", *PANELS))
    looks = style.looks(list(dict.fromkeys(table["model"])))
    figure = Figure(figsize=(PAGE, 3.3), layout="constrained")
    panels = figure.subplots(1, 3)
    for axes, (column, text) in zip(panels, PANELS.items(), strict=True):
        for model, look in looks.items():
            mean = table[table["model"] == model].groupby("block")[column].mean()
            depth = mean.index / max(mean.index.max(), 1)
            axes.plot(depth, mean, label=label(model), **look)
        values = table[column]
        if values.min() > 0 and values.max() > 10 * values.min():
            axes.set_yscale("log")
        axes.set_xlabel("relative depth of the block")
        axes.set_ylabel(text)
    images, seeds = int(table["images"].iloc[0]), table.loc[table["seed"] >= 0, "seed"].nunique()
    figure.suptitle(
        f"Patch tokens over depth, last epoch ({images} validation images, {seeds} seed{'s' * (seeds > 1)}).\n"
        "Entropy levels follow each model's own activation range: compare shapes, not levels, between models",
        fontsize="small",
    )
    legend_below(figure, panels[0], 4)
    return figure
