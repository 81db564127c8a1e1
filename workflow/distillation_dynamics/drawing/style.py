"""How every figure looks: sizes, fonts, and one colour, line and marker per network wherever it appears.

Networks are dark tones, each with its own marker; a control is its network's, lighter and dashed. An objective has a
colour, which is that of its terms too. A variant has the colour of the objective that marks it, the one among its own
that the fewest variants have; its place among those that are marked alike is its shade and line, both its marker. No
two share line and marker, so that figures stay readable for the colour-blind and in grey print.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from scipy.special import stdtrit

from ..errors import StudyError
from ..spec.tables import MAIN_IMAGE_SET, Names
from ..statistics.checkpoints import at_last_epoch
from ..statistics.thresholds import INTERVAL

PAGE = 6.75  # inches: width of a page in print
# Points at that width, of a figure's title, of labels and names, and of all else; print asks for no less than 6.
TITLE, TEXT, SMALL = 8.0, 7.0, 6.2
DASHES = ["-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)), (0, (8, 2))]
MARKERS = ["o", "s", "^", "D", "v", "P", "X"]
# Of networks, the teacher first: dark, and told apart by line and marker.
TONES = ["#000000", "#1f4e79", "#7b2d26", "#4f5d2f", "#5b3a70", "#6b4f1d", "#2f5d5d", "#5a5a5a"]
NETWORK_LINES = ["-", (0, (9, 1.5)), (0, (9, 1.5, 1.5, 1.5)), (0, (9, 1.5, 1.5, 1.5, 1.5, 1.5))]
NETWORK_MARKERS = ["*", "p", "h", "<", ">", "d", "8", "H"]
CONTROL_LINES = [(0, (3, 1.5)), (0, (3, 3)), (0, (2, 1)), (0, (4, 1, 1, 1))]
# How much of a control's colour is white; how far shades of a family go to black and to white.
LIGHTER, SHADES = 0.5, (0.4, 0.35)


def shade(color: tuple[float, ...], number: int, count: int) -> tuple[float, ...]:
    """Return the shade of member `number` of `count` of a family: from dark to light, a single one as it is."""
    dark, light = SHADES
    amount = -dark + (dark + light) * number / (count - 1) if count > 1 else 0
    return tuple(part * (1 + amount) if amount < 0 else part + (1 - part) * amount for part in color)


def lighter(color: tuple[float, ...]) -> tuple[float, ...]:
    """Return the colour of a control, from that of its network."""
    return tuple(LIGHTER + (1 - LIGHTER) * part for part in color)


class NoValue(StudyError):
    """There is nothing to draw: the study did not measure it, or no network has a value of it."""


@dataclass(frozen=True)
class Style:
    """The figures' slice of the configuration, who is in the tables, and what the classes are called, if anything.

    A network looks the same in every figure, whichever of the others that figure shows.
    """

    palette: str
    dpi: int
    names: Names
    classes: tuple[str, ...] = ()

    def apply(self) -> None:
        """Set seaborn's theme; text in PDF stays text."""
        sns.set_theme(context="paper", style="ticks", palette=self.palette)
        sizes = {f"{part}.labelsize": SMALL for part in ("xtick", "ytick")}
        sizes |= {f"axes.{part}size": TEXT for part in ("title", "label")}
        # matplotlib types the names of its settings one by one.
        settings: dict[Any, Any] = {
            **sizes,
            "font.size": TEXT,
            "figure.titlesize": TITLE,
            "figure.labelsize": TEXT,
            "legend.fontsize": SMALL,
            "axes.linewidth": 0.7,
            "axes.labelpad": 2.5,
            "axes.titlepad": 3,
            **{f"{axis}tick.{level}.width": 0.6 for axis in "xy" for level in ("major", "minor")},
            **{f"{axis}tick.major.size": 2.5 for axis in "xy"},
            **{f"{axis}tick.minor.size": 1.5 for axis in "xy"},
            **{f"{axis}tick.major.pad": 2 for axis in "xy"},
            "pdf.fonttype": 42,
            # Each picture as it is: a composite of many takes seconds.
            "image.composite_image": False,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titley": 1.0,
            "legend.frameon": False,
            "lines.linewidth": 1.0,
            "lines.markersize": 2.8,
        }
        mpl.rcParams.update(settings)

    def looks(self, shown: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Return colour, line style and marker of each of `shown`; those marked by one objective share a colour."""
        return {name: self._all_looks[name] for name in dict.fromkeys(shown)}

    @cached_property
    def _all_looks(self) -> dict[str, dict[str, Any]]:
        marks, places = self._marks, list(self._hues)
        count: dict[str, int] = {}
        looks: dict[str, dict[str, Any]] = {}
        for number, name in enumerate(self.names.ordered):
            tone = mpl.colors.to_rgb(TONES[number % len(TONES)])
            # A turn of all markers later each comes with another line.
            mark = NETWORK_MARKERS[(number + number // len(NETWORK_MARKERS)) % len(NETWORK_MARKERS)]
            line = number % len(NETWORK_LINES)
            looks[name] = {"color": tone, "linestyle": NETWORK_LINES[line], "marker": mark}
            if (control := self.names.controls.get(name)) is not None:
                looks[control] = {"color": lighter(tone), "linestyle": CONTROL_LINES[line], "marker": mark}
        sizes = Counter(marks.values())
        taken: set[tuple[int, int]] = set()
        for name, objective in marks.items():
            number, place = count.get(objective, 0), places.index(objective)
            count[objective] = number + 1
            line, marker = number % len(DASHES), place + number
            # A later turn of all lines comes with other markers.
            while (line, marker % len(MARKERS)) in taken and len(taken) < len(DASHES) * len(MARKERS):
                marker += 1
                line = (line + (marker % len(MARKERS) == 0)) % len(DASHES)
            taken.add((line, marker % len(MARKERS)))
            color = shade(self._hues[objective], number, sizes[objective])
            looks[name] = {"color": color, "linestyle": DASHES[line], "marker": MARKERS[marker % len(MARKERS)]}
        return looks

    @cached_property
    def _hues(self) -> dict[str, tuple[float, ...]]:
        """The colour of each objective, in the order in which variants name them."""
        colors = sns.color_palette(self.palette)
        named = dict.fromkeys(objective for arm in self.names.arms.values() for _, objective in arm.terms)
        return {objective: mpl.colors.to_rgb(colors[place % len(colors)]) for place, objective in enumerate(named)}

    @cached_property
    def _marks(self) -> dict[str, str]:
        """The objective that marks each variant; of several that equally few have, the last one."""
        own = {name: list(dict.fromkeys(dict(arm.terms).values())) for name, arm in self.names.arms.items()}
        having = Counter(objective for objectives in own.values() for objective in objectives)
        return {name: min(reversed(objectives), key=having.__getitem__) for name, objectives in own.items()}

    def terms(self) -> dict[str, Any]:
        """Return the colour of each term by its name: that of its objective, in shades where it has several terms.

        A name that stands for another objective in a later variant keeps the colour of the first.
        """
        objectives: dict[str, str] = {}
        for arm in self.names.arms.values():
            for term, objective in arm.terms:
                objectives.setdefault(term, objective)
        sizes, count = Counter(objectives.values()), Counter[str]()
        found = {}
        for term, objective in objectives.items():
            found[term] = shade(self._hues[objective], count[objective], sizes[objective])
            count[objective] += 1
        return found

    def banded(self, shown: Iterable[str]) -> list[str]:
        """Return those of `shown` whose intervals and nulls are drawn; those of all would hide each other."""
        return [name for name in (self.names.reference, *self.names.baselines.values()) if name in shown]

    def students(self, shown: Iterable[str]) -> list[str]:
        """Return those of `shown` that are variants."""
        return [name for name in dict.fromkeys(shown) if name in self.names.variants]


def label(name: str) -> str:
    """Return the name of a network or column as it is read."""
    return name.replace("_", " ")


def first_of(names: list[str], most: int, what: str) -> tuple[list[str], str]:
    """Return up to `most` of the names, as many as a page holds, and words that say so where some are left out."""
    return names[:most], f"the first {most} of {len(names)} {what}" * (len(names) > most)


def need(tables: dict[str, pd.DataFrame], name: str, *columns: str) -> pd.DataFrame:
    """Return the table `name`; raise StudyError when it or a column is missing, NoValue when rows or values are."""
    table = tables.get(name)
    if table is None:
        raise StudyError(f"{name}.parquet: the table is missing, so there is nothing to draw")
    if table.empty:
        raise NoValue(f"the study measured nothing of it ({name}.parquet is empty)")
    for column in columns:
        if column not in table:
            raise StudyError(f"{name}.parquet: column {column} is missing, so there is nothing to draw")
        if table[column].isna().all():
            raise NoValue(f"no network has a value of {column} ({name}.parquet)")
    return table


def last_epoch(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of each network's last epoch."""
    return table[at_last_epoch(table, "network")]


def main_images(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the main image set."""
    return table[table["probe"] == MAIN_IMAGE_SET]


def against(table: pd.DataFrame, style: Style) -> pd.DataFrame:
    """Return the rows of a table of pairs that hold students beside their teacher."""
    teachers = {name: arm.teacher for name, arm in style.names.arms.items()}
    return table[table["other"] == table["network"].map(teachers)]


def counts(table: pd.DataFrame, *columns: str) -> str:
    """Return how many images and, where there are students, seeds a table stands for, to be read in a title.

    `columns`: what is shown of it; some metrics may be measured of fewer seeds than others.
    """
    few, many = int(table["images"].min()), int(table["images"].max())
    images = f"{many:,}" if few == many else f"{few:,} to {many:,}"
    students = table[table["seed"].notna()]
    shown = [students[students[column].notna()] for column in columns] or [students]
    seeds = sorted({rows["seed"].nunique() for rows in shown} - {0})
    several = " or ".join(map(str, dict.fromkeys(seeds[:1] + seeds[-1:])))
    return f"n = {images} image{'s' * (many != 1)}" + f", {several} seed{'s' * (seeds[-1:] > [1])}" * bool(seeds)


def block_label(name: str) -> str:
    """Return a block's module name as it is read on an axis: `7` for blocks.7, stages as they are."""
    return name.removeprefix("blocks.")


def mean_and_half(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return means of `values` [..., seeds] and half their 95 % t intervals over seeds; NaN of one seed."""
    count = values.shape[-1]
    if count < 2:
        return values.mean(axis=-1), np.full(values.shape[:-1], np.nan)
    return values.mean(axis=-1), stdtrit(count - 1, 0.975) * values.std(axis=-1, ddof=1) / np.sqrt(count)


def binomial_half(percent: pd.Series, images: pd.Series) -> pd.Series:
    """Return half the 95 % interval that so many images leave of a share in percent [points]."""
    share = percent / 100
    return 100 * INTERVAL * np.sqrt(share * (1 - share) / images)


def over_epochs(axes: Axes, table: pd.DataFrame, column: str, looks: dict[str, dict[str, Any]]) -> None:
    """Draw `column` over epochs: of each network in `looks` the mean over seeds, with its 95 % t interval as a band."""
    table = table.dropna(subset=[column])
    for name, look in looks.items():
        rows = table[table["network"] == name].pivot_table(values=column, index="epoch", columns="seed")
        axes.plot(rows.index, rows.mean(axis=1), label=label(name), **look)
        if rows.shape[1] > 1:
            mean, half = mean_and_half(rows.to_numpy())
            axes.fill_between(rows.index, mean - half, mean + half, color=look["color"], alpha=0.15, linewidth=0)
    axes.set_xlabel("epoch")
    locator: Any = axes.xaxis.get_major_locator()
    locator.set_params(integer=True, nbins=5)
