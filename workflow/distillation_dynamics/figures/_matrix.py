"""What the figures of networks beside each other share: a matrix of pictures, block by block, for every pair.

Below the diagonal stand the networks, above it their controls in the mirrored place, both on one colour scale; the
number over a picture is its mean best match (`questions.networks`).
"""

from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..drawing.layout import EDGE, NOTE_LINE, TITLE_LINE, fitted, heads, inches_of, put_heads
from ..drawing.style import PAGE, SMALL, NoValue, Style, first_of, label
from ..questions.networks import CONTROLS, NETWORKS, SEEDS, best_match, kind_of, pairs_of, picture_of

# Networks side by side that are still readable on a page.
MOST = 8
# Inches: margins, the largest side of a panel, and the share of a panel between two.
LEFT, RIGHT, TOP, BOTTOM, LARGEST, GAP = 0.5, 0.75, 0.3, 0.4, 1.5, 0.28


class Scale(NamedTuple):
    """How a measure is drawn: its name on the scale, its colours and limits, and whether the largest is most alike."""

    text: str
    colors: str
    low: float | None
    high: float | None
    largest: bool = True


Pictures = dict[frozenset[str], tuple[str, np.ndarray]]


def compared(table: pd.DataFrame, column: str, style: Style) -> list[str]:
    """Return the networks that have a value of `column` beside another one; raise NoValue where none has."""
    known = table[table[column].notna() & (table["network"] != table["other"])]
    both = known["network"].isin(style.names.networks) & known["other"].isin(style.names.networks)
    found = {*known.loc[both, "network"], *known.loc[both, "other"]}
    if not found:
        raise NoValue("no two networks were compared")
    return [name for name in style.names.ordered if name in found]


def rows_of(table: pd.DataFrame, shown: list[str], style: Style) -> pd.DataFrame:
    """Return the rows of a table of pairs that hold the networks `shown` and their controls beside each other."""
    members = {*shown, *(style.names.controls.get(name) for name in shown)}
    return table[table["network"].isin(members) & table["other"].isin(members)]


def pictures_of(table: pd.DataFrame, column: str, style: Style) -> Pictures:
    """Return {network, other} -> (the one whose blocks are rows, picture), for pairs of networks and of controls.

    Those without any value are left out.
    """
    found = {}
    for (first, second), rows in pairs_of(table, style.names).items():
        picture = picture_of(rows, column)
        if kind_of(first, second, style.names) in (NETWORKS, SEEDS, CONTROLS) and np.isfinite(picture).any():
            found[frozenset((first, second))] = first, picture
    return found


def oriented(pictures: Pictures, down: str | None, across: str | None) -> np.ndarray | None:
    """Return the picture of a pair with the blocks of `down` as rows; None where it was not compared."""
    if down is None or across is None or frozenset((down, across)) not in pictures:
        return None
    first, picture = pictures[frozenset((down, across))]
    return picture if first == down else picture.T


def draw_matrix(table: pd.DataFrame, column: str, scale: Scale, said: str, style: Style) -> Figure:
    """Draw `column` of a table of pairs for all networks; `said` is what the title says of images and rows.

    Raises NoValue where no pair of two networks has a value.
    """
    names, controls = style.names, style.names.controls
    shown, left_out = first_of(compared(table, column, style), MOST, "networks")
    known = pictures_of(rows_of(table, shown, style), column, style)
    count = len(shown)
    values = np.concatenate([picture.ravel() for _, picture in known.values()])
    # Of a measure without own limits the scale spans what there is.
    low = np.nanmin(values) if scale.low is None else min(scale.low, np.nanmin(values))
    high = np.nanmax(values) if scale.high is None else scale.high
    mapped = mpl.cm.ScalarMappable(
        mpl.colors.Normalize(low, high), mpl.colormaps[scale.colors].with_extremes(bad="0.85")
    )
    title, note = heads("; ".join(filter(None, (said, left_out))), _reading(style, known))
    top = EDGE + TITLE_LINE * (1 + title.count("\n")) + TOP
    bottom = EDGE + NOTE_LINE * (1 + note.count("\n")) + BOTTOM
    side = min((PAGE - LEFT - RIGHT) / count, LARGEST)
    height = top + bottom + side * count
    figure = Figure(figsize=(PAGE, height))
    panels = figure.subplots(
        count, count, squeeze=False,
        gridspec_kw={"left": LEFT / PAGE, "right": (LEFT + side * count) / PAGE, "top": 1 - top / height,
                     "bottom": bottom / height, "wspace": GAP, "hspace": GAP},
    )  # fmt: skip
    for row, down in enumerate(shown):
        for place, across in enumerate(shown):
            axes = panels[row, place]
            if row == place:
                _name(axes, down, known)
                continue
            above = place > row
            pair = (controls.get(down), controls.get(across)) if above else (down, across)
            _picture(axes, oriented(known, *pair), mapped, scale.largest)
            if not above and kind_of(down, across, names) == SEEDS:
                axes.set_title(f"{axes.get_title()} *", fontsize=SMALL, pad=2)
            axes.tick_params(labelleft=place == 0, labelbottom=row == count - 1)
    beside = (LEFT + side * count + 0.12) / PAGE, bottom / height, 0.1 / PAGE, side * count / height
    bar = figure.colorbar(mapped, cax=figure.add_axes(beside))
    bar.set_label(scale.text)
    bar.outline.set_visible(False)
    middle = (LEFT + side * count / 2) / PAGE
    figure.supxlabel("block of the network of the column", x=middle, y=(bottom - 0.2) / height, va="top")
    figure.supylabel("block of the network of the row", x=0.06 / PAGE, ha="left")
    put_heads(figure, title, note)
    return figure


def _reading(style: Style, known: Pictures) -> str:
    """Return what stands where, and whether anything tells how far a number can come."""
    kinds = {kind_of(first, second, style.names) for first, second in known}
    above = "above it: their controls in the mirrored place" if CONTROLS in kinds else "no controls were compared"
    return f"Below the diagonal: networks; {above}. Numbers: mean best match over blocks. " + (
        "*: two seeds of one network, the ceiling."
        if SEEDS in kinds
        else "No network has a second seed: there is no ceiling."
    )


def _name(axes: Axes, name: str, known: Pictures) -> None:
    axes.set_axis_off()
    blocks = next(
        len(picture) if first == name else picture.shape[1] for pair, (first, picture) in known.items() if name in pair
    )
    text = f"{fitted(label(name), inches_of(axes)[0], lines=3)}\n{blocks} block{'s' * (blocks != 1)}"
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", fontsize=SMALL)


def _picture(axes: Axes, picture: np.ndarray | None, colors: mpl.cm.ScalarMappable, largest: bool) -> None:
    axes.tick_params(length=2, pad=1)
    if picture is None:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        axes.text(0.5, 0.5, "not\ncompared", transform=axes.transAxes, ha="center", va="center", fontsize=SMALL)
        return
    # To matplotlib's types a scale may be without limits.
    norm: Any = colors.norm
    axes.imshow(picture, norm=norm, cmap=colors.cmap, aspect="auto", origin="lower", interpolation="nearest")
    for axis, blocks in ((axes.yaxis, len(picture)), (axes.xaxis, picture.shape[1])):
        axis.set_ticks(sorted({0, blocks - 1}))
    axes.set_title(f"{best_match(picture, largest):.2f}", fontsize=SMALL, pad=2)
