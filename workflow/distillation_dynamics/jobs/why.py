"""What a plan would run, why, and what it would cost, in words: the text of `make why` and of a dry run."""

from collections.abc import Iterable
from dataclasses import dataclass

from .batches import network_of
from .costs import ASKED_AS, REFERENCE, REQUEST, Cost, Costs, asked
from .plan import Plan
from .task import Task

MARKS = ("", "~ ", "<= ")
NOTES = {
    REFERENCE: "~: no earlier job tells; a rough guess from reference costs of a machine with two cores",
    REQUEST: "<=: no earlier job tells; so much time do the jobs ask for (runtime x jobs). A training that needs more "
    "goes on in another attempt.",
}


def report(plan: Plan, costs: Costs) -> str:
    """Return what is due and why, a line a job, then the table of jobs, hours, GPU hours and disk by stage."""
    if not plan.reasons:
        return f"{plan.graph.study.name}: all results are what the study asks for; nothing would run."
    lines = [f"{name}: {why}" for name, why in _why(plan)]
    return "\n".join([*lines, "", *table(plan, costs)])


def _why(plan: Plan) -> Iterable[tuple[str, str]]:
    """Yield (jobs, reason); jobs of a stage that are due for the same reason are said together."""
    together: dict[tuple[str, str], dict[str, None]] = {}
    for task, reason in plan.reasons.items():
        name = network_of(task) if task.stage in ("measure", "compare") else task.name
        together.setdefault((task.stage, reason), {})[name] = None
    for (stage, reason), names in together.items():
        yield f"{stage} {', '.join(names)}".strip(), reason


@dataclass(frozen=True)
class Row:
    """What the jobs of a stage, or of the stages of a rule, cost together."""

    name: str
    due: int
    jobs: int
    gpu_hours: float
    cost: Cost

    def __str__(self) -> str:
        hours, gpu_hours = (f"{MARKS[self.cost.source] * bool(v)}{v:.3f}" for v in (self.hours, self.gpu_hours))
        disk = "?" if self.cost.bytes is None else f"{self.cost.bytes / 1e6:.1f}"
        return f"{self.name:<18}{self.due:>6}{self.jobs:>6}{hours:>12}{gpu_hours:>12}{disk:>11}"

    @property
    def hours(self) -> float:
        """Hours of all jobs, one after the other."""
        return self.cost.seconds / 3600


def table(plan: Plan, costs: Costs) -> Iterable[str]:
    """Yield the lines of the table of jobs, hours, GPU hours and disk by stage, and what its marks mean."""
    stages: dict[str, list[Task]] = {}
    for task in plan.reasons:
        # Weights are fetched on their own.
        name = task.stage if task.stage == "network_weights" else ASKED_AS.get(task.stage, task.stage)
        stages.setdefault(name, []).append(task)
    rows = [_row(plan, costs, name, due) for name, due in stages.items()]
    total = Cost.total(Cost(row.cost.seconds, row.cost.source, row.cost.bytes or 0) for row in rows)
    due, jobs, gpu_hours = (sum(getattr(row, name) for row in rows) for name in ("due", "jobs", "gpu_hours"))
    yield f"{'stage':<18}{'due':>6}{'jobs':>6}{'hours':>12}{'GPU hours':>12}{'disk [MB]':>11}"
    yield from map(str, [*rows, Row("total", due, jobs, gpu_hours, total)])
    yield from (note for source, note in NOTES.items() if any(row.cost.source == source for row in rows))
    if unknown := [row.name for row in rows if row.cost.bytes is None]:
        yield f"Not in the total of disk, because no earlier job tells: {', '.join(unknown)}."


def _row(plan: Plan, costs: Costs, name: str, due: list[Task]) -> Row:
    # Students that are not trained are published as they are.
    batches = plan.cohorts if name == "students" else {id(b): b for t in due if (b := plan.batch_of.get(t))}.values()
    jobs = [batch.tasks for batch in batches] or [(task,) for task in due if name != "students"]
    cost = Cost.total(costs.of_job(plan.graph, tasks) for tasks in jobs)
    return Row(name, len(due), len(jobs), cost.seconds / 3600 * asked(plan.graph, due[0])["gpu"], cost)
