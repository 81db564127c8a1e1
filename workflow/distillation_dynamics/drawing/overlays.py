"""Maps over images: how they are chosen, scaled and laid over images, on one sheet in inches.

In: rows of saliency.parquet, maps of single images. All pictures share one pair of axes whose unit is the inch: many
axes take ten times as long.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..spec.tables import Names
from ..statistics.checkpoints import of_first_seed
from .layout import APART, EDGE, NOTE_LINE, TITLE_LINE, fitted, heads, put_heads
from .style import PAGE, SMALL, TEXT, Style, label, last_epoch

# Inches: for the names of networks and for the scale; between pictures, and between groups of them; a line of text.
NAMES, SCALE, GAP, GROUP, LINE = 1.12, 0.34, 0.03, 0.12, 0.13
# The largest side of a picture.
LARGEST = 1.0
# Students before their first update, who are the same in all variants of a seed.
UNTRAINED = "untrained student"
# Of an image, how dark black is drawn; the colour of a map over it, and how opaque its largest value is.
BLACK, COLOR, OPAQUE = 0.62, (0.78, 0.0, 0.12), 0.95
# A map without values.
NOTHING = np.full((1, 1), np.nan)


def final_maps(table: pd.DataFrame, names: Names) -> pd.DataFrame:
    """Return the maps of each network's last epoch and lowest seed, and of the untrained student where there is one.

    Networks and their controls come first, then the untrained student, then variants.
    """
    untrained = table[(table["network"] == names.baseline) & (table["epoch"] == 0)]
    last = last_epoch(table)
    if len(untrained) and last.loc[last["network"] == names.baseline, "epoch"].max() > 0:
        last = pd.concat([untrained.assign(network=UNTRAINED), last])
    last = last[of_first_seed(last, "network")]
    places = {name: place for place, name in enumerate((*names.fixed, UNTRAINED, *names.variants))}
    return last.sort_values("network", key=lambda column: column.map(places).fillna(len(places)), kind="stable")


def networks_of(table: pd.DataFrame, most: int, style: Style) -> tuple[list[str], str]:
    """Return up to `most` names in the table's order, and words for a title that says whether any are left out.

    The reference, its control, the student untrained and its baseline come before other networks, variants, controls.
    """
    names, reference = list(dict.fromkeys(table["network"])), style.names.reference
    pairs = [reference, style.names.controls.get(reference), UNTRAINED, *style.names.baselines.values()]
    first = [*pairs, *style.names.ordered, *style.names.variants]
    kept = sorted(names, key=lambda name: first.index(name) if name in first else len(first))[:most]
    said = f"{most} of {len(names)} networks, " if len(names) > most else ""
    return [name for name in names if name in kept], said


def examples(table: pd.DataFrame, count: int) -> pd.DataFrame:
    """Return (image, label) of `count` images, the first of classes evenly spread over all; fewer if there are."""
    images = table[["image", "label"]].drop_duplicates("image").sort_values("image")
    first = images.drop_duplicates("label").sort_values("label")
    if len(first) < count:
        first = pd.concat([first, images.drop(first.index)])
    return first.iloc[np.unique(np.linspace(0, len(first) - 1, min(count, len(first))).round().astype(int))]


def class_said(label: float, classes: Sequence[str]) -> str:
    """Return the name of a class where it has one, otherwise 'class 3', or that an image has no label (missing)."""
    if pd.isna(label):
        return "no label"
    return classes[int(label)] if label < len(classes) else f"class {int(label)}"


def as_array(row: pd.Series) -> np.ndarray:
    """Return the map in a row of a table, [rows, columns]."""
    return np.asarray(row["map"], dtype=np.float64).reshape(row["rows"], row["columns"])


def by_key(table: pd.DataFrame, *keys: str) -> dict[tuple, np.ndarray]:
    """Return the maps [rows, columns] of a table by the values of its columns `keys`."""
    places = zip(*(table[key] for key in keys), strict=True)
    return {place: as_array(row) for place, (_, row) in zip(places, table.iterrows(), strict=True)}


def share_of_largest(values: np.ndarray) -> np.ndarray:
    """Return a map as a share of its 99th percentile (or of its maximum where that is zero), within [0, 1]."""
    scale = np.percentile(values, 99) or values.max() or 1
    return np.clip(values / scale, 0, 1)


def canvas(height: float, title: str, note: str) -> tuple[Figure, Axes, float]:
    """Return a figure, its axes in inches from the upper left corner, and where what is drawn starts.

    `height` [inches] is that of all between title and scale. A `note` stands below the scale.
    """
    title, note = heads(title, note)
    top = EDGE + TITLE_LINE * (1 + title.count("\n")) + APART
    total = top + height + SCALE + NOTE_LINE * (1 + note.count("\n")) + APART + EDGE
    figure = Figure(figsize=(PAGE, total))
    put_heads(figure, title, note)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, PAGE), ylim=(total, 0))
    axes.set_axis_off()
    _scale(axes, top + height + APART)
    return figure, axes, top


def _scale(axes: Axes, top: float) -> None:
    """Draw the scale of all maps: over black and over white."""
    left, width, height = NAMES, 1.5, 0.09
    values = np.linspace(0, 1, 64)[None]
    for number, image in enumerate((0.0, 1.0)):
        show(axes, np.full((1, 1), image), (left, top + number * height / 2, width, height / 2), values)
    for value in (0, 0.5, 1):
        axes.text(left + value * width, top + height + 0.02, f"{value:g}", ha="center", va="top", fontsize=SMALL)
    axes.text(left + width + 0.15, top, "share of the map's own 99th percentile", va="top", fontsize=SMALL)


def show(
    axes: Axes,
    image: np.ndarray,
    box: tuple[float, float, float, float],
    values: np.ndarray | None = None,
    name: str = "",
) -> None:
    """Draw an intensity image [rows, columns] in light grey at `box` (left, top, width, height) [inches].

    Over it lies a map `values` of any resolution, the more opaque the larger it is; `name` is the gid of both. Of a map
    without values (NaN) that is written there, and of one that is zero everywhere a 0.
    """
    left, top, width, height = box
    if values is not None and (np.isnan(values).all() or not values.any()):
        text = "0" if not values.any() else "no value"
        axes.text(left + width / 2, top + height / 2, text, ha="center", va="center", fontsize=SMALL, gid=name)
    limits = axes.get_xlim(), axes.get_ylim()
    shown = blended(image, NOTHING if values is None else values)
    extent = left, left + width, top + height, top
    axes.imshow(shown, extent=extent, aspect="auto", origin="upper", interpolation="nearest", gid=name)
    axes.set(xlim=limits[0], ylim=limits[1])


def blended(image: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return an image in light grey under a map, [rows, columns, 3], at the larger of their resolutions."""
    rows, columns = np.maximum(image.shape, values.shape)
    grey = BLACK + (1 - BLACK) * np.clip(_nearest(image, rows, columns), 0, 1)[..., None]
    if np.isnan(values).all():
        return np.repeat(grey, 3, axis=2)
    opaque = OPAQUE * _nearest(share_of_largest(values), rows, columns)[..., None]
    return (1 - opaque) * grey + opaque * np.array(COLOR)


