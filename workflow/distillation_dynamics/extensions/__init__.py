"""Extensions: readers, objectives, architectures, metrics, figures, questions, claims. Each is a file in its folder.

Files are read, not imported (which might import torch), so that typos are reported before any job runs. Imports no
torch.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from string import Formatter

from ..data.source import READER_KEYS
from ..errors import StudyError
from ..spec.tables import WHO
from ..spec.teacher_outputs import BY_BLOCK, WHOLE
from ..spec.training import TEACHER
from ..syntax import defined
from .file import File
from .kinds import (
    OF_BATCH,
    OF_BLOCK,
    OF_NETWORK,
    OF_PAIR,
    TABLE_OF,
    Architecture,
    Claim,
    Figure,
    Metric,
    Objective,
    Question,
    Target,
)
from .options import options_of

ROOT = Path(__file__).parent.parent
# Other entries in a folder of extensions, besides modules with a leading underscore.
OTHERS = {
    "metrics": {"accumulator", "blocks", "keys", "permutation", "tabulated"},
    "metrics/pairs": {"activations"},
    "questions/claims": {"answer", "panel", "paper"},
}
# Values that a target may give for the teacher's weights and blocks.
TARGET_WEIGHTS, TARGET_BLOCKS = ("trained", "untrained"), ("given", "reversed")
# Requirements on a model known to networks.protocol.
ARCHITECTURE_REQUIRES = ("class_token", "plain", "talking_heads")
# Fields of outputs.Request, and of metrics/pairs/activations.Activations.
METRIC_REQUIRES = ("logits", "features", "prefix", "attention", "gradients", "lens", "pooled", "network")
PAIR_REQUIRES = ("logits", "pooled", "tokens", "grams")
FIGURE_REQUIRES = ("students", "teacher", "variants", "networks", "probes", "classes", "labels")
QUESTION_REQUIRES = ("students",)
# Names in braces that a figure's caption may use; `paper.captions` fills them in.
CAPTION_NAMES = ("students", "seeds", "images", "test_images", "teacher", "baseline")
PAIR_COLUMNS = ("PAIR_COLUMNS", "NETWORK_COLUMNS")
# Image sets that a metric may be restricted to.
IMAGES = ("measure", "saliency", "compare")
# Options of every term, whose names an objective cannot use.
TERM_OPTIONS = ("objective", "weight", "course", "target", "teacher", "pairs", "moves", "reduction")


def readers() -> dict[str, bool]:
    """Return the image readers by name, with whether the data stage packs their images; raise as `objectives`."""
    found = {}
    for file in _files("data/sources"):
        found[file.name] = file.of_type("PACKED", bool)
        file.texts("OPTIONS", READER_KEYS, default=())
        file.must_define("find", "contents", "count", "Source")
    return found


def objectives() -> dict[str, Objective]:
    """Return the objectives by name; raise StudyError with file and name if one is unusable."""
    found = {}
    for file in _files("objectives"):
        if file.name in WHO:
            raise StudyError(f"{file.path}: {file.name} is a key of every variant; choose another name")
        takes, options = file.parameters("Loss", "forward"), options_of(file, TERM_OPTIONS, "every term")
        file.allow("forward", takes, (*OF_BATCH, OF_PAIR, *OF_NETWORK, *OF_BLOCK))
        found[file.name] = objective = Objective(takes, options, file.first_sentence())
        if not any(name.startswith("student_") for name in takes):
            raise file.fault("forward", "takes nothing of the student; give it something, such as student_logits")
        if OF_PAIR in takes and not objective.by_block:
            raise file.fault("forward", f"takes {OF_PAIR}, but nothing of a block; remove it")
    return found


def targets() -> dict[str, Target]:
    """Return the null targets by name; raise StudyError as `objectives`."""
    found = {TEACHER: Target((*WHOLE, *BY_BLOCK), *(TARGET_WEIGHTS[0], TARGET_BLOCKS[0]))}
    for file in _files("targets"):
        file.must_give_one_of(("target", "WEIGHTS", "BLOCKS"), "null target")
        found[file.name] = Target(
            file.texts("KINDS", (*WHOLE, *BY_BLOCK), (*WHOLE, *BY_BLOCK)),
            file.one("WEIGHTS", TARGET_WEIGHTS, TARGET_WEIGHTS[0]),
            file.one("BLOCKS", TARGET_BLOCKS, TARGET_BLOCKS[0]),
        )
    return found


def architectures() -> dict[str, Architecture]:
    """Return the architectures by name; raise StudyError as `objectives`."""
    found = {}
    for file in _files("networks/architectures"):
        file.texts("REQUIRES", ARCHITECTURE_REQUIRES, default=())
        options = options_of(file)
        (_, *given), required = file.arguments("modify")
        file.allow("OPTIONS", options, given)
        file.allow("modify", given, options)
        if file.of_the_library:
            raise file.fault(
                "modify", "the file imports from the library, but must be loaded without it; write it there"
            )
        without = tuple(name for name in required if name in options and options[name].default is None)
        found[file.name] = Architecture(options, without, file.first_sentence())
    return found


def metrics() -> dict[str, Metric]:
    """Return the single-network metrics by name; raise StudyError as `objectives`."""
    from ..spec.measure import Settings

    found, settings = {}, [option.name for option in fields(Settings)]
    for file in _files("metrics"):
        shared = [table for kind, table in TABLE_OF.items() if kind in file.names]
        if "scalars" in shared:
            shared.append("depth")
        requires, files = file.texts("REQUIRES", METRIC_REQUIRES), file.texts("FILES", default=())
        metric = Metric(
            requires=requires,
            tables=tuple(dict.fromkeys([*shared, *file.keys("TABLES")])),
            files=files,
            options=file.texts("OPTIONS", settings, default=()),
            reference=file.one("REFERENCE", files, None),
            images=file.one("IMAGES", IMAGES, IMAGES[0]),
        )
        file.must_define("Metric")
        if shared and metric.images != IMAGES[0]:
            columns = ", ".join(dict.fromkeys(shared))
            raise file.fault("IMAGES", f"columns of {columns} are of the images of {IMAGES[0]}; remove it")
        if not (metric.tables or metric.files):
            file.must_give_one_of((*TABLE_OF, "TABLES", "FILES"), "which columns or files it writes")
        found[file.name] = metric
    return found


def pair_metrics() -> dict[str, tuple[str, ...]]:
    """Return the pair metrics by name, with their inputs; raise StudyError as `objectives`."""
    found = {}
    for file in _files("metrics/pairs"):
        found[file.name] = file.texts("REQUIRES", PAIR_REQUIRES)
        file.must_define("compare")
        file.must_give_one_of(PAIR_COLUMNS, "what it fills")
    return found


def figures(tables: Iterable[str]) -> dict[str, Figure]:
    """Return the figures by name; `tables` are the existing tables. Raises StudyError as `objectives`."""
    known, measured, found = sorted(tables), [*metrics(), *pair_metrics()], {}
    for file in _files("figures"):
        file.must_define("draw")
        caption = file.value("CAPTION")
        try:
            named = [name for _, name, *_ in Formatter().parse(caption) if name is not None]
        except (TypeError, ValueError) as error:
            raise file.fault("CAPTION", f"must be a text, with names in braces, and not {caption!r}") from error
        file.allow("CAPTION", named, CAPTION_NAMES)
        found[file.name] = Figure(
            tables=file.texts("TABLES", known),
            metrics=file.texts("METRICS", measured, default=()),
            requires=file.texts("REQUIRES", FIGURE_REQUIRES, default=()),
            caption=caption,
            shows=file.first_sentence(),
        )
    return found


def questions(tables: Iterable[str] | None = None) -> dict[str, Question]:
    """Return the questions by name, in order; raise StudyError as `objectives`.

    `tables`: those of other stages, which questions may read; None: not checked.
    """
    found: dict[str, Question] = {}
    owners: dict[str, str] = {}
    drawn = [figure.name for figure in _files("figures")]
    files = sorted(_files("questions", "*/__init__.py"), key=lambda file: file.of_type("PLACE", int))
    for file in files:
        own = file.keys("TABLES")
        found[file.name] = Question(
            title=file.of_type("TITLE", str),
            place=file.of_type("PLACE", int),
            tables=own,
            sources=file.texts("SOURCES", default=own),
            figures=file.texts("FIGURES", drawn, default=()),
            decides=file.of_type("DECIDES", str, ""),
            reads=file.texts("READS", default=()),
            requires=file.texts("REQUIRES", QUESTION_REQUIRES, default=()),
            panel=file.has("panel.py"),
            paper=file.beside("paper.py").keys("TABLES") if file.has("paper.py") else None,
        )
        for table in own:
            if other := owners.get(table):
                raise file.fault("TABLES", f"{table} is a table of the question {other}; choose another name")
        owners |= dict.fromkeys(own, file.name)
        if own:
            file.must_define("tables")
        for name in ("answer.md.j2", "answer.py"):
            if not file.has(name):
                folder = Path(file.path).parent
                raise StudyError(f"{folder / name}: does not exist; see the other folders of {folder.parent}")
        file.beside("answer.py").must_define("facts")
        if file.has("panel.py"):
            file.beside("panel.py").must_define("panels")
    for file in files:
        file.allow("SOURCES", found[file.name].sources, owners)
        if tables is not None:
            file.allow("READS", found[file.name].reads, [*tables, *owners])
    return found


def claims() -> dict[str, Claim]:
    """Return the claims of papers by name, in order; raise StudyError as `objectives`."""
    files = sorted(_files("questions/claims"), key=lambda file: file.of_type("PLACE", int))
    found = {}
    for file in files:
        found[file.name] = Claim(*(file.of_type(name, str) for name in ("CLAIM", "LETTER", "TEXT", "DECIDES", "RULE")))
        file.must_define("look")
    return found


def _files(folder: str, pattern: str = "*.py") -> Iterator[File]:
    """Yield the extensions in a folder: files by name, or folders with an `__init__.py`."""
    for path in sorted((ROOT / folder).glob(pattern)):
        name = path.parent.name if pattern.startswith("*/") else path.stem
        if name not in OTHERS.get(folder, ()) and not name.startswith("_"):
            yield File(os.path.relpath(path), name, defined(path))
