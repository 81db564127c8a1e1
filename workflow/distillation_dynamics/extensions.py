"""Readers, objectives, metrics, pair metrics, figures, questions: each is a file of its folder, known by its top.

The files are read, and not imported (that could import torch), so that what is misspelt in one of them is said before
any job runs. Imports no torch.
"""

import ast
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Annotated, Any, Literal, NamedTuple

from .errors import StudyError, did_you_mean, nearest
from .spec.keys import Key
from .syntax import defined

ROOT = Path(__file__).parent
# What else lies in a folder of extensions, and any module whose name begins with an underscore.
OTHERS = {
    "data/sources": {"__init__"},
    "objectives": {"__init__"},
    "metrics": {"__init__", "accumulator", "blocks", "keys", "permutation", "tabulated"},
    "metrics/pairs": {"__init__", "activations"},
    "figures": {"__init__"},
    "questions": {"__init__"},
}
OBJECTIVE_REQUIRES = ("labels", "teacher_logits", "teacher_features")
# Fields of outputs.Request, and of metrics/pairs/activations.Activations.
METRIC_REQUIRES = ("logits", "features", "prefix", "attention", "gradients", "lens", "pooled", "network")
PAIR_REQUIRES = ("logits", "pooled", "tokens", "grams")
FIGURE_REQUIRES = ("students", "teacher", "variants", "networks", "probes", "labels")
QUESTION_REQUIRES = ("students",)
# What the caption of a figure may name in braces; `paper.captions` says it of a study.
CAPTION_NAMES = ("students", "seeds", "images", "test_images", "teacher", "baseline")
# Kinds of columns -> the table that they are in, or the means of them.
TABLE_OF = {"IMAGE_COLUMNS": "scalars", "BLOCK_COLUMNS": "depth", "BIN_COLUMNS": "spectrum"}
PAIR_COLUMNS = ("PAIR_COLUMNS", "NETWORK_COLUMNS")
# What a metric may say of the images that it is measured on.
IMAGES = ("measure", "saliency", "compare")
# Options of every term, which an objective cannot have as its own.
TERM_OPTIONS = ("weight", "pairs", "reduction")
PRINT, SCREEN = ("pdf", "png"), ("gif",)


