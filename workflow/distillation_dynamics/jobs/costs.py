"""Estimates the cost of jobs: seconds, bytes and memory, from records of earlier jobs under `results/`.

A training's estimate is the seconds per image of earlier trainings of the same network on the same kind of device;
other tasks use the mean of earlier tasks of their stage and network. Both scale with the computation: images, tokens,
channels and blocks. Without a precedent, a table of reference costs gives a rough guess. Memory is the maximum of
earlier jobs of the stage with the same network (also sizes of blocks and batches), images, or study.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from ..errors import StudyError
from ..files import read_table
from ..spec.base import counted, to_json
from ..spec.measure import MeasureJob, Settings
from ..spec.network import Shapes
from ..spec.teacher_outputs import values_of
from ..spec.training import Recipe, views_of
from . import own, record
from .batches import network_of, split
from .graph import Graph
from .hashes import IDENTITY
from .memory import megabytes
from .task import BATCHED, Task

WEIGHTS = ".safetensors"
# Basis of an estimate, from best to worst: earlier jobs, the table below, the time limit.
RECORDS, REFERENCE, REQUEST = range(3)
# Reference costs in seconds for jobs without a precedent, rounded: per task, per image a network sees, and per job
# start. Measured with the default study on one core of two. A network runs this many operations per second.
SECONDS = {
    "data": (4, 0),
    "network_weights": (20, 0),
    "networks": (2, 2.5e-4),
    "teacher_outputs": (1, 1e-4),
    "students": (0.5, 2.5e-4),
    "measure": (0.05, 1e-4),
    "compare": (0.25, 0),
    "map": (2, 0),
    "tables": (0.2, 0),
    "summary": (1, 0),
    "statistics": (15, 0),
    "report": (1, 0),
    "figures": (1.5, 0),
    "page": (3, 0),
    "paper": (3, 0),
}
SECONDS_TO_START = 3
# Margin on the memory that an earlier job took.
MARGIN = 1.25
# A training runs forward and backward passes; all metrics of a network share its passes.
PASSES = {"networks": 3.0, "students": 3.0, "measure": 0.1}
OPERATIONS_A_SECOND = 1.6e10
# Stages whose jobs are requested and listed by the name of their rule.
ASKED_AS = {stage: rule for rule in ("measure", "compare", "tables") for stage in BATCHED[rule]}
ASKED_AS |= {"network_weights": "data"}


@dataclass(frozen=True)
class Cost:
    """Cost of a job: seconds with their basis, and bytes it leaves (None if unknown)."""

    seconds: float
    source: int
    bytes: float | None = None

    @classmethod
    def total(cls, costs: Iterable["Cost"]) -> "Cost":
        """Return the cost of several jobs in sequence; its basis is the worst of theirs."""
        costs = list(costs)
        sizes = [cost.bytes for cost in costs]
        size = None if None in sizes else sum(filter(None, sizes))
        return cls(sum(cost.seconds for cost in costs), max((cost.source for cost in costs), default=RECORDS), size)


@dataclass(frozen=True)
class Trained:
    """Content of a training's `cost.json` that helps to estimate another training."""

    seconds: float
    start_seconds: float
    images_per_second: float | None
    device: str


