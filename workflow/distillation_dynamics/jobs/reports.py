"""What `snakemake --report` shows of a study: files, categories and labels.

The rules that make these files leave flags (see `plan`), which a report cannot show; so targets name the valid files as
their inputs. Captions are in `workflow/report/`.
"""

import ast
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .. import extensions
from ..spec.tables import INDEX
from . import record
from .graph import Graph
from .hashes import Hashes
from .task import Task

# Stage -> category of its files, which of them are shown, and name of their caption.
SHOWN = {
    "figures": ("Figures", (".png",), "figure"),
    "report": ("Report", ("summary.md", "report.md", "methods.md"), "report"),
    "statistics": ("Report", ("numbers.json",), "report"),
    "summary": ("Report", ("summary.md", "cost.md"), "summary"),
    "page": ("Report", (INDEX,), "page"),
}
CAPTIONS = tuple(dict.fromkeys(caption for _, _, caption in SHOWN.values()))
SAYS = {
    "report/summary.md": "the answers on one screen, and the paper's claims",
    "report/report.md": "what each question answers, with its tables",
    "report/methods.md": "what the study is of, what each test does, and the rule of each claim",
    "statistics/numbers.json": "all tests and intervals that the report states",
    "summary/summary.md": "accuracy, agreement with the teacher and operations of every network and variant",
    "summary/cost.md": "measured seconds of training",
    f"page/{INDEX}": "all of it on one page: answers, charts to choose from, tables, what made them",
}


class Item(NamedTuple):
    """A file in a report; `labels`: column -> value."""

    path: str
    caption: str
    category: str
    labels: dict[str, str]


def items(graph: Graph, stages: Iterable[str], hashes: Hashes) -> Iterator[Item]:
    """Yield the valid files of the given stages that a report shows."""
    for task in graph.of(*(stage for stage in stages if stage in SHOWN)):
        if record.fault(task, record.read(task.record), hashes) is not None:
            continue
        category, endings, caption = SHOWN[task.stage]
        for path in task.writes:
            if path.endswith(endings):
                name = path.rpartition("/")[2]
                yield Item(
                    path,
                    caption,
                    category,
                    {"file": name, "shows": SAYS.get(f"{task.stage}/{name}") or _first_line(task)},
                )


def _first_line(task: Task) -> str:
    """Return the first sentence of a figure's module, which says what it shows."""
    text = (extensions.ROOT / f"{task.stage}/{task.name}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(text)) or task.name).partition("\n")[0]
