"""Channel-axis spectra of the first, middle and last block."""

import pandas as pd
from matplotlib.figure import Figure

from .style import PAGE, Style, label, last_epoch, need

TABLES = ("spectrum",)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw the one-sided spectra without the constant term: last epoch, mean over seeds, teacher above students."""
    table = last_epoch(need(tables, "spectrum", "amplitude", "frequency"))
    table = table[(table["frequency"] > 0) & (table["frequency"] < 0.5)]
    models = list(dict.fromkeys(table["model"]))
    looks = style.looks(models)
    rows = [[m for m in models if m.startswith("teacher")], [m for m in models if not m.startswith("teacher")]]
    figure = Figure(figsize=(PAGE, 4.2), layout="constrained")
    panels = figure.subplots(2, 3, sharex=True, sharey="row")
    for members, line in zip(rows, panels, strict=True):
        for axes, place in zip(line, (0, 0.5, 1), strict=True):
            for model in members:
                one = table[table["model"] == model]
                block = int(place * one["block"].max())
                mean = one[one["block"] == block].groupby("frequency")["amplitude"].mean()
                look = {**looks[model], "marker": None}
                axes.plot(mean.index, mean, label=label(model), **look)
            axes.set_yscale("log")
    for axes, name in zip(panels[0], ("first", "middle", "last"), strict=True):
        axes.set_title(f"{name} block")
    panels[1, 1].set_xlabel("frequency k/C [cycles per channel]")
    for axes, who in zip(panels[:, 0], ("teacher", "students"), strict=True):
        axes.set_ylabel(f"{who}: amplitude\n[activation units]")
    figure.suptitle(
        "Spectra along the channel axis, last epoch, constant term left out. Channel order is arbitrary: a shape\n"
        "means something only against spectra of permuted channels, which this figure does not show",
        fontsize="small",
    )
    handles = {}
    for axes in panels[:, 0]:
        handles |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4, handlelength=2.6)
    return figure
