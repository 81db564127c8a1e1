"""What a plan would run, why, and what it would cost, in words: the text of `make why` and of a dry run.

Hours come from the records of earlier jobs under `results/`: trainings from seconds an image of earlier ones on the
same kind of device and network, what is their own and what a cohort shares apart; other stages from their mean.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..errors import StudyError
from ..files import read_json, read_table
from ..spec.base import counted, to_json
from ..spec.measure import MeasureJob, Settings
from ..spec.network import Shapes
from ..spec.training import Recipe
from ..study.study import STUDENT
from . import record
from .batches import network_of
from .graph import Graph
from .hashes import IDENTITY
from .plan import Plan
from .task import BATCHED, Task

WEIGHTS = ".safetensors"
# Stages that share the jobs of a rule share its row.
ROWS = {stage: rule for rule in ("measure", "compare", "tables") for stage in BATCHED[rule]}


@dataclass(frozen=True)
class Cost:
    """Seconds of a job, and bytes that it leaves; None where nothing tells."""

    seconds: float | None
    bytes: float | None


@dataclass(frozen=True)
class Speed:
    """Of trainings: seconds an image that are a network's own, seconds an image of what a cohort shares, start-up."""

    own: float
    shared: float
    start: float

    def seconds(self, images: int, networks: int) -> float:
        """Return the seconds of a job that trains so many networks together on so many images."""
        return images * (networks * self.own + self.shared) + self.start


class Costs:
    """What earlier jobs took, by stage and network: what another network took says nothing."""

    def __init__(self, results: str = "results"):
        self.seconds: dict[tuple[str, str], list[float]] = {}
        self.bytes: dict[tuple[str, str], list[int]] = {}
        self.speeds: dict[tuple[str, str, str], list[Speed]] = {}
        for path, known in record.all_under(results):
            if path.parts[-4:-3] == ("students",) and known["stage"] == "students":
                continue  # A link: its run is counted in the store.
            stage, kind = known["stage"], _network_of(known["job"])
            self.seconds.setdefault((stage, kind), []).append(known["seconds"])
            size = sum(file[IDENTITY][0] for file in known["files"].values())
            self.bytes.setdefault((stage, kind), []).append(size)
            if stage in ("networks", "students"):
                self._training(stage, kind, path.parent / "cost.json")

    def _training(self, stage: str, kind: str, path: Path) -> None:
        try:
            cost = read_json(path)
        except StudyError:
            return  # Damage is the plan's to say; here it only means that nothing is known.
        if not cost["images_per_second"]:
            return
        images, networks = cost["seconds"] * cost["images_per_second"], cost["networks"]
        # On a GPU what is whose is not known; all of it counts as shared, so that an estimate is for jobs of that size.
        own = cost["own_seconds"] or 0.0
        speed = Speed(own / images, (cost["seconds"] - own) * networks / images, cost["start_seconds"] * networks)
        self.speeds.setdefault((stage, kind, cost["device"]), []).append(speed)

    def training(self, graph: Graph, task: Task, networks: int) -> float | None:
        """Return the seconds of a job that trains so many networks like that of `task`; None where nothing tells."""
        job = task.job
        device = "cuda" if graph.study.compute[task.stage]["gpu"] else "cpu"
        speeds = self.speeds.get((task.stage, _network_of(counted(job)), device))
        images = _images(graph, job.recipe)
        if not speeds or images is None:
            return None
        mean = Speed(
            *(sum(values) / len(speeds) for values in zip(*((s.own, s.shared, s.start) for s in speeds), strict=True))
        )
        return mean.seconds(images, networks)

    def of(self, plan: Plan, task: Task) -> Cost:
        """Return what a job will cost by itself."""
        graph, stage = plan.graph, task.stage
        kind = stage, _network_of(counted(task.job))
        size: float | None = stored_bytes(task.job) if stage == "measure" else None
        if stage == "teacher_outputs":
            size = outputs_bytes(graph)
        elif size is None:
            size = _mean(self.bytes.get(kind))
        if size is None:
            size = _weights_bytes(graph, task)
        if stage == "networks" and task.job.recipe is not None:
            return Cost(self.training(graph, task, 1), size)
        return Cost(_mean(self.seconds.get(kind)), size)


