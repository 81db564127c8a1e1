"""Channel-axis spectra of the first, middle and last block, against those of permuted channels.

In: spectrum.parquet and depth.parquet. Out: a row of panels a network (of many: a row for a few of them) and one for
the students.
"""

import pandas as pd
from matplotlib.figure import Figure

from ..statistics.report.words import span
from .profiles import draw_null, final, log_scale
from .style import PAGE, Style, counts, label, legend_below

TABLES = ("spectrum", "depth")
METRICS = ("spectrum",)
NULL = ["amplitude_null", "amplitude_band_low", "amplitude_band_high"]
TEST = "amplitude_p"
# Up to so many networks have a row each, beside their control; of more, so many share one.
ROW_EACH, TOGETHER = 4, 3
CAPTION = (
    "Spectra over channels of first, middle and last block: last epoch, {images}, means over the seeds measured. "
    "Controls: each network's own, and the same tokens with permuted channels, mean and 95 % band."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw the one-sided spectra without the constant term: last epoch, mean over seeds, networks above students."""
    table = final(tables, "spectrum", "amplitude", "frequency", *NULL)
    tests = final(tables, "depth", TEST)
    table = table[(table["frequency"] > 0) & (table["frequency"] < 0.5) & table["amplitude"].notna()]
    looks = style.looks(table["network"])
    rows = _rows(list(looks), style)
    figure = Figure(figsize=(PAGE, 1.5 + 1.5 * len(rows)), layout="constrained")
    panels = figure.subplots(len(rows), 3, sharex=True, sharey="row", squeeze=False)
    for (who, members, with_null), line in zip(rows, panels, strict=True):
        for axes, place in zip(line, (0, 0.5, 1), strict=True):
            for name in members:
                one = table[table["network"] == name]
                block = int(place * one["block"].max())
                one = one[one["block"] == block]
                mean = one.groupby("frequency")[["amplitude", *NULL]].mean()
                axes.plot(mean.index, mean["amplitude"], label=label(name), **{**looks[name], "marker": None})
                if name in with_null:
                    draw_null(axes, mean.index, mean[NULL], looks[name]["color"], label(name))
                    mine = tests[(tests["network"] == name) & (tests["block"] == block)]
                    axes.text(
                        *(0.98, 0.97, f"{label(name)}: p {span(mine[TEST], '.2g')}"),
                        **{"transform": axes.transAxes, "ha": "right", "va": "top", "fontsize": "x-small"},
                    )
            log_scale(axes)
        line[0].set_ylabel(f"{who}: amplitude\n[activation units]", fontsize="small")
    for axes, name in zip(panels[0], ("first", "middle", "last"), strict=True):
        axes.set_title(f"{name} block")
    panels[-1, 1].set_xlabel("frequency k/C [cycles per channel]")
    figure.suptitle(
        f"Spectra along the channel axis, last epoch, constant term left out ({counts(table)}).\n"
        "Channel order is arbitrary: a shape means something only outside the band. 95 % of the curves of permuted\n"
        "channels leave it nowhere. p: one test of the whole curve, by its largest distance; each unadjusted",
        fontsize="small",
    )
    legend_below(figure, panels, 4)
    return figure


def _rows(shown: list[str], style: Style) -> list[tuple[str, list[str], list[str]]]:
    """Return what each row of panels shows: its name, who is in it, and of whom the null is drawn."""
    names = style.names
    networks = [name for name in names.ordered if name in shown]
    each = 1 if len(networks) <= ROW_EACH else TOGETHER
    rows = []
    for first in range(0, len(networks), each):
        chosen = networks[first : first + each]
        both = (one for name in chosen for one in (name, names.controls.get(name)))
        rows.append(
            (label(chosen[0]) if each == 1 else "networks", [name for name in both if name in shown], chosen[:1])
        )
    students = style.students(shown)
    return [*rows, ("students", students, style.banded(students))] if students else rows