def _nearest(values: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Return an array at another resolution, without interpolation."""
    places = (np.arange(size) * old // size for size, old in zip((rows, columns), values.shape, strict=True))
    return values[np.ix_(*places)]


def draw_maps(
    chosen: pd.DataFrame, names: Sequence[str], heads: Mapping[str, str], pixels: Mapping[tuple, np.ndarray],
    found: Mapping[tuple, np.ndarray], title: str, note: str, classes: Sequence[str],
) -> Figure:  # fmt: skip
    """Return a figure of the images `chosen` (`examples`) side by side, each over a row of maps for every network.

    `heads`: key of each column of maps -> its name; `pixels`: network, image -> the image as that network sees it;
    `found`: network, image, key -> map.
    """
    across = len(heads)
    step = min((PAGE - NAMES - GROUP * len(chosen)) / (len(chosen) * across), LARGEST)
    side, first = step - GAP, 2 * LINE + step
    figure, axes, top = canvas(first + step * len(names), title, note)
    for number, (image, class_) in enumerate(chosen.itertuples(index=False)):
        left = NAMES + number * (across * step + GROUP)
        middle = left + (across * step - GAP) / 2
        axes.text(middle, top, class_said(class_, classes), ha="center", va="top", fontsize=TEXT)
        any_pixels = next(picture for (_, one), picture in pixels.items() if one == image)
        show(axes, any_pixels, (middle - side / 2, top + LINE, side, side))
        for column, (key, text) in enumerate(heads.items()):
            x = left + column * step
            axes.text(x + side / 2, top + first - 0.02, text, ha="center", va="bottom", fontsize=SMALL)
            for row, name in enumerate(names):
                own, values = pixels.get((name, image), any_pixels), found.get((name, image, key), NOTHING)
                show(axes, own, (x, top + first + row * step, side, side), values, f"{name}/{image}/{key}")
    for row, name in enumerate(names):
        middle, text = top + first + row * step + side / 2, fitted(label(name), NAMES - 0.1, TEXT, 3)
        axes.text(NAMES - 0.06, middle, text, ha="right", va="center", fontsize=TEXT)
    return figure