def _network_of(job: dict) -> str:
    """Return what tells the network of a job, and its metric, from others; empty for one without."""
    return to_json([job.get("model") or job.get("network", {}).get("model"), job.get("metric")])


def _images(graph: Graph, recipe) -> int | None:
    """Return epochs times images of a training; None when the number of images is not yet known."""
    count = _training_images(graph, recipe)
    return None if count is None else recipe.epochs * count


def _training_images(graph: Graph, recipe: Recipe) -> int | None:
    known = graph.training_images(recipe)
    return _split_images(graph.data.folder) if known is None else known


def outputs_bytes(graph: Graph) -> int | None:
    """Return how many bytes the teacher's stored outputs take; None where the number of images is not yet known."""
    student, teacher = graph.study.distillation
    shapes, views, classes = graph.study.model_info[teacher].shapes, student.recipe.views, graph.study.data.classes
    assert graph.outputs is not None and views is not None and classes is not None
    count = _training_images(graph, student.recipe)
    values = classes + sum(math.prod(shapes[block]) for block in graph.outputs.job.blocks)
    return None if count is None else 4 * views * count * values


@cache
def _split_images(folder: str) -> int | None:
    """Return the number of training images in a split, read once for all jobs of a plan; None before it is there."""
    try:
        return int((read_table(Path(folder) / "splits.parquet")["split"] == "train").sum())
    except StudyError:
        return None


def stored_bytes(job: MeasureJob) -> int | None:
    """Return about how many bytes a measurement leaves; None where only earlier ones tell.

    Told are the large ones: what is dumped of features, the rows of comparisons, and Gram matrices.
    """
    settings, shapes, count = job.settings, job.network.shapes, job.image_sets[0].count or 0
    sizes = {
        "features": lambda: _dumped(settings, shapes, count),
        "rows": lambda: sum(4 * count * (1 + settings.tokens) * c + 8 * c * c for c, _, _ in shapes),
        "rank": lambda: sum(8 * c * (c + 1) for c, _, _ in shapes),
    }
    return len(job.network.folders) * sizes[job.metric]() if job.metric in sizes else None


def _dumped(settings: Settings, shapes: Shapes, count: int) -> int:
    size, images = {"float16": 2, "float32": 4}[settings.dtype], min(count, settings.dump_images)
    return sum(images * c * min(settings.dump_tokens or rows * cols, rows * cols) * size for c, rows, cols in shapes)


def _weights_bytes(graph: Graph, task: Task) -> int | None:
    """Return how many bytes of weights a job leaves, nearly all that a training leaves; None where it leaves none."""
    owner = {"students": STUDENT, "networks": task.name}.get(task.stage)
    if owner is None:
        return None
    count = sum(path.endswith(WEIGHTS) for path in task.writes if "objective" not in path)
    return 4 * graph.study.model_info[owner].parameters * count


def _mean(values: list | None) -> float | None:
    return sum(values) / len(values) if values else None


def whole(parts: Sequence[float | None]) -> float | None:
    """Return the sum of parts; None where one of them is not known."""
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def report(plan: Plan, results: str = "results") -> str:
    """Return what is due and why, a line a job, then the table of jobs, hours, GPU hours and disk by stage."""
    if not plan.reasons:
        return f"{plan.graph.study.name}: all results are what the study asks for; nothing would run."
    lines = [f"{name}: {why}" for name, why in _why(plan)]
    return "\n".join([*lines, "", table(plan, Costs(results))])


def _why(plan: Plan) -> Iterable[tuple[str, str]]:
    """Yield (jobs, reason); jobs of a stage that are due for the same reason are said together."""
    together: dict[tuple[str, str], dict[str, None]] = {}
    for task, reason in plan.reasons.items():
        name = network_of(task) if task.stage in ("measure", "compare") else task.name
        together.setdefault((task.stage, reason), {})[name] = None
    for (stage, reason), names in together.items():
        yield f"{stage} {', '.join(names)}".strip(), reason


