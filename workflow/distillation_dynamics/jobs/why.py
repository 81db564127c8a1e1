"""Prints what a plan would run, why, and at what cost: the text of `make why` and of a dry run."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..progress import duration
from .batches import network_of
from .costs import ASKED_AS, REFERENCE, REQUEST, Cost, Costs, asked
from .plan import Plan
from .task import Task

HEADS = "stage", "due", "jobs", "time", "GPU time", "disk [MB]"
MARKS = ("", "~ ", "<= ")
NOTES = {
    REFERENCE: "~: estimated from reference costs, because no earlier job is like these",
    REQUEST: "<=: upper limit, runtime x jobs, because no earlier job is like these; longer trainings resume",
}


def report(plan: Plan, costs: Costs) -> str:
    """Return what is due and why, one line per job, then a table of jobs, time and disk by stage."""
    if not plan.reasons:
        return f"{plan.graph.study.name}: all results are up to date; nothing would run."
    lines = [f"{name}: {why}" for name, why in _why(plan)]
    return "\n".join([*lines, "", *table(plan, costs)])


def _why(plan: Plan) -> Iterable[tuple[str, str]]:
    """Yield (jobs, reason); jobs of a stage with the same reason are joined."""
    together: dict[tuple[str, str], dict[str, None]] = {}
    for task, reason in plan.reasons.items():
        name = network_of(task) if task.stage in ("measure", "compare") else task.name
        together.setdefault((task.stage, reason), {})[name] = None
    for (stage, reason), names in together.items():
        yield f"{stage} {', '.join(names)}".strip(), reason


@dataclass(frozen=True)
class Row:
    """Total cost of the jobs of a stage, or of the stages of a rule."""

    name: str
    due: int
    jobs: int
    gpu_seconds: float
    cost: Cost

    def cells(self) -> tuple[str, ...]:
        """Return the row as text, one string for each of HEADS."""
        times = (self.cost.seconds, self.gpu_seconds)
        time, gpu_time = (f"{MARKS[self.cost.source]}{duration(seconds)}" if seconds else "-" for seconds in times)
        disk = "?" if self.cost.bytes is None else f"{self.cost.bytes / 1e6:.1f}"
        return self.name, str(self.due), str(self.jobs), time, gpu_time, disk


def table(plan: Plan, costs: Costs) -> Iterable[str]:
    """Yield the lines of the table of jobs, time (in sequence) and disk by stage, and the meaning of its marks."""
    stages: dict[str, list[Task]] = {}
    for task in plan.reasons:
        # Weights are fetched by jobs of their own.
        name = task.stage if task.stage == "network_weights" else ASKED_AS.get(task.stage, task.stage)
        stages.setdefault(name, []).append(task)
    rows = [_row(plan, costs, name, due) for name, due in stages.items()]
    total = Cost.total(Cost(row.cost.seconds, row.cost.source, row.cost.bytes or 0) for row in rows)
    due, jobs, gpu_seconds = (sum(getattr(row, name) for row in rows) for name in ("due", "jobs", "gpu_seconds"))
    yield from aligned([HEADS, *(row.cells() for row in [*rows, Row("total", due, jobs, gpu_seconds, total)])])
    yield from (note for source, note in NOTES.items() if any(row.cost.source == source for row in rows))
    if unknown := [row.name for row in rows if row.cost.bytes is None]:
        yield f"The total of disk leaves out stages without an earlier job: {', '.join(unknown)}."


def aligned(rows: Sequence[tuple[str, ...]]) -> Iterable[str]:
    """Yield rows as lines with two spaces between columns: the first column to the left, the others to the right."""
    first, *rest = (max(map(len, column)) for column in zip(*rows, strict=True))
    for name, *cells in rows:
        yield "  ".join([f"{name:<{first}}", *(f"{cell:>{width}}" for cell, width in zip(cells, rest, strict=True))])


def _row(plan: Plan, costs: Costs, name: str, due: list[Task]) -> Row:
    # Students that need no training are linked as they are.
    batches = plan.cohorts if name == "students" else {id(b): b for t in due if (b := plan.batch_of.get(t))}.values()
    jobs = [batch.tasks for batch in batches] or [(task,) for task in due if name != "students"]
    cost = Cost.total(costs.of_job(plan.graph, tasks) for tasks in jobs)
    return Row(name, len(due), len(jobs), cost.seconds * asked(plan.graph, due[0])["gpu"], cost)
