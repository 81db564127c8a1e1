"""How alike are networks? Similarity of every two networks by three measures, next to that of their controls.

In: networks.parquet (the mean best match of a pair, `questions.networks`) and cka.parquet. Out: a column a measure, a
row a pair; below them CKA block by block, networks below the diagonal and their controls above it.
"""

from itertools import combinations
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..drawing.axis import few_ticks
from ..drawing.layout import Room, fitted, sheet
from ..drawing.style import PAGE, SMALL, NoValue, Style, first_of, label, need
from ..questions.networks import CONTROLS, NETWORKS, SEEDS, cka_column, kind_of, pairs_of, picture_of

TABLES = ("networks", "cka")
METRICS = ("cka",)
REQUIRES = ("networks",)
MOST = 8
# Column -> its name on the axis, and the column of what unrelated networks have.
MEASURES = {
    "cka": ("unbiased linear CKA", None),
    "neighbours": ("share of mutual\nnearest neighbours", "neighbours_chance"),
    "procrustes": ("Procrustes distance\n(small: alike)", "procrustes_shuffled"),
}
LOOKS: dict[str, dict[str, Any]] = {
    NETWORKS: {"marker": "o", "markerfacecolor": "black"},
    CONTROLS: {"marker": "o", "markerfacecolor": "white"},
    SEEDS: {"marker": "*", "markerfacecolor": "black"},
}
NAMED = {NETWORKS: "two networks", CONTROLS: "their controls", SEEDS: "two seeds of a network"}
# Inches: a row of a pair; a cell of the matrix at most. Share of a cell around its picture.
LINE, CELL, AROUND = 0.15, 0.95, 0.03
ROOM = Room(left=2.0, gap=0.2, between=0.6, above=0.1, below=0.1)
CAPTION = (
    "Similarity of every two networks: mean best match over blocks by unbiased linear CKA, mutual nearest neighbours "
    "and Procrustes distance, and CKA block by block; last epoch, without interval. Controls: the same pairs of each "
    "network's own controls, and the level of unrelated networks (dotted). Similarity is described, not tested."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw the pairs of up to MOST networks; raise NoValue where no two networks were compared."""
    found, cka = need(tables, "networks", "network"), need(tables, "cka", "cka_images")
    names = style.names
    found = found[found["kind"].isin(LOOKS)]
    compared = {*found["network"], *found["other"]} & set(names.networks)
    if not compared:
        raise NoValue("no two networks were compared")
    shown, left_out = first_of([name for name in names.ordered if name in compared], MOST, "networks")
    pairs = list(combinations(shown, 2))
    measures = {column: text for column, text in MEASURES.items() if found[column].notna().any()}
    pictures = _pictures(cka, shown, style)
    side = min(CELL, (PAGE - ROOM.left - 0.9) / len(shown))
    heights = [LINE * (len(pairs) + 1), side * len(shown)]
    images = int(found["images"].max())
    title = f"How alike are networks? (n = {images:,} images{'; ' * bool(left_out)}{left_out})"
    figure, panels = sheet(2, len(measures), heights, title, _note(found), ROOM)
    said = [fitted(f"{label(one)} \N{EN DASH} {label(other)}", ROOM.left - 0.12, lines=1) for one, other in pairs]
    for axes, (column, (text, chance)) in zip(panels[0], measures.items(), strict=True):
        _dots(axes, found, column, chance, pairs, style)
        axes.set(xlabel=text, ylim=(len(pairs) - 0.4, -0.6))
        axes.set_yticks(range(len(pairs)), said if axes is panels[0, 0] else [])
    for axes in panels[1, 1:]:
        axes.set_visible(False)
    _matrix(figure, panels[1, 0], pictures, shown, side, style)
    handles, texts = panels[0, 0].get_legend_handles_labels()
    beside: Any = {"loc": "upper left", "bbox_to_anchor": (0, panels[1, 0].get_position().y1)}
    figure.legend(handles, texts, handletextpad=0.2, borderaxespad=0, **beside)
    return figure


def _dots(
    axes: Axes, found: pd.DataFrame, column: str, chance: str | None, pairs: list[tuple[str, str]], style: Style
) -> None:
    """Draw one measure: a row a pair, with the two networks and their controls, and the level of unrelated ones."""
    values = {frozenset((row["network"], row["other"])): row for row in found.to_dict("records")}
    drawn: dict[str, list[tuple[float, int]]] = {kind: [] for kind in LOOKS}
    for row, (one, other) in enumerate(pairs):
        for members in ((one, other), (style.names.controls.get(one), style.names.controls.get(other))):
            if (pair := values.get(frozenset(members))) is not None and np.isfinite(pair[column]):
                drawn[pair["kind"]].append((pair[column], row))
    for kind, points in drawn.items():
        if points:
            x, y = zip(*points, strict=True)
            size = 6 if kind == SEEDS else 4
            axes.plot(x, y, linestyle="none", color="black", markersize=size, mew=0.8, label=NAMED[kind], **LOOKS[kind])
    axes.grid(axis="y", linewidth=0.3)
    if chance is not None and found[chance].notna().any():
        axes.axvline(found[chance].mean(), color="0.4", linewidth=0.8, linestyle=":")
    few_ticks(axes, 5, axis="x")


def _pictures(cka: pd.DataFrame, shown: list[str], style: Style) -> dict[tuple[str, str], np.ndarray]:
    """Return (rows, columns) -> CKA of the blocks of every pair of networks or controls that has any, both ways."""
    members = {*shown, *(style.names.controls.get(name) for name in shown)}
    pairs = pairs_of(cka[cka["network"].isin(members) & cka["other"].isin(members)], style.names)
    column = cka_column(pairs)
    known: dict[tuple[str, str], np.ndarray] = {}
    for (first, second), rows in pairs.items():
        picture = picture_of(rows, column)
        if kind_of(first, second, style.names) in LOOKS and np.isfinite(picture).any():
            known |= {(first, second): picture, (second, first): picture.T}
    return known


def _matrix(
    figure: Figure, axes: Axes, pictures: dict[tuple[str, str], np.ndarray], shown: list[str], side: float, style: Style
) -> None:
    """Draw the pictures of all pairs into one panel of cells, networks below the diagonal and controls above it."""
    width, height = figure.get_size_inches()
    count, place = len(shown), axes.get_position()
    left = ROOM.left / width
    axes.set_position((left, place.y0, side * count / width, side * count / height))
    values = np.concatenate([picture.ravel() for picture in pictures.values()]) if pictures else np.zeros(1)
    norm = mpl.colors.Normalize(float(np.nanmin(values)), float(np.nanmax(values)))
    colors: Any = {"norm": norm, "cmap": mpl.colormaps["viridis"].with_extremes(bad="0.85")}
    for row, down in enumerate(shown):
        for column, across in enumerate(shown):
            if row == column:
                name = fitted(label(down), side - 0.04, lines=3)
                axes.text(column + 0.5, row + 0.5, name, ha="center", va="center", fontsize=SMALL)
                continue
            controls = style.names.controls
            pair: Any = (down, across) if row > column else (controls.get(down), controls.get(across))
            if pair in pictures:
                # The first block is at the lower left corner.
                extent = column + AROUND, column + 1 - AROUND, row + 1 - AROUND, row + AROUND
                axes.imshow(pictures[pair], origin="lower", extent=extent, interpolation="nearest", **colors)
            else:
                axes.text(column + 0.5, row + 0.5, "not\ncompared", ha="center", va="center", fontsize=SMALL)
    axes.set(xlim=(0, count), ylim=(count, 0), aspect="auto")
    axes.set_axis_off()
    if pictures:
        box = left + (side * count + 0.15) / width, place.y0, 0.1 / width, side * count / height
        bar = figure.colorbar(mpl.cm.ScalarMappable(**colors), cax=figure.add_axes(box))
        bar.set_label("CKA block by block")
        bar.outline.set_visible(False)


def _note(found: pd.DataFrame) -> str:
    """Return what marks and matrix show."""
    seeds = (found["kind"] == SEEDS).any()
    ceiling = " Star: the ceiling." if seeds else " No network has a second seed, so there is no ceiling."
    return (
        "Above: mean best match over blocks; dotted: unrelated networks. Below: CKA of every block (first at the lower "
        f"left), networks below the diagonal, their controls above it.{ceiling}"
    )