@dataclass(frozen=True)
class Option:
    """An option of an objective, by the words of a JSON schema; without a default it may be left out."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (as pydantic reads it)

    type: Annotated[Literal["number", "integer", "boolean", "string"], Key()]
    default: Any = None
    description: Annotated[str, Key()] = ""
    enum: Annotated[tuple[str, ...], Key()] = ()
    minimum: Annotated[float | None, Key()] = None
    exclusiveMinimum: Annotated[float | None, Key()] = None
    maximum: Annotated[float | None, Key()] = None
    exclusiveMaximum: Annotated[float | None, Key()] = None


class Objective(NamedTuple):
    """What an objective takes, and its options."""

    requires: str
    options: dict[str, Option]


class Metric(NamedTuple):
    """What a metric asks of a network, the tables and files that it writes, and which settings and images it takes.

    `files` may hold {block:02d}; `reference` is one of them, that of the reference network.
    """

    requires: tuple[str, ...]
    tables: tuple[str, ...]
    files: tuple[str, ...]
    options: tuple[str, ...]
    reference: str | None
    images: str

    @property
    def main_only(self) -> bool:
        """Whether it is measured on the main image set alone: it fills no table that metrics share."""
        return not set(self.tables) & set(TABLE_OF.values())

    def files_of(self, blocks: int) -> tuple[str, ...]:
        """Return the names of the files that it keeps of a network with so many blocks."""
        return tuple(
            name for file in self.files for name in dict.fromkeys(file.format(block=block) for block in range(blocks))
        )


class PairMetric(NamedTuple):
    """What a pair metric takes of the rows of two networks."""

    requires: tuple[str, ...]


class Figure(NamedTuple):
    """Tables that a figure is drawn from, metrics that must be measured for it, its formats, who must be there.

    `caption` says what it shows, its n, interval and control, with CAPTION_NAMES in braces; `shows` what it shows in a
    sentence, the first of its module.
    """

    tables: tuple[str, ...]
    metrics: tuple[str, ...]
    formats: tuple[str, ...]
    requires: tuple[str, ...]
    caption: str
    shows: str


class Question(NamedTuple):
    """What a question asks, its place in report and page, its own tables, and what its answer rests on.

    `sources`: tables that it is answered from, named below the answer with `figures`, and what would decide it.
    `reads`: tables of other stages, or of questions before it; `requires`: who must be in a study; `panel`: whether it
    has panels on the page; `paper`: its tables in a paper, None where it has no part in one.
    """

    title: str
    place: int
    tables: tuple[str, ...]
    sources: tuple[str, ...]
    figures: tuple[str, ...]
    decides: str
    reads: tuple[str, ...]
    requires: tuple[str, ...]
    panel: bool
    paper: tuple[str, ...] | None


@cache
def _options() -> Any:
    """Return what reads the options of an objective."""
    from pydantic import TypeAdapter

    return TypeAdapter(dict[str, Option])


def readers() -> dict[str, bool]:
    """Return the readers of images by name, with whether the data stage packs what they read; raise as `objectives`."""
    found = {}
    for file in _files("data/sources"):
        found[file.name] = file.value("PACKED")
        if not isinstance(found[file.name], bool):
            raise file.fault("PACKED", f"must be True or False, and not {found[file.name]!r}")
        for function in ("find", "contents", "count"):
            file.must_define(function, "function")
        file.must_define("Source", "class")
    return found


def objectives() -> dict[str, Objective]:
    """Return the objectives by name; raise StudyError with file and name where one cannot be used."""
    from .spec.faults import read

    found = {}
    for file in _files("objectives"):
        requires, options = file.value("REQUIRES"), file.value("OPTIONS")
        file.allow("REQUIRES", [requires], OBJECTIVE_REQUIRES)
        file.must_define("Loss", "class")
        try:
            options = read(_options(), options, "OPTIONS")
        except StudyError as error:
            raise StudyError("\n".join(f"{file.path}: {line}" for line in str(error).splitlines())) from error
        for name in set(options).intersection(TERM_OPTIONS):
            raise file.fault("OPTIONS", f"{name} is an option of every term; choose another name")
        found[file.name] = Objective(requires, options)
    return found


def metrics() -> dict[str, Metric]:
    """Return the metrics of single networks by name; raise StudyError as `objectives`."""
    from .spec.measure import Settings

    found = {}
    for file in _files("metrics"):
        shared = {table: None for kind, table in TABLE_OF.items() if kind in file.names}
        if "scalars" in shared:
            shared |= {"depth": None}
        metric = Metric(
            *(file.texts("REQUIRES"), (*shared, *file.keys("TABLES")), file.texts("FILES", ())),
            *(file.texts("OPTIONS", ()), file.value("REFERENCE", None), file.value("IMAGES", IMAGES[0])),
        )
        file.allow("REQUIRES", metric.requires, METRIC_REQUIRES)
        file.allow("OPTIONS", metric.options, [option.name for option in fields(Settings)])
        file.allow("REFERENCE", filter(None, [metric.reference]), metric.files)
        file.allow("IMAGES", [metric.images], IMAGES)
        file.must_define("Metric", "class")
        if shared and metric.images != IMAGES[0]:
            raise file.fault("IMAGES", f"columns of {', '.join(shared)} are of the images of {IMAGES[0]}; remove it")
        if not (metric.tables or metric.files):
            kinds = ", ".join((*TABLE_OF, "TABLES", "FILES"))
            raise StudyError(f"{file.path}: none of {kinds} is given; it must say which columns or files it writes")
        found[file.name] = metric
    return found


def pair_metrics() -> dict[str, PairMetric]:
    """Return the metrics of pairs of networks by name; raise StudyError as `objectives`."""
    found = {}
    for file in _files("metrics/pairs"):
        found[file.name] = PairMetric(file.texts("REQUIRES"))
        file.allow("REQUIRES", found[file.name].requires, PAIR_REQUIRES)
        file.must_define("compare", "function")
        if not set(PAIR_COLUMNS) & file.names.keys():
            raise StudyError(f"{file.path}: none of {', '.join(PAIR_COLUMNS)} is given; it must say what it fills")
    return found


def figures(tables: Iterable[str]) -> dict[str, Figure]:
    """Return the figures by name; `tables` are those that there are. Raises StudyError as `objectives`."""
    known, measured, found = sorted(tables), [*metrics(), *pair_metrics()], {}
    for file in _files("figures"):
        figure = Figure(
            *(file.texts("TABLES"), file.texts("METRICS", ()), file.texts("FORMATS", PRINT)),
            *(file.texts("REQUIRES", ()), file.value("CAPTION"), file.first_sentence()),
        )
        file.allow("TABLES", figure.tables, known)
        file.allow("METRICS", figure.metrics, measured)
        file.allow("FORMATS", figure.formats, SCREEN if figure.formats == SCREEN else PRINT)
        file.allow("REQUIRES", figure.requires, FIGURE_REQUIRES)
        file.allow("CAPTION", _named_in(file, figure.caption), CAPTION_NAMES)
        file.must_define("animate" if figure.formats == SCREEN else "draw", "function")
        found[file.name] = figure
    return found


def _named_in(file: "_File", caption: Any) -> list[str]:
    """Return what a caption names in braces; raise StudyError where it is no such text."""
    try:
        return [name for _, name, *_ in Formatter().parse(caption) if name is not None]
    except (TypeError, ValueError) as error:
        raise file.fault("CAPTION", f"must be a text, with names in braces, and not {caption!r}") from error


def questions(tables: Iterable[str] | None = None) -> dict[str, Question]:
    """Return the questions by name, in their order; raise StudyError as `objectives`.

    `tables` are those of other stages, which questions may read; None: what they read is not checked.
    """
    found: dict[str, Question] = {}
    files, drawn = sorted(_questions(), key=lambda file: _place(file)), [figure.name for figure in _files("figures")]
    for file in files:
        own = file.keys("TABLES")
        question = Question(
            *(file.value("TITLE"), _place(file), own, file.texts("SOURCES", own), file.texts("FIGURES", ())),
            *(file.value("DECIDES", ""), file.texts("READS", ()), file.texts("REQUIRES", ())),
            panel=file.has("panel.py"),
            paper=file.beside("paper.py").keys("TABLES") if file.has("paper.py") else None,
        )
        for name, text in (("TITLE", question.title), ("DECIDES", question.decides)):
            if not isinstance(text, str):
                raise file.fault(name, f"must be a text, and not {text!r}")
        for table in own:
            for other, one in found.items():
                if table in one.tables:
                    raise file.fault("TABLES", f"{table} is a table of the question {other}; choose another name")
        file.allow("FIGURES", question.figures, drawn)
        file.allow("REQUIRES", question.requires, QUESTION_REQUIRES)
        if own:
            file.must_define("tables", "function")
        _must_be_answered(file)
        if question.panel:
            file.beside("panel.py").must_define("panels", "function")
        found[file.name] = question
    every = [table for question in found.values() for table in question.tables]
    for file in files:
        file.allow("SOURCES", found[file.name].sources, every)
        if tables is not None:
            file.allow("READS", found[file.name].reads, [*tables, *every])
    return found


def _place(file: "_File") -> int:
    place = file.value("PLACE")
    if not isinstance(place, int) or isinstance(place, bool):
        raise file.fault("PLACE", f"must be a whole number, and not {place!r}")
    return place


def _must_be_answered(file: "_File") -> None:
    """Raise StudyError unless a question has the words of its answer, and what these are told."""
    folder = Path(file.path).parent
    for name in ("answer.md.j2", "answer.py"):
        if not file.has(name):
            raise StudyError(f"{folder / name}: does not exist; see the other folders of {folder.parent}")
    file.beside("answer.py").must_define("facts", "function")


def _questions() -> Iterator["_File"]:
    """Yield the folders of questions, each known by its `__init__.py`."""
    for path in sorted((ROOT / "questions").glob("*/__init__.py")):
        yield _File(os.path.relpath(path), path.parent.name, defined(path))


class _File(NamedTuple):
    path: str
    name: str
    names: dict[str, ast.AST]

    @property
    def neighbours(self) -> str:
        """What shows how it is written."""
        return f"the other files of {os.path.dirname(self.path)}"

    def has(self, name: str) -> bool:
        """Whether there is another file of that name in its folder."""
        return Path(self.path).with_name(name).is_file()

    def beside(self, name: str) -> "_File":
        """Another file of its folder."""
        path = Path(self.path).with_name(name)
        return _File(str(path), self.name, defined(path))

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

    def first_sentence(self) -> str:
        """The first paragraph of its docstring, in one line; its name without one."""
        return " ".join(self.value("__doc__", self.name).split("\n\n")[0].split())

    def keys(self, name: str) -> tuple[str, ...]:
        """The keys of what is assigned to a name, a dictionary whose keys are written out; none where it is not."""
        written = self.names.get(name)
        if written is None:
            return ()
        keys = written.keys if isinstance(written, ast.Dict) else [None]
        constants: list[Any] = [key.value for key in keys if isinstance(key, ast.Constant)]
        if len(constants) < len(keys):
            raise self.fault(name, "must be a dictionary with its keys written out, since the file is read and not run")
        return tuple(constants)

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
