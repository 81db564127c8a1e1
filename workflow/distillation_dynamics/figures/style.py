"""How every figure looks: sizes, fonts, and one colour, line and marker per network wherever it appears.

Networks are dark tones, each with its own marker; a control is its network's, lighter and dashed. The family of a
variant (none, soft, hard, spectral, projector) is its colour, its place in the family its line, both its marker. No two
share line and marker, so that figures stay readable for the colour-blind and in grey print.
"""

import math
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..errors import StudyError
from ..spec.tables import MAIN_PROBE, Names

PAGE = 6.75  # inches: width of a page in print
# Of a legend, in inches: the line before a name, and a letter of it; of a title, letters that a line of a page holds.
IN_FRONT, LETTER, LINE = 0.5, 0.058, 118
# Rows of a legend that a figure's height counts with, and inches for each further one.
ROWS, ROW = 4, 0.15
DASHES = ["-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)), (0, (8, 2))]
MARKERS = ["o", "s", "^", "D", "v", "P", "X"]
# Of networks, the teacher first: dark, and told apart by line and marker.
TONES = ["#000000", "#1f4e79", "#7b2d26", "#4f5d2f", "#5b3a70", "#6b4f1d", "#2f5d5d", "#5a5a5a"]
NETWORK_LINES = ["-", (0, (9, 1.5)), (0, (9, 1.5, 1.5, 1.5)), (0, (9, 1.5, 1.5, 1.5, 1.5, 1.5))]
NETWORK_MARKERS = ["*", "p", "h", "<", ">", "d", "8", "H"]
CONTROL_LINES = [(0, (3, 1.5)), (0, (3, 3)), (0, (2, 1)), (0, (4, 1, 1, 1))]
# How much of a control's colour is white.
LIGHTER = 0.5


class NoValue(StudyError):
    """There is nothing to draw: the study did not measure it, or no network has a value of it."""


@dataclass(frozen=True)
class Style:
    """The figures' slice of the configuration, and who is in the tables.

    A network looks the same in every figure, whichever of the others that figure shows.
    """

    palette: str
    dpi: int
    names: Names

    def apply(self) -> None:
        """Set seaborn's theme; text in PDF stays text."""
        sns.set_theme(context="paper", style="ticks", palette=self.palette, font_scale=0.85)
        mpl.rcParams.update(
            {
                "pdf.fonttype": 42,
                "svg.fonttype": "none",
                "svg.hashsalt": "distillation-dynamics",
                "axes.spines.top": False,
                "axes.spines.right": False,
                "legend.frameon": False,
                "lines.linewidth": 1.1,
                "lines.markersize": 3.5,
                "axes.titlesize": "medium",
            }
        )

    def looks(self, shown: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Return colour, line style and marker of each of `shown`; a family (the name up to '_') shares a colour."""
        colors = sns.color_palette(self.palette)
        variants = self.names.variants
        families = list(dict.fromkeys(name.split("_")[0] for name in variants))
        count: dict[str, int] = {}
        looks = {}
        for number, name in enumerate(self.names.ordered):
            color = mpl.colors.to_rgb(TONES[number % len(TONES)])
            # A turn of all markers later each comes with another line.
            marker = NETWORK_MARKERS[(number + number // len(NETWORK_MARKERS)) % len(NETWORK_MARKERS)]
            line = number % len(NETWORK_LINES)
            looks[name] = {"color": color, "linestyle": NETWORK_LINES[line], "marker": marker}
            light = tuple(LIGHTER + (1 - LIGHTER) * part for part in color)
            looks[self.names.controls.get(name)] = {"color": light, "linestyle": CONTROL_LINES[line], "marker": marker}
        for name in variants:
            family = name.split("_")[0]
            number = count[family] = count.get(family, -1) + 1
            looks[name] = {
                "color": colors[families.index(family) % len(colors)],
                "linestyle": DASHES[number % len(DASHES)],
                "marker": MARKERS[(families.index(family) + number) % len(MARKERS)],
            }
        return {name: looks[name] for name in dict.fromkeys(shown)}

    def banded(self, shown: Iterable[str]) -> list[str]:
        """Return those of `shown` whose intervals and nulls are drawn; those of all would hide each other."""
        return [name for name in (self.names.reference, self.names.baseline) if name in shown]

    def students(self, shown: Iterable[str]) -> list[str]:
        """Return those of `shown` that are variants."""
        return [name for name in dict.fromkeys(shown) if name in self.names.variants]


def label(name: str) -> str:
    """Return the name of a network or column as it is read."""
    return name.replace("_", " ")


def need(tables: dict[str, pd.DataFrame], name: str, *columns: str) -> pd.DataFrame:
    """Return the table `name`; raise StudyError when it, a column or every row is missing, NoValue when a value is."""
    table = tables.get(name)
    if table is None or table.empty:
        raise StudyError(f"{name}.parquet: the table is missing or empty, so there is nothing to draw")
    for column in columns:
        if column not in table:
            raise StudyError(f"{name}.parquet: column {column} is missing, so there is nothing to draw")
        if table[column].isna().all():
            raise NoValue(f"no network has a value of {column} ({name}.parquet)")
    return table


def last_epoch(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of each network's last epoch."""
    return table[table["epoch"] == table.groupby("network")["epoch"].transform("max")]


def main_probe(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the main image set."""
    return table[table["probe"] == MAIN_PROBE]


def against(table: pd.DataFrame, style: Style) -> pd.DataFrame:
    """Return the rows of a table of pairs that hold students beside the teacher."""
    return table[table["network"].isin(style.names.variants) & (table["other"] == style.names.teacher)]


def counts(table: pd.DataFrame, *columns: str) -> str:
    """Return how many images and, where there are students, seeds a table stands for, to be read in a title.

    `columns`: what is shown of it; some metrics may be measured of fewer seeds than others.
    """
    few, many = int(table["images"].min()), int(table["images"].max())
    images = f"{many:,}" if few == many else f"{few:,} to {many:,}"
    students = table[table["seed"] >= 0]
    shown = [students[students[column].notna()] for column in columns] or [students]
    seeds = sorted({rows["seed"].nunique() for rows in shown} - {0})
    several = " or ".join(map(str, dict.fromkeys(seeds[:1] + seeds[-1:])))
    return f"n = {images} image{'s' * (many != 1)}" + f", {several} seed{'s' * (seeds[-1:] > [1])}" * bool(seeds)


def wrapped(text: str) -> str:
    """Return a title whose lines fit on a page."""
    return "\n".join(textwrap.fill(line, LINE) for line in text.splitlines())


def block_label(name: str) -> str:
    """Return a block's module name as it is read on an axis: `7` for blocks.7, stages as they are."""
    return name.removeprefix("blocks.")


def legend_below(figure: Figure, axes: Axes | Iterable[Axes], columns: int) -> None:
    """Put one legend of everything that is labelled in `axes` (one or several) under the whole figure."""
    handles = {}
    for one in np.ravel(axes):
        for handle, text in zip(*one.get_legend_handles_labels(), strict=True):
            handles.setdefault(text, handle)
    widest = max(map(len, handles), default=0)
    width, height = figure.get_size_inches()
    columns = min(columns, max(1, int(width / (IN_FRONT + widest * LETTER))))
    # A legend of many rows makes the page longer, not the panels smaller.
    figure.set_size_inches(width, height + ROW * max(0, math.ceil(len(handles) / columns) - ROWS))
    figure.legend(
        handles.values(), handles.keys(), loc="outside lower center", ncols=columns, handlelength=2.6,
        columnspacing=1.2,
    )  # fmt: skip


def over_epochs(axes: Axes, table: pd.DataFrame, column: str, looks: dict[str, dict[str, Any]]) -> None:
    """Draw `column` over epochs: for each of the networks in `looks` the mean over seeds, single seeds thin."""
    table = table.dropna(subset=[column])
    for name, look in looks.items():
        rows = table[table["network"] == name]
        mean = rows.groupby("epoch")[column].mean()
        axes.plot(mean.index, mean, label=label(name), **look)
        if rows["seed"].nunique() > 1:
            for _, one in rows.groupby("seed"):
                axes.plot(one["epoch"], one[column], color=look["color"], linewidth=0.35, alpha=0.6)
    axes.set_xlabel("epoch")
    axes.xaxis.get_major_locator().set_params(integer=True)