class Costs:
    """Costs of earlier jobs by stage and network; other networks give no estimate."""

    def __init__(self, results: str = "results"):
        self.seconds: dict[tuple[str, ...], list[float]] = {}
        self.bytes: dict[tuple[str, ...], list[float]] = {}
        self.peaks: dict[str, float] = {}
        for path, known in record.all_under(results):
            if path.parts[-4:-3] == ("students",) and known["stage"] == "students":
                continue  # A link: its run is counted in the store.
            try:
                kind, size = (known["stage"], _network_of(known["job"])), work(known["job"])
                alike = _alike(known["stage"], known["job"], path.relative_to(results).parts[0])
            except (AttributeError, KeyError, TypeError, ValueError):
                continue  # Not a job: nothing is known of it.
            self.seconds.setdefault(kind, []).append(known["seconds"] / size)
            self.peaks[alike] = max(self.peaks.get(alike, 0.0), known.get("peak_mb", 0.0))
            self.bytes.setdefault(kind, []).append(sum(file[IDENTITY][0] for file in known["files"].values()))
            if known["stage"] in ("networks", "students"):
                self._training(kind, path.parent / "cost.json", size)

    def _training(self, kind: tuple[str, str], path: Path, size: float) -> None:
        """Remember seconds per image, counting a student's share of the cost its cohort shares."""
        cost = own.read(path, Trained)
        if cost is not None and cost.seconds and cost.images_per_second:
            images = cost.seconds * cost.images_per_second
            seconds = cost.seconds + cost.start_seconds
            self.seconds.setdefault((*kind, cost.device), []).append(seconds / images / size)

    def of(self, graph: Graph, task: Task) -> Cost:
        """Return the cost of one task; for a member of a cohort, its share."""
        job, images = counted(task.job), _images(graph, task)
        kind, whole = (task.stage, _network_of(job)), work(job)
        known = [whole * rate for rate in self.seconds.get(kind, ())]
        if _recipe(task) is not None:
            device = "cuda" if asked(graph, task)["gpu"] else "cpu"
            known = [images * whole * rate for rate in self.seconds.get((*kind, device), ()) if images is not None]
        sizes = _stored_bytes(graph, task), _mean(self.bytes.get(kind)), _weights_bytes(graph, task)
        left = next((size for size in sizes if size is not None), None)
        if known:
            return Cost(sum(known) / len(known), RECORDS, left)
        if asked(graph, task)["gpu"] or images is None:
            return Cost(0.0, REQUEST, left)
        start, each = SECONDS[task.stage]
        if images:
            operations = graph.study.model_info[_owner(graph, task)].footprint.operations
            each += PASSES.get(task.stage, 1) * operations / OPERATIONS_A_SECOND
        return Cost(start + images * each, REFERENCE, left)

    def of_job(self, graph: Graph, tasks: Iterable[Task]) -> Cost:
        """Return the cost of a job that carries out `tasks`; its time limit at most, if a task has no estimate."""
        tasks = list(tasks)
        cost = Cost.total(self.of(graph, task) for task in tasks)
        if cost.source == REQUEST:
            return replace(cost, seconds=60.0 * asked(graph, tasks[0])["runtime"])
        return replace(cost, seconds=cost.seconds + SECONDS_TO_START * (cost.source == REFERENCE))

    def mem_mb(self, graph: Graph, tasks: Iterable[Task]) -> int:
        """Return the memory in MB to request for a job that carries out `tasks`.

        The maximum of the study's setting, the estimate for measuring, and what earlier jobs took plus a margin.
        """
        found = [0]
        for task in tasks:
            peak = self.peaks.get(_alike(task.stage, counted(task.job), task.scope), 0.0)
            found += [asked(graph, task)["mem_mb"], math.ceil(MARGIN * peak)]
            if task.stage == "measure":
                found.append(megabytes(graph.study.model_info[_owner(graph, task)]))
        return max(found)


def asked(graph: Graph, task: Task) -> dict[str, int]:
    """Return the part of `compute` that configures a task's job."""
    return graph.study.compute[ASKED_AS.get(task.stage, task.stage)]


def _network_of(job: dict) -> str:
    """Return what identifies a job's network and metric; empty for a job without a network."""
    return to_json([job.get("model") or job.get("network", {}).get("model"), job.get("metric")])


def _alike(stage: str, job: dict, scope: str) -> str:
    """Return what jobs of similar memory share: stage, and network, images or study."""
    network, recipe = job.get("network") or {}, job.get("recipe") or {}
    model = job.get("model") or network.get("model")
    if model is not None:
        sizes = network.get("shapes"), job.get("size"), job.get("view"), recipe.get("batch_size")
        return to_json([stage, model, sizes])
    return to_json([stage, job["content"], job["arrays"]] if stage == "data" else [stage, scope])


