"""Channel-axis spectra of the first, middle and last block, against those of permuted channels.

All are multiples of the network's mean with permuted channels, so that networks of any scale share an axis.
"""

import math
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..drawing.axis import few_ticks
from ..drawing.layout import Room, column_title, fitted, inches_of, sheet
from ..drawing.profiles import final, split, title
from ..drawing.style import PAGE, SMALL, Style, first_of, label
from ..words import span

TABLES = ("spectrum", "depth")
METRICS = ("spectrum",)
NULL = ["amplitude_null", "amplitude_band_low", "amplitude_band_high"]
TEST = "amplitude_p"
# Up to so many networks have a row each, beside their control; of more, so many share one. Students that share a row.
ROW_EACH, TOGETHER, STUDENTS = 4, 2, 3
# Networks, and variants beside the baseline, in all: a page holds eight such rows of either.
MOST_NETWORKS, MOST_VARIANTS = 16, 24
PLACES = {"first block": 0, "middle block": 0.5, "last block": 1}
# Inches at the right, for the names of who is in a row.
NAMES = 1.45
ROOM = Room(left=0.58, right=NAMES, gap=0.12, between=0.16, above=0.2, below=0.34)
CAPTION = (
    "Spectra over channels of first, middle and last block, as multiples of their mean with permuted channels: last "
    "epoch, {images}, means over the seeds measured. p: one test of the whole curve, unadjusted. Controls: each "
    "network's own, and the same tokens with permuted channels, mean and 95 % band."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw the one-sided spectra without the constant term: last epoch, mean over seeds, networks above students."""
    table = final(tables, "spectrum", "amplitude", "frequency", *NULL)
    tests = final(tables, "depth", TEST)
    table = table[(table["frequency"] > 0) & (table["frequency"] < 0.5) & table["amplitude"].notna()]
    rows, left_out = _rows(list(dict.fromkeys(table["network"])), style)
    what = title("Spectra along the channel axis, without the constant term", table, ["amplitude"])
    note = (
        "Channel order is arbitrary: a shape means something only outside the band, which 95 % of the curves of "
        "permuted channels (of the first of a row; dotted: their mean) leave nowhere. p: one test of the whole curve, "
        "by its largest distance; each unadjusted."
    )
    note += f" Shown: {' and '.join(left_out)}." * bool(left_out)
    curves = _curves(table[table["network"].isin({name for members, _ in rows for name in members})])
    figure, panels = sheet(len(rows), len(PLACES), 0.82, what, note, ROOM, sharex=True, sharey="row")
    for (members, with_null), line in zip(rows, panels, strict=True):
        looks = style.looks(members)
        for axes, place in zip(line, PLACES, strict=True):
            for name in members:
                block, mean = curves[name, place]
                null = mean[NULL].div(mean[NULL[0]], axis=0)
                axes.plot(
                    mean.index, mean["amplitude"] / mean[NULL[0]], label=label(name), **{**looks[name], "marker": None}
                )
                if name == with_null:
                    _null(axes, null, looks[name]["color"], tests, name, block)
        low, high = line[0].get_ylim()
        # Room for p above the curves.
        line[0].set_ylim(low, high + 0.22 * (high - low))
        few_ticks(line[0], 3)
        handles, texts = line[-1].get_legend_handles_labels()
        texts = [fitted(text, NAMES - 0.55, lines=2) for text in texts]
        beside: dict[str, Any] = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5), "labelspacing": 0.25}
        line[-1].legend(handles, texts, handlelength=2.9, handletextpad=0.5, **beside)
    for axes, text in zip(panels[0], PLACES, strict=True):
        column_title(axes, text)
    for axes in panels[-1]:
        axes.set_xticks([0, 0.2, 0.4], ["0", "0.2", "0.4"])
    panels[-1, 1].set_xlabel("frequency k/C [cycles per channel]")
    middle = (panels[0, 0].get_position().y1 + panels[-1, 0].get_position().y0) / 2
    figure.supylabel("amplitude / that of\npermuted channels", x=0.05 / PAGE, y=middle, ha="left")
    return figure


def _curves(table: pd.DataFrame) -> dict[tuple[str, str], tuple[int, pd.DataFrame]]:
    """Return (network, place in PLACES) -> (block, means over seeds by frequency)."""
    found = {}
    for name, rows in table.groupby("network"):
        for place, depth in PLACES.items():
            block = int(depth * rows["block"].max())
            found[name, place] = block, rows[rows["block"] == block].groupby("frequency")[["amplitude", *NULL]].mean()
    return found


def _null(axes: Axes, null: pd.DataFrame, color, tests: pd.DataFrame, name: str, block: int) -> None:
    """Draw the band of permuted channels and write p of the test against them."""
    axes.fill_between(null.index, null[NULL[1]], null[NULL[2]], color=color, alpha=0.18, linewidth=0)
    axes.plot(null.index, null[NULL[0]], color=color, linewidth=0.7, linestyle=":")
    mine = tests[(tests["network"] == name) & (tests["block"] == block)]
    p = f": p {span(mine[TEST], '.2g')}"
    # What is left of the panel's width beside p.
    text = fitted(label(name), inches_of(axes)[0] - 0.06 * len(p), lines=1) + p
    axes.text(0.98, 0.97, text, transform=axes.transAxes, ha="right", va="top", fontsize=SMALL)


def _rows(shown: list[str], style: Style) -> tuple[list[tuple[list[str], str | None]], list[str]]:
    """Return what each row of panels shows (who is in it, and of whom the null is drawn), and words on who is not."""
    names = style.names
    networks, fewer_networks = first_of([name for name in names.ordered if name in shown], MOST_NETWORKS, "networks")
    each = 1 if len(networks) <= ROW_EACH else TOGETHER
    rows: list[tuple[list[str], str | None]] = []
    for first in range(0, len(networks), each):
        both = (one for name in networks[first : first + each] for one in (name, names.controls.get(name)))
        rows.append(([name for name in both if name in shown], networks[first]))
    students = style.students(shown)
    baseline = [name for name in students if name == names.baseline]
    others = [name for name in students if name not in baseline]
    others, fewer_variants = first_of(others, MOST_VARIANTS, "variants beside the baseline")
    parts = split(others, math.ceil(len(others) / STUDENTS)) or [[]] * bool(baseline)
    rows += [([*baseline, *part], names.baseline if baseline else None) for part in parts]
    return rows, [words for words in (fewer_networks, fewer_variants) if words]
