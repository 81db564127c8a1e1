"""The graph of a study: all tasks with key and location under `results/`, read by rules and plan.

An input counts by the key of the task that writes it. So all keys are known before anything runs, and a change changes
the keys of everything downstream. `build` makes a graph in the steps `trained`, `measured` and `gathered`.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, is_dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

from ..spec.images import Images, View
from ..spec.machine import Machine
from ..spec.network import Checkpoints, Model
from ..study.study import Source, Study
from . import record
from .content import DATA, Content, sets_of
from .task import SHARED, Task, code_of, key_of

# A task and those of its files that another task reads.
Read = tuple[Task, Sequence[str]]


class Weights(NamedTuple):
    """The measured checkpoints of a network, the task that writes them and the names of their files.

    `owner`: name of the network or student; `seed`: None unless it is a student.
    """

    checkpoints: Checkpoints
    task: Task
    files: tuple[str, ...]
    owner: str
    seed: int | None


def architectures_in(part: Any) -> list[str]:
    """Return the architecture modules of all models in a job."""
    found = [f"networks.architectures.{name}" for name in part.architecture] if isinstance(part, Model) else []
    if is_dataclass(part):
        parts: Iterable[Any] = vars(part).values()
    else:
        parts = part if isinstance(part, list | tuple) else part.values() if isinstance(part, dict) else ()
    return list(dict.fromkeys([*found, *(name for inner in parts for name in architectures_in(inner))]))


@dataclass(eq=False)
class Graph:
    """The tasks of a study: `tasks` lists all, each after its inputs; the other fields index them.

    `sets`: image sets by name; `released`: tasks that fetch weights by network; `outputs`: a teacher's outputs on a
    student's training images, by (source, student); `runs`, `students`: by (arm, seed); `by_network`: measured weights
    of `networks/<name>`, the reference first, and of `students/<arm>/seed<k>`. Parts that a study lacks are None or
    empty.
    """

    study: Study
    content: Content
    results: str = "results"
    tasks: list[Task] = field(default_factory=list)
    # Networks: `trained`.
    sets: dict[str, Task] = field(default_factory=dict)
    released: dict[str, Task] = field(default_factory=dict)
    networks: dict[str, Task] = field(default_factory=dict)
    outputs: dict[tuple[Source, str], Task] = field(default_factory=dict)
    runs: dict[tuple[str, int], Task] = field(default_factory=dict)
    students: dict[tuple[str, int], Task] = field(default_factory=dict)
    by_network: dict[str, Weights] = field(default_factory=dict)
    # Network, or pair of networks -> metric -> task: `measured`.
    measured: dict[str, dict[str, Task]] = field(default_factory=dict)
    compared: dict[str, dict[str, Task]] = field(default_factory=dict)
    map: Task | None = None
    # Tables, statistics and what shows them: `gathered`.
    tables: dict[str, Task] = field(default_factory=dict)
    figures: dict[str, Task] = field(default_factory=dict)
    summary: Task = field(init=False)
    statistics: Task = field(init=False)
    report: Task = field(init=False)
    page: Task = field(init=False)
    paper: Task = field(init=False)

    @property
    def home(self) -> str:
        """The folder of the study."""
        return f"{self.results}/{self.study.name}"

    @property
    def data(self) -> Task:
        """Images for training and testing."""
        return self.sets[DATA]

    @property
    def asked(self) -> list[Task]:
        """Requested tasks: all but runs, which students request unless the store has them."""
        runs = set(self.runs.values())
        return [task for task in self.tasks if task not in runs]

    def of(self, *stages: str) -> list[Task]:
        """Requested tasks of the given stages."""
        return [task for task in self.asked if task.stage in stages]

    def writer(self, path: str) -> Task | None:
        """Return the task that writes a file, None if no task does; files of a run belong to its student."""
        return self._writers.get(os.path.normpath(path))

    def of_key(self, key: str) -> list[Task]:
        """Return the tasks with a key: one, or several of the same result."""
        return self._by_key.get(key, [])

    @cached_property
    def _by_key(self) -> dict[str, list[Task]]:
        found: dict[str, list[Task]] = {}
        for task in self.tasks:
            found.setdefault(task.key, []).append(task)
        return found

    @cached_property
    def _writers(self) -> dict[str, Task]:
        writers = {path: task for task in self.asked for path in task.writes}
        return writers | {path: self.students[pair] for pair, run in self.runs.items() for path in run.writes}

    def training_images(self, chosen: int | None) -> int | None:
        """Return the number of training images, all (None) or `chosen`; None if only the split knows."""
        count = self.content.counts.get(DATA, {}).get("train")
        if chosen is not None or count is None:
            return chosen
        return self.study.data.left_to_train(count)

    def seen(self, name: str, view: View) -> Images:
        """Return an image set as jobs see it in a view."""
        task = self.sets[name]
        return sets_of(self.study)[name].seen(view, task.key, task.folder)

    def read_set(self, name: str) -> Read:
        """Return the task of an image set with all its files."""
        return self.sets[name], self.sets[name].job.files

    def machine(self, stage: str) -> Machine:
        """Return the machine settings that a stage needs."""
        compute = self.study.compute[stage]
        return Machine(compute["threads"], self.study.state_minutes, compute.get("images_at_a_time"))

    def add(
        self,
        stage: str,
        name: str,
        job: Any,
        writes: Iterable[str],
        reads: Iterable[Read] = (),
        by_name: Iterable[str] = (),
        *,
        folder: str | None = None,
        record_name: str = record.NAME,
    ) -> Task:
        """Add a task. Its files go to `folder` of the study or, without one, to the store under its key.

        `by_name`: modules that its stage imports by name; architectures it builds are added.
        """
        by_name = [*by_name, *architectures_in(job)]
        code = code_of(stage, *by_name)
        key = key_of(stage, job, code)
        if folder is None:
            scope, home = SHARED, f"{self.results}/{SHARED}/{'runs' if stage == 'students' else stage}/{key}"
        else:
            scope, home = self.study.name, os.path.join(self.home, folder).rstrip("/")
        reads = list(reads)
        task = Task(
            *(stage, name, key, replace(job, out=home) if hasattr(job, "out") else job, code),
            reads={other.path(file): other.record for other, files in reads for file in files},
            writes=tuple(f"{home}/{file}" for file in writes),
            record=f"{home}/{record_name}",
            scope=scope,
            by_name=tuple(by_name),
            needs=list(dict.fromkeys(other for other, _ in reads)),
        )
        self.tasks.append(task)
        return task