def table(plan: Plan, costs: Costs) -> str:
    """Return the table of jobs, hours, GPU hours and disk by stage, what cohorts save, and what is not known.

    Where no earlier job tells, hours are at most what the jobs ask for.
    """
    lines = [f"{'stage':<18}{'due':>6}{'jobs':>6}{'hours':>12}{'GPU hours':>12}{'disk [MB]':>11}"]
    rows = [_row(plan, costs, name, stages) for name, stages in _stages(plan).items()]
    known = {name: sum(getattr(row, name) or 0.0 for row in rows) for name in ("hours", "gpu_hours", "bytes")}
    due, jobs = sum(row.due for row in rows), sum(row.jobs for row in rows)
    total = Row("total", due, jobs, **known, bound=any(row.bound for row in rows))
    lines += map(str, [*rows, total])
    if plan.training:
        lines.append(_cohorts_in_words(plan, costs))
    if total.bound:
        lines.append(
            "<=: no earlier job tells; so much time do the jobs ask for (runtime x jobs). A training that needs more "
            "goes on in another attempt."
        )
    for words, name in (("hours", "hours"), ("disk", "bytes")):
        if unknown := [row.name for row in rows if getattr(row, name) is None]:
            lines.append(f"Not in the total of {words}, because no earlier job tells: {', '.join(unknown)}.")
    return "\n".join(lines)


@dataclass(frozen=True)
class Row:
    """What the jobs of some stages cost together; None where nothing tells. `bound`: at most so many hours."""

    name: str
    due: int
    jobs: int
    hours: float | None
    gpu_hours: float | None
    bytes: float | None
    bound: bool

    def __str__(self) -> str:
        hours = [
            "?" if value is None else f"{'<= ' if self.bound else ''}{value:.3f}"
            for value in (self.hours, self.gpu_hours)
        ]
        disk = "?" if self.bytes is None else f"{self.bytes / 1e6:.1f}"
        return f"{self.name:<18}{self.due:>6}{self.jobs:>6}{hours[0]:>12}{hours[1]:>12}{disk:>11}"


def _stages(plan: Plan) -> dict[str, list[str]]:
    """Return the due stages by the name of their row."""
    rows: dict[str, list[str]] = {}
    for stage in dict.fromkeys(task.stage for task in plan.reasons):
        rows.setdefault(ROWS.get(stage, stage), []).append(stage)
    return rows


def _row(plan: Plan, costs: Costs, name: str, stages: list[str]) -> Row:
    due = [task for stage in stages for task in plan.due(stage)]
    parts = _cohorts(plan, costs) if name == "students" else [costs.of(plan, task) for task in due]
    batches = {id(plan.batch_of[task]) for task in due if task in plan.batch_of}
    jobs = len(plan.cohorts) if name == "students" else len(batches) or len(due)
    compute = plan.graph.study.compute.get(name)
    seconds = whole([part.seconds for part in parts])
    bound, hours = False, None if seconds is None else seconds / 3600
    if seconds is None and compute is not None:
        bound, hours = True, jobs * compute["runtime"] / 60
    gpus = compute["gpu"] if compute else 0
    disk = whole([part.bytes for part in parts])
    return Row(name, len(due), jobs, hours, None if hours is None else hours * gpus, disk, bound)


def _cohorts(plan: Plan, costs: Costs) -> list[Cost]:
    """Return the cost of each cohort; students that are only published cost nothing."""
    parts = []
    for batch in plan.cohorts:
        size = whole([costs.of(plan, task).bytes for task in batch.tasks])
        seconds = costs.training(plan.graph, batch.tasks[0], len(batch.tasks))
        parts.append(Cost(seconds, size))
    return parts


def _cohorts_in_words(plan: Plan, costs: Costs) -> str:
    """Return how many students train in how many jobs, and the hours of that and of one job a student."""
    count, jobs = sum(len(batch.tasks) for batch in plan.cohorts), len(plan.cohorts)
    said = f"{count} student{'s' if count > 1 else ''} to train in {jobs} job{'s' if jobs > 1 else ''}"
    alone = costs.training(plan.graph, plan.cohorts[0].tasks[0], 1)
    together = whole([cost.seconds for cost in _cohorts(plan, costs)])
    if alone is None or together is None or plan.graph.study.compute["students"]["gpu"]:
        return f"{said}; what that saves over one job a student is not known before some have trained on a CPU."
    return f"{said}: {together / 3600:.3f} hours, {count * alone / 3600:.3f} with one job a student."
