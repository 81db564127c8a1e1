"""Channel-axis spectra of the first, middle and last block, against those of permuted channels.

In: spectrum.parquet. Out: a row of panels for the teacher and one for the students.
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .profiles import draw_null, final, log_scale
from .style import FIXED, PAGE, Style, counts, label, legend_below

TABLES = ("spectrum",)
METRICS = ("spectrum",)
NULL = ["amplitude_null", "amplitude_null_low", "amplitude_null_high"]


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw the one-sided spectra without the constant term: last epoch, mean over seeds, teacher above students."""
    table = final(tables, "spectrum", "amplitude", "frequency", *NULL)
    table = table[(table["frequency"] > 0) & (table["frequency"] < 0.5)]
    looks = style.looks(table["model"])
    rows = [m for m in looks if m in FIXED], [m for m in looks if m not in FIXED]
    figure = Figure(figsize=(PAGE, 4.6), layout="constrained")
    panels = figure.subplots(2, 3, sharex=True, sharey="row")
    for members, line in zip(rows, panels, strict=True):
        for axes, place in zip(line, (0, 0.5, 1), strict=True):
            for model in members:
                one = table[table["model"] == model]
                one = one[one["block"] == int(place * one["block"].max())]
                mean = one.groupby("frequency")[["amplitude", *NULL]].mean()
                axes.plot(mean.index, mean["amplitude"], label=label(model), **{**looks[model], "marker": None})
                if model in style.banded(looks):
                    draw_null(axes, mean.index, mean[NULL], looks[model]["color"], label(model))
                    _say_outside(axes, mean, label(model))
            log_scale(axes)
    for axes, name in zip(panels[0], ("first", "middle", "last"), strict=True):
        axes.set_title(f"{name} block")
    panels[1, 1].set_xlabel("frequency k/C [cycles per channel]")
    for axes, who in zip(panels[:, 0], ("teacher", "students"), strict=True):
        axes.set_ylabel(f"{who}: amplitude\n[activation units]")
    figure.suptitle(
        f"Spectra along the channel axis, last epoch, constant term left out ({counts(table)}).\n"
        "Channel order is arbitrary: a shape means something only outside the band of permuted channels\n"
        "(95 %: by chance 5 % of a spectrum leave it)",
        fontsize="small",
    )
    legend_below(figure, panels, 4)
    return figure


def _say_outside(axes: Axes, mean: pd.DataFrame, name: str) -> None:
    """Write which share of the spectrum leaves the null's band: by chance about 5 %."""
    _, low, high = (mean[column] for column in NULL)
    outside = 100 * ((mean["amplitude"] < low) | (mean["amplitude"] > high)).mean()
    axes.text(
        0.98,
        0.97,
        f"{name}: {outside:.0f} % outside",
        transform=axes.transAxes,
        ha="right",
        va="top",
        fontsize="x-small",
    )
