"""The figures stage: draw one figure from study-level tables, as PDF and PNG. Imports no torch.

A figure without any value says so instead of failing the study.
"""

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from ..drawing.style import PAGE, TEXT, NoValue, Style, label
from ..errors import StudyError, at_fault, place_of, said_of
from ..files import read_table, replacing
from ..spec.tables import FiguresJob

# Format -> how it is saved: without metadata that would differ between runs; the default compression of PNG takes a
# third of the time of a figure, and makes files smaller by a tenth.
SAVED: dict[str, dict[str, Any]] = {
    ".pdf": {"metadata": {"CreationDate": None}},
    ".png": {"metadata": {"Software": None}, "pil_kwargs": {"compress_level": 1}},
}


def main(job: FiguresJob, gpus: int = 0) -> None:
    """Draw one figure; the files are equal, byte for byte, for equal tables.

    Raises StudyError if a table is unreadable.
    """
    style = Style(**job.options, names=job.names, classes=job.classes)
    style.apply()
    # A figure is one web of references, which lives until it is written: a garbage collection takes a fifth of the time
    # and frees nothing.
    gc.disable()
    try:
        _draw(job, style)
    finally:
        gc.enable()


def _draw(job: FiguresJob, style: Style) -> None:
    tables = {Path(path).stem: read_table(path) for table in job.tables for path in table.files}
    module = import_module(f"..figures.{job.figure}", __package__)
    files = [Path(path) for path in job.files]
    try:
        with _named(module, tables):
            figure = _checked(module.draw, module.draw(tables, style))
    except NoValue as error:
        figure = Figure(figsize=(PAGE, 1.0))
        figure.text(0.5, 0.5, f"{label(job.figure)}: {error}", ha="center", va="center", fontsize=TEXT, wrap=True)
    with _named(module, tables):
        save_figure(figure, files, style)


@contextmanager
def _named(module: ModuleType, tables: Mapping[str, pd.DataFrame]) -> Iterator[None]:
    """Raise an error of a figure as one sentence with file and line, and say if a column is in no table."""
    try:
        yield
    except (StudyError, OSError, MemoryError):
        raise
    except Exception as error:
        said = at_fault(error, module.__file__)
        known = {column for table in tables.values() for column in table}
        if isinstance(error, KeyError) and error.args and error.args[0] not in known:
            raise StudyError(f"{said}; none of its tables ({', '.join(tables)}) has such a column") from error
        raise said from error


def _checked(function: Callable[..., Any], returned: Any) -> Figure:
    """Return the result of a figure; raise StudyError if it is not a figure or is empty."""
    if not isinstance(returned, Figure):
        raise StudyError(f"{place_of(function)}: draw returned {said_of(returned)}; return a Figure of matplotlib")
    own = (returned.texts, returned.lines, returned.images, returned.patches)
    if not (any(own) or any(axes.has_data() or axes.texts or axes.tables for axes in returned.axes)):
        raise StudyError(f"{place_of(function)}: draw returned an empty figure; raise NoValue instead")
    return returned


def save_figure(figure: Figure, files: list[Path], style: Style) -> None:
    """Write a figure in the formats of the files' suffixes."""
    if figure.get_layout_engine() is not None:
        # Once for all formats: the layout takes as long as the drawing.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) if not axis.get_label_text()):
        # The position of an empty label would be computed from all ticks.
        axis.set_label_coords(0, 0)
    for path in files:
        with replacing(path) as temporary:
            figure.savefig(temporary, format=path.suffix[1:], dpi=style.dpi, **SAVED[path.suffix])
