"""How every figure looks: sizes, fonts, and one colour, line and marker per model wherever it appears.

The family of a variant (none, soft, hard, spectral, projector) is its colour, its place in the family its line, both
its marker: no two models share line and marker, so that figures stay readable for the colour-blind and in grey print.
"""

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

PAGE = 6.75  # inches: width of a page in print
DASHES = ["-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)), (0, (8, 2))]
MARKERS = ["o", "s", "^", "D", "v", "P", "X"]
FIXED = {
    "teacher": {"color": "black", "linestyle": "-", "marker": "*"},
    "teacher_untrained": {"color": "0.55", "linestyle": "--", "marker": "*"},
}


class NoValue(StudyError):
    """There is nothing to draw: the study did not measure it, or no network has a value of it."""


@dataclass(frozen=True)
class Style:
    """The figures' slice of the configuration, the study's variants in order and the one the others are read against.

    A model looks the same in every figure, whichever of the variants that figure shows.
    """

    palette: str
    dpi: int
    variants: tuple[str, ...]
    baseline: str

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

    def looks(self, models: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Return colour, line style and marker of each model; a family (the name up to '_') shares a colour."""
        colors = sns.color_palette(self.palette)
        families = list(dict.fromkeys(name.split("_")[0] for name in self.variants))
        count: dict[str, int] = {}
        looks = dict(FIXED)
        for name in self.variants:
            family = name.split("_")[0]
            number = count[family] = count.get(family, -1) + 1
            looks[name] = {
                "color": colors[families.index(family) % len(colors)],
                "linestyle": DASHES[number % len(DASHES)],
                "marker": MARKERS[(families.index(family) + number) % len(MARKERS)],
            }
        return {name: looks[name] for name in dict.fromkeys(models)}

    def banded(self, models: Iterable[str]) -> list[str]:
        """Return the models whose intervals and nulls are drawn; those of all would hide each other."""
        return [model for model in ("teacher", self.baseline) if model in models]


def label(model: str) -> str:
    """Return a model's name as it is read."""
    return model.replace("_", " ")


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
    """Return the rows of each model's last epoch."""
    return table[table["epoch"] == table.groupby("model")["epoch"].transform("max")]


def counts(table: pd.DataFrame) -> str:
    """Return how many images and seeds a table stands for, to be read in a title."""
    images, seeds = int(table["images"].max()), table.loc[table["seed"] >= 0, "seed"].nunique()
    return f"{images:,} validation images, n = {seeds} seed{'s' * (seeds != 1)}"


def block_label(name: str) -> str:
    """Return a block's module name as it is read on an axis: `7` for blocks.7, stages as they are."""
    return name.removeprefix("blocks.")


def legend_below(figure: Figure, axes: Axes | Iterable[Axes], columns: int) -> None:
    """Put one legend of everything that is labelled in `axes` (one or several) under the whole figure."""
    handles = {}
    for one in np.ravel(axes):
        for handle, text in zip(*one.get_legend_handles_labels(), strict=True):
            handles.setdefault(text, handle)
    figure.legend(
        handles.values(), handles.keys(), loc="outside lower center", ncols=columns, handlelength=2.6, columnspacing=1.2
    )
