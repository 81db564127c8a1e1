"""What the figures of maps over images share: how maps are chosen, scaled and laid over images, and a page's measures.

In: rows of saliency.parquet and gradient_maps.parquet, maps of single images. It is no figure of its own.
"""

import textwrap

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from .style import Style, label, last_epoch

# Inches: for the names of networks, the title and the scale; between panels, and between groups of them.
NAMES, TITLE, BELOW, GAP, GROUP = 1.0, 0.4, 0.42, 0.03, 0.1
# Networks below one another that are still readable on a page.
DOWN = 12
COLORS = "inferno"


def final_maps(table: pd.DataFrame, style: Style) -> pd.DataFrame:
    """Return the maps of each network's last epoch and lowest seed: networks and their controls before students."""
    table = last_epoch(table)
    table = table[table["seed"] == table.groupby("network")["seed"].transform("min")]
    places = {name: place for place, name in enumerate(style.names.fixed)}
    return table.sort_values("network", key=lambda names: names.map(places).fillna(len(places)), kind="stable")


def networks_of(table: pd.DataFrame, most: int) -> tuple[list[str], str]:
    """Return the names of the first `most` networks, and words for a title that says whether any are left out."""
    names = list(dict.fromkeys(table["network"]))
    return names[:most], f"first {most} of {len(names)} networks, " if len(names) > most else ""


def examples(table: pd.DataFrame, count: int) -> pd.DataFrame:
    """Return (image, label) of `count` images, the first of classes evenly spread over all; fewer if there are."""
    images = table[["image", "label"]].drop_duplicates("image").sort_values("image")
    first = images.drop_duplicates("label").sort_values("label")
    if len(first) < count:
        first = pd.concat([first, images.drop(first.index)])
    return first.iloc[np.unique(np.linspace(0, len(first) - 1, min(count, len(first))).round().astype(int))]


def class_said(label: float) -> str:
    """Return 'class 3', or that an image has no label (-1 or none)."""
    return f"class {int(label)}" if label >= 0 else "no label"


def as_array(row: pd.Series) -> np.ndarray:
    """Return the map in a row of a table, [rows, columns]."""
    return np.asarray(row["map"], dtype=np.float64).reshape(row["rows"], row["columns"])


def one_map(table: pd.DataFrame, **keys) -> np.ndarray:
    """Return the map [rows, columns] of the one row of `table` that has these `keys`, one NaN where none has."""
    rows = table[np.logical_and.reduce([table[name] == value for name, value in keys.items()])]
    return as_array(rows.iloc[0]) if len(rows) else np.full((1, 1), np.nan)


def share_of_largest(values: np.ndarray) -> np.ndarray:
    """Return a map as a share of its 99th percentile (or of its maximum where that is zero), within [0, 1]."""
    scale = np.percentile(values, 99) or values.max() or 1
    return np.clip(values / scale, 0, 1)


def show(axes: Axes, image: np.ndarray, values: np.ndarray | None = None) -> None:
    """Draw an intensity image in grey and, over it, a map of any resolution, the more opaque the larger it is.

    Of a map without values (NaN) that is written there, and of one that is zero everywhere a 0.
    """
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    extent = (0, 1, 1, 0)
    axes.imshow(image, cmap="gray", vmin=0, vmax=1 if values is None else 1.6, extent=extent, aspect="auto")
    if values is not None and np.isnan(values).all():
        axes.text(0.5, 0.5, "no value", color="white", ha="center", va="center", fontsize="xx-small")
    elif values is not None:
        share = share_of_largest(values)
        colors = colormaps[COLORS](share)
        colors[..., 3] = 0.92 * np.sqrt(share)
        axes.imshow(colors, extent=extent, aspect="auto", interpolation="nearest")
        if not values.any():
            axes.text(0.5, 0.5, "0", color="white", ha="center", va="center", fontsize="small")


def place(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Add axes at a distance from the figure's left and upper edge, in inches."""
    across, down = figure.get_size_inches()
    return figure.add_axes((left / across, 1 - (top + height) / down, width / across, height / down))


def name_at_left(axes: Axes, name: str) -> None:
    """Write a network's name beside the first of its panels, within NAMES."""
    text = textwrap.fill(label(name), 16)
    axes.set_ylabel(text, rotation=0, ha="right", va="center", fontsize="small")


def colorbar(figure: Figure) -> None:
    """Draw the scale of all maps at the lower edge."""
    across, down = figure.get_size_inches()
    axes = place(figure, across / 2 - 1, down - 0.34, 2, 0.07)
    figure.colorbar(ScalarMappable(cmap=COLORS), cax=axes, orientation="horizontal", ticks=[0, 0.5, 1])
    axes.tick_params(labelsize="x-small", length=2, pad=1)
    axes.set_xlabel("share of the map's own 99th percentile", fontsize="x-small", labelpad=1)


def title(figure: Figure, text: str) -> None:
    """Write a title of up to two lines at the upper edge."""
    figure.suptitle(text, fontsize="small", y=1 - 0.05 / figure.get_size_inches()[1], va="top")
