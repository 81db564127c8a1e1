"""Objectives, metrics and figures: each is a file of its folder, known by what it says at its top.

The files are read, and not imported (that could import torch), so that what is misspelt in one of them is said before
any job runs. Imports no torch.
"""

import ast
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from .errors import StudyError, did_you_mean, nearest
from .sources import defined

ROOT = Path(__file__).parent
# What else lies in a folder of extensions, and any module whose name begins with an underscore.
OTHERS = {
    "objectives": {"__init__"},
    "metrics": {"__init__", "accumulator", "agreement", "blocks", "cka", "permutation", "saliency", "stage"},
    "figures": {"__init__", "maps", "profiles", "stage", "style"},
}
OBJECTIVE_NEEDS = ("labels", "teacher_logits", "teacher_features")
METRIC_NEEDS = ("features", "gradients", "attention")
COLUMNS = ("IMAGE_COLUMNS", "BLOCK_COLUMNS", "BIN_COLUMNS")
# Options of every term, which an objective cannot have as its own.
TERM_OPTIONS = ("weight", "pairs", "reduction")
PRINT, SCREEN = ("pdf", "png"), ("gif",)


class Objective(NamedTuple):
    """What an objective takes, and its options as JSON Schemas."""

    needs: str
    options: dict[str, dict[str, Any]]


class Figure(NamedTuple):
    """Tables that a figure is drawn from, metrics that must have been measured for it, and its formats."""

    tables: tuple[str, ...]
    metrics: tuple[str, ...]
    formats: tuple[str, ...]


def objectives() -> dict[str, Objective]:
    """Return the objectives by name; raise StudyError with file and name where one cannot be used."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    found = {}
    for file in _files("objectives"):
        needs, options = file.value("NEEDS"), file.value("OPTIONS")
        file.allow("NEEDS", [needs], OBJECTIVE_NEEDS)
        file.must_define("Loss", "class")
        try:
            Draft202012Validator.check_schema({"properties": options})
        except SchemaError as error:
            place = ".".join(map(str, list(error.path)[1:]))
            raise file.fault("OPTIONS", f"{place or options} is no JSON Schema ({error.message})") from error
        for name in set(options).intersection(TERM_OPTIONS):
            raise file.fault("OPTIONS", f"{name} is an option of every term; choose another name")
        found[file.name] = Objective(needs, options)
    return found


def metrics() -> dict[str, str]:
    """Return the metrics of single networks by name, with what each takes of one; raise StudyError as `objectives`."""
    found = {}
    for file in _files("metrics"):
        needs = file.value("NEEDS")
        file.allow("NEEDS", [needs], METRIC_NEEDS)
        file.must_define("Metric", "class")
        if not file.names.keys() & set(COLUMNS):
            raise StudyError(f"{file.path}: none of {', '.join(COLUMNS)} is given; it must say which columns it fills")
        found[file.name] = needs
    return found


def figures(tables: Iterable[str]) -> dict[str, Figure]:
    """Return the figures by name; `tables` are those that there are. Raises StudyError as `objectives`."""
    known, measured, found = sorted(tables), list(metrics()), {}
    for file in _files("figures"):
        figure = Figure(file.texts("TABLES"), file.texts("METRICS", ()), file.texts("FORMATS", PRINT))
        file.allow("TABLES", figure.tables, known)
        file.allow("METRICS", figure.metrics, measured)
        file.allow("FORMATS", figure.formats, SCREEN if figure.formats == SCREEN else PRINT)
        file.must_define("animate" if figure.formats == SCREEN else "draw", "function")
        found[file.name] = figure
    return found


class _File(NamedTuple):
    path: str
    name: str
    names: dict[str, ast.AST]

    @property
    def neighbours(self) -> str:
        """What shows how it is written."""
        return f"the other files of {os.path.dirname(self.path)}"

    def fault(self, name: str, what: str) -> StudyError:
        return StudyError(f"{self.path}: {name}: {what}")

    def value(self, name: str, *default: Any) -> Any:
        """What is assigned to a name, a literal; without a default it must be."""
        if name not in self.names:
            if default:
                return default[0]
            raise self.fault(name, f"is not given; {did_you_mean(name, self.names)}see {self.neighbours}")
        try:
            return ast.literal_eval(self.names[name])
        except ValueError as error:
            raise self.fault(name, "must be written as a plain value, since the file is read and not run") from error

    def texts(self, name: str, *default: tuple[str, ...]) -> tuple[str, ...]:
        value = self.value(name, *default)
        if not (isinstance(value, tuple | list) and all(isinstance(text, str) for text in value)):
            raise self.fault(name, f"must be a tuple of names, and not {value!r}")
        return tuple(value)

    def allow(self, name: str, values: Iterable[Any], allowed: Iterable[str]) -> None:
        for value in values:
            if value not in allowed:
                raise self.fault(name, f"{value!r} is not possible; {nearest(str(value), tuple(allowed))}")

    def must_define(self, name: str, kind: str) -> None:
        if name not in self.names:
            question = did_you_mean(name, self.names)
            raise StudyError(f"{self.path}: there is no {kind} {name}; {question}see {self.neighbours}")


def _files(folder: str) -> Iterator[_File]:
    for path in sorted((ROOT / folder).glob("*.py")):
        if path.stem not in OTHERS[folder] and not path.stem.startswith("_"):
            yield _File(os.path.relpath(path), path.stem, defined(path))