def work(job: dict) -> float:
    """Return the amount of computation of a job, if its sizes are known; scales the seconds of its stage and network.

    For an image: operations of a Transformer's blocks, 24 N C^2 + 4 N^2 C with N tokens and C channels, or its pixels
    if the sizes of blocks are unknown. Measurements also count images and checkpoints.
    """
    network = job.get("network") or {}
    blocks = [(one["channels"], one["rows"] * one["columns"]) for one in (job.get("size") or {}).get("blocks", ())]
    blocks = blocks or [(channels, rows * columns) for channels, rows, columns in network.get("shapes", ())]
    view = job.get("view") or {}
    of_image = sum(24 * n * c * c + 4 * n * n * c for c, n in blocks) or view.get("image_size", 1) ** 2
    images = sum(one["count"] or 0 for one in job.get("image_sets", ()))
    return of_image * max(1, images) * max(1, len(network.get("epochs", ())))


def _recipe(task: Task) -> Recipe | None:
    return getattr(task.job, "recipe", None) if task.stage in ("networks", "students") else None


def _images(graph: Graph, task: Task) -> int | None:
    """Return the number of images a network sees in a task; None if not yet known."""
    if (recipe := _recipe(task)) is not None:
        count = _training_images(graph, recipe.train_images)
        return None if count is None else recipe.epochs * count
    if task.stage == "teacher_outputs":
        count = _training_images(graph, task.job.train_images)
        return None if count is None else (views_of(task.job.augmentation) or 1) * count
    if task.stage == "measure":
        return len(task.job.network.epochs) * sum(images.count or 0 for images in task.job.image_sets)
    return 0


def _owner(graph: Graph, task: Task) -> str:
    """Return the name of a task's network or student."""
    if task.stage in ("networks", "teacher_outputs"):
        return task.name
    network = network_of(task)
    name, _ = split(network)
    return graph.study.variants[name].student if network.startswith("students/") else name


def _training_images(graph: Graph, chosen: int | None) -> int | None:
    known = graph.training_images(chosen)
    return _split_images(graph.data.folder) if known is None else known


@cache
def _split_images(folder: str) -> int | None:
    """Return the number of training images of a split, read once per plan; None before the split exists."""
    try:
        return int((read_table(Path(folder) / "splits.parquet")["split"] == "train").sum())
    except (StudyError, KeyError):
        return None


def outputs_bytes(graph: Graph, task: Task) -> int | None:
    """Return the bytes of a teacher's stored outputs; None if the number of images is not yet known."""
    job, size = task.job, graph.study.model_info[task.name].size
    views, count = views_of(job.augmentation), _training_images(graph, job.train_images)
    assert views is not None, "outputs are stored only for a fixed number of views"
    return None if count is None else 4 * views * count * sum(values_of(part, size) for part in job.parts)


def stored_bytes(job: MeasureJob) -> int | None:
    """Return the approximate bytes that a large measurement leaves; None if only earlier jobs can say.

    Large are dumped features, activations kept for comparisons, and Gram matrices.
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


def _stored_bytes(graph: Graph, task: Task) -> int | None:
    if task.stage == "teacher_outputs":
        return outputs_bytes(graph, task)
    return stored_bytes(task.job) if task.stage == "measure" else None


def _weights_bytes(graph: Graph, task: Task) -> int | None:
    """Return the bytes of weights that a job leaves; None if it leaves none."""
    if task.stage not in ("students", "networks"):
        return None
    count = sum(path.endswith(WEIGHTS) for path in task.writes if "objective" not in path)
    return 4 * graph.study.model_info[_owner(graph, task)].parameters * count


def _mean(values: list[float] | None) -> float | None:
    return sum(values) / len(values) if values else None
