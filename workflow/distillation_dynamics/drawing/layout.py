"""Where everything stands on a printed page: title, panels, legends and note, placed by hand in inches.

Panels keep their size whatever stands around them, so that no text covers another, and nothing waits for a layout
engine, which takes half a minute for many panels.
"""

import math
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .style import PAGE, SMALL, TEXT, TITLE

# Inches from the edge, of a line of the title and of the note, between the parts, and of a row of a legend.
EDGE, TITLE_LINE, NOTE_LINE, APART, ROW = 0.07, 0.155, 0.118, 0.08, 0.118
# Inches at the left of rows that carry names.
NAMES = 1.36
# Of a legend: inches for the line before a name. Widths of letters, as shares of the size of the text.
IN_FRONT, WIDTH = 0.38, 0.62


@dataclass(frozen=True)
class Room:
    """Inches around panels.

    `left` and `right` of all of them; `gap` between columns and `between` between rows; `above` the first row (titles
    of columns), `below` the last one (ticks, labels); `legend`: rows of the legend under that.
    """

    left: float = 0.78
    right: float = 0.1
    gap: float = 0.3
    between: float = 0.2
    above: float = 0.2
    below: float = 0.36
    legend: int = 0

    def with_legend(self, rows: int) -> "Room":
        """Return the same room with so many rows of a legend."""
        return replace(self, legend=rows)


def letters(inches: float, size: float = SMALL) -> int:
    """Return how many letters of text of a `size` [points] fit into a width in any case."""
    return max(1, int(inches * 72 / (size * WIDTH)))


def fitted(text: str, inches: float, size: float = SMALL, lines: int | None = None) -> str:
    """Return text in lines that are no wider than so many inches; of more than `lines` the middle is left out."""
    width = letters(inches, size)
    shown, kept = _filled(text, width), len(text)
    while lines is not None and shown.count("\n") >= lines and kept > 2:
        kept -= 1
        shown = _filled(f"{text[: (kept + 1) // 2]}\N{HORIZONTAL ELLIPSIS}{text[len(text) - kept // 2 :]}", width)
    return shown


def heads(title: str, note: str) -> tuple[str, str]:
    """Return a figure's title and note in lines as wide as a page; they hold words with few wide letters."""
    return fitted(title, PAGE, 0.92 * TITLE), fitted(note, PAGE - EDGE, 0.93 * SMALL)


def _filled(text: str, width: int) -> str:
    return "\n".join(textwrap.fill(line, width) for line in text.splitlines())


def put_heads(figure: Figure, title: str, note: str) -> None:
    """Write title and note, in lines as `heads` makes them, into a figure a page wide."""
    height = figure.get_figheight()
    figure.suptitle(title, x=EDGE / PAGE, y=1 - EDGE / height, ha="left", va="top")
    figure.text(EDGE / PAGE, EDGE / height, note, gid="note", ha="left", va="bottom", fontsize=SMALL, color="0.25")


def sheet(
    down: int, across: int, height: float | list[float], title: str, note: str = "", room: Room | None = None,
    **grid: Any,
) -> tuple[Figure, np.ndarray]:  # fmt: skip
    """Return a figure a page wide and its panels [down, across], each of a `height` (or each row of its own) [inches].

    `title` stands above them, a line if it can be; `note` below: what bands, controls and marks are. `grid` goes to
    `Figure.subplots` (`sharex`, `width_ratios`, ...).
    """
    room = room or Room()
    heights = [height] * down if isinstance(height, int | float) else height
    title, note = heads(title, note)
    top = EDGE + TITLE_LINE * (1 + title.count("\n")) + room.above
    bottom = EDGE + (NOTE_LINE * (1 + note.count("\n")) + APART if note else 0) + ROW * room.legend + room.below
    total = top + (sum(heights) + room.between * (down - 1)) + bottom
    width = (PAGE - room.left - room.right - room.gap * (across - 1)) / across
    spec = {
        "left": room.left / PAGE, "right": 1 - room.right / PAGE, "top": 1 - top / total, "bottom": bottom / total,
        "wspace": room.gap / width, "hspace": room.between * down / sum(heights), "height_ratios": heights,
    }  # fmt: skip
    figure = Figure(figsize=(PAGE, total))
    put_heads(figure, title, note)
    return figure, figure.subplots(down, across, squeeze=False, gridspec_kw=spec, **grid)


