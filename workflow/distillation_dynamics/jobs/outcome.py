"""What a job came to in a few words, and what a study answers in a few lines: read from what lies under `results/`."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..errors import StudyError
from ..files import read_json
from . import record
from .graph import Graph
from .hashes import Hashes
from .task import Task

# Sections of a report whose answers are told at the end of a run, the first three that it has.
TOLD = ("Does a variant help?", "Is it U-shaped?", "The paper's claims, one by one", "Networks beside each other")
MOST_TOLD = 3
ACCURACY = "Accuracy"
# Stages that gather -> how what they leave is counted.
COUNTED = {"measure": "measurement", "compare": "comparison", "map": "map", "tables": "table", "figures": "figure"}
PAGE = "index.html"


def number_of(tasks: Iterable[Task]) -> str:
    """Return the number that matters of what a job left: top-1 and images a second, or how much was made of what."""
    tasks = list(tasks)
    if tasks[0].stage in ("networks", "students"):
        return ", ".join(filter(None, [_top1(tasks), _speed(tasks)]))
    kinds: dict[str, int] = {}
    for task in tasks:
        if task.stage in COUNTED:
            kinds[COUNTED[task.stage]] = kinds.get(COUNTED[task.stage], 0) + 1
    return ", ".join(f"{count} {kind}{'s' * (count > 1)}" for kind, count in kinds.items())


def _read(task: Task, name: str) -> dict[str, Any]:
    try:
        return read_json(task.path(name))
    except StudyError:
        return {}


def _top1(tasks: list[Task]) -> str:
    results = [_read(task, "result.json") for task in tasks]
    values = [result["test_top1"] for result in results if result.get("test_top1") is not None]
    failed = sum(not result for result in results)
    said = []
    if values:
        low, high = (f"{value:.1f}" for value in (min(values), max(values)))
        said.append(f"top-1 {low if low == high else f'{low}-{high}'} %")
    if failed:
        said.append(f"{failed} of {len(tasks)} failed")
    return ", ".join(said)


def _speed(tasks: list[Task]) -> str:
    """Return the images that networks were trained on in a second, each counted for every network that saw it."""
    costs = [cost for task in tasks if (cost := _read(task, "cost.json")).get("images_per_second")]
    seconds = sum(cost["seconds"] for cost in costs)
    if not seconds:
        return ""
    return f"{sum(cost['seconds'] * cost['images_per_second'] for cost in costs) / seconds:,.0f} images/s"


def answer(report: str, title: str) -> str | None:
    """Return the answer of a section of `report.md`, its first bold paragraph; None where there is none."""
    section = report.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    found = re.search(r"^\*\*(.+?)\*\*", section, re.MULTILINE | re.DOTALL)
    return found and " ".join(found[1].split())


def ending(graph: Graph, hashes: Hashes) -> list[str]:
    """Return accuracies, answers and where to read on, a paragraph each; only the path that there is without a report.

    A report that is not what the study asks for now answers nothing.
    """
    task = graph.statistics
    path = Path(task.path("report.md"))
    if record.fault(task, record.read(task.record), hashes) is not None:
        return []
    report = path.read_text(encoding="utf-8")
    accuracies = answer(report, ACCURACY)
    answers = [f"{title} {said}" for title in TOLD if (said := answer(report, title))]
    page = Path(graph.home, PAGE)
    paths = [str(path), *([str(page)] if page.is_file() else [])]
    return [*([f"Accuracy: {accuracies}"] if accuracies else []), *answers[:MOST_TOLD], *paths]
