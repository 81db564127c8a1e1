"""Short summaries for the terminal: of a job in a few words, of a study in a few lines; read from `results/`."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..spec.data import PICTURES
from ..spec.tables import INDEX
from . import own, record
from .graph import Graph
from .hashes import Hashes
from .task import Task

# Gathering stages -> how their output is counted.
COUNTED = {"measure": "measurement", "compare": "comparison", "map": "map", "tables": "table", "figures": "figure"}


@dataclass(frozen=True)
class Seen:
    """Numbers about a source's images, recorded when they were split."""

    images: int
    notes: list[str]


def number_of(tasks: Sequence[Task]) -> str:
    """Return the key number of a job: top-1 and images per second, or counts of what it made."""
    if tasks[0].stage in ("networks", "students"):
        return ", ".join(filter(None, [_top1(tasks), _speed(tasks)]))
    if tasks[0].stage == "data":
        return counted(sum(seen.images for seen in _seen(tasks)), "image")
    kinds = Counter(COUNTED[task.stage] for task in tasks if task.stage in COUNTED)
    return ", ".join(counted(count, kind) for kind, count in kinds.items())


def notes_of(tasks: Sequence[Task]) -> list[str]:
    """Return a job's remarks on the images it read."""
    return [note for seen in _seen([task for task in tasks if task.stage == "data"]) for note in seen.notes]


def _seen(tasks: Sequence[Task]) -> list[Seen]:
    read = [own.read(task.path(PICTURES), dict[str, Seen]) or {} for task in tasks]
    return [seen for one in read for seen in one.values()]


def counted(count: int, what: str) -> str:
    """Return a count with its noun: 1 job, 2 jobs."""
    return f"{count} {what}{'s' * (count != 1)}"


def _read(task: Task, name: str) -> dict[str, Any]:
    return own.read(task.path(name), dict) or {}


def _top1(tasks: Sequence[Task]) -> str:
    results = [_read(task, "result.json") for task in tasks]
    values = [result["test_top1"] for result in results if result.get("test_top1") is not None]
    failed = sum(not result for result in results)
    parts = ["top-1 " + "-".join(dict.fromkeys(f"{end(values):.1f}" for end in (min, max))) + " %"] if values else []
    return ", ".join([*parts, *([f"{failed} of {len(tasks)} failed"] if failed else [])])


def _speed(tasks: Sequence[Task]) -> str:
    """Return training images per second, counting an image once per network that saw it."""
    costs = [cost for task in tasks if (cost := _read(task, "cost.json")).get("images_per_second")]
    seconds = sum(cost["seconds"] for cost in costs)
    images = sum(cost["seconds"] * cost["images_per_second"] for cost in costs)
    return f"{images / seconds:,.0f} images/s" if seconds else ""


def plain(markdown: str) -> list[str]:
    """Return the lines of a Markdown summary for a terminal: without title, links and marks.

    A row of the table of claims becomes `claim: verdict (number)`.
    """
    blocks = [block for block in markdown.split("\n\n") if not block.startswith(("#", "["))]
    lines = [line.replace("**", "") for block in blocks for line in block.strip().splitlines()]
    rows = [line for line in lines if line.startswith("|")]
    return [_row(line) if line.startswith("|") else line for line in lines if line not in rows[:2]]


def _row(line: str) -> str:
    claim, verdict, number = (cell.strip() for cell in line.strip("|").split("|"))
    return f"{claim}: {verdict} ({number})"


def answers(graph: Graph, hashes: Hashes) -> list[str]:
    """Return a study's summary and where to read on, one paragraph each.

    Empty if the report is outdated.
    """
    task = graph.report
    if record.fault(task, record.read(task.record), hashes) is not None:
        return []
    page = Path(graph.home, INDEX)
    found = plain(Path(task.path("summary.md")).read_text(encoding="utf-8"))
    return [*found, task.path("report.md"), *([str(page)] if page.is_file() else [])]