def name_below(figure: Figure, panels: np.ndarray, text: str, below: float, middle: float = PAGE / 2) -> None:
    """Name what all panels have across, `below` inches under them, around a `middle` [inches]."""
    lower = panels[-1, 0].get_position().y0
    figure.supxlabel(text, x=middle / PAGE, y=lower - below / figure.get_figheight(), va="top")


def note_of(figure: Figure) -> str:
    """Return the note under a figure, its lines as one; empty without."""
    return " ".join(text.get_text().replace("\n", " ") for text in figure.texts if text.get_gid() == "note")


def inches_of(axes: Axes) -> tuple[float, float]:
    """Return width and height of a panel."""
    assert isinstance(axes.figure, Figure)
    width, height = axes.figure.get_size_inches()
    box = axes.get_position()
    return box.width * width, box.height * height


def legend_rows(names: Iterable[str], across: int) -> int:
    """Return how many rows a legend of the `names` has under all panels (`across` of its columns at most)."""
    names = list(names)
    return math.ceil(len(names) / _columns(names, across)) if names else 0


def legend_below(figure: Figure, axes: Axes | Iterable[Axes], across: int, above: float) -> None:
    """Put one legend of all that is labelled in `axes` (one or several) under the panels, `above` inches below them."""
    handles = _handles(np.asarray(axes).ravel())
    lowest = min(one.get_position(original=True).y0 for one in figure.axes)
    figure.legend(
        handles.values(), handles.keys(), loc="upper center", ncols=_columns(list(handles), across),
        bbox_to_anchor=(0.5, lowest - above / figure.get_size_inches()[1]), **_legend_look(),
    )  # fmt: skip


def names_below(columns: Mapping[Axes, Iterable[Axes]], above: float, gap: float) -> None:
    """Put a legend of its own under each lowest panel: of all that is labelled in the panels of its column.

    `above`: inches between panel and legend; `gap`: inches between columns, which long names may use.
    """
    for lowest, panels in columns.items():
        width, height = inches_of(lowest)
        handles = _handles(panels)
        texts = [fitted(text, width + gap - IN_FRONT) for text in handles]
        lowest.legend(
            handles.values(), texts, loc="upper left", bbox_to_anchor=(0, -above / height), **_legend_look()
        )  # fmt: skip


def rows_below(names: Iterable[str], width: float) -> int:
    """Return how many rows `names` take in a legend of `names_below` that is so many inches wide."""
    return sum(1 + fitted(text, width - IN_FRONT).count("\n") for text in names)


def _handles(panels: Iterable[Axes]) -> dict[str, Any]:
    handles: dict[str, Any] = {}
    for one in panels:
        for handle, text in zip(*one.get_legend_handles_labels(), strict=True):
            handles.setdefault(text, handle)
    return handles


def _columns(names: list[str], across: int) -> int:
    widest = max(map(len, names), default=0)
    return min(across, max(1, int((PAGE - 2 * EDGE) / (IN_FRONT + 0.12 + widest * SMALL * WIDTH / 72))))


def _legend_look() -> dict[str, Any]:
    return {
        "handlelength": 2.9, "handletextpad": 0.5, "columnspacing": 1.2, "borderpad": 0, "borderaxespad": 0,
        "labelspacing": (ROW * 72 - SMALL * 1.16) / SMALL,
    }  # fmt: skip


def column_title(axes: Axes, text: str, up: float = 0.0) -> None:
    """Write the title of a column of panels above the first of them, `up` points above where a title stands."""
    axes.annotate(
        text, (0, 1), xycoords="axes fraction", xytext=(0, 3 + up), textcoords="offset points", ha="left", va="bottom",
        fontsize=TEXT, annotation_clip=False,
    )  # fmt: skip
