"""The jobs of a study that make networks ready: images, networks, the teacher's outputs, students."""

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from ..spec.base import From
from ..spec.images import Images, View
from ..spec.machine import Machine
from ..spec.network import Checkpoints
from ..spec.networks import NetworkJob, WeightsJob
from ..spec.runs import CHECKPOINT, RUN_FILES, network_files
from ..spec.students import RunJob
from ..spec.teacher_outputs import TeacherOutputsJob, TeacherSource
from ..spec.training import Recipe
from ..study.study import STUDENT, Study
from . import record
from .content import DATA, Content, sets_of
from .content import key_of as set_key
from .task import SHARED, Task, code_of, key_of


class Trained:
    """The jobs of a study up to its networks. `tasks` lists all jobs, each behind those that it reads from.

    Networks are called `networks/<name>` and `students/<variant>/seed<seed>`.
    """

    def __init__(self, study: Study, content: Content, results: str = "results"):
        self.study, self.content, self.results = study, content, results
        self.home = f"{results}/{study.name}"
        self.tasks: list[Task] = []
        self.variants, self.seeds = list(study.variants), study.seeds if study.student else ()
        self.sets = {name: self._data(name) for name in sets_of(study)}
        self.data = self.sets[DATA]
        self.weights = {n: self._weights(n) for n, network in study.networks.items() if network.source == "timm"}
        self.networks = {name: self._network(name) for name in study.networks}
        stored = self._stored_blocks()
        self.outputs = None if stored is None else self._teacher_outputs(tuple(stored))
        pairs = [(variant, seed) for seed in self.seeds for variant in self.variants]
        self.runs = {pair: self._run(*pair) for pair in pairs}
        self.students = {pair: self._student(*pair) for pair in pairs}
        self.by_network = {student_name(*pair): pair for pair in pairs}
        # The reference comes first: its range is everybody's.
        first = f"networks/{study.reference}"
        self.names = [first, *(n for n in map("networks/{}".format, study.networks) if n != first), *self.by_network]

    def training_images(self, recipe: Recipe) -> int | None:
        """Return how many images a recipe trains on; None where that is not known before they are split."""
        count = self.content.counts.get(DATA, {}).get("train")
        if recipe.train_images is not None or count is None:
            return recipe.train_images
        return self.study.data.left_to_train(count)

    def seen(self, name: str, view: View) -> Images:
        """Return an image set as jobs get it in a view."""
        task = self.sets[name]
        return sets_of(self.study)[name].seen(view, task.key, task.folder)

    def add(
        self,
        stage: str,
        name: str,
        job: Any,
        folder: Callable[[str], str] | str,
        writes: Iterable[str],
        reads: Iterable[tuple[Task, Iterable[str]]] = (),
        by_name: Iterable[str] = (),
        record_name: str = record.NAME,
        scope: str | None = None,
    ) -> Task:
        """Add a job; `by_name` are modules that its stage loads by name, `reads` tasks with names of their files."""
        code = code_of(stage, *by_name)
        key = key_of(stage, job, code)
        folder = folder if isinstance(folder, str) else folder(key)
        job = replace(job, out=folder) if hasattr(job, "out") else job
        reads = [(other, list(names)) for other, names in reads]
        task = Task(
            *(stage, name, key, job, code),
            reads={other.path(file): other.record for other, names in reads for file in names},
            writes=tuple(f"{folder}/{file}" for file in writes),
            record=f"{folder}/{record_name}",
            scope=scope or self.study.name,
            needs=list(dict.fromkeys(other for other, _ in reads)),
        )
        self.tasks.append(task)
        return task

    def _shared(self, stage: str) -> Callable[[str], str]:
        return lambda key: f"{self.results}/{SHARED}/{stage}/{key}"

    def machine(self, stage: str) -> Machine:
        """Return what a stage must know of the machine."""
        compute = self.study.compute[stage]
        return Machine(compute["threads"], self.study.state_minutes, compute.get("images_at_a_time"))

    def reads_set(self, name: str) -> tuple[Task, tuple[str, ...]]:
        """Return an image set and its files."""
        return self.sets[name], self.sets[name].job.files

    def _data(self, name: str) -> Task:
        job = sets_of(self.study)[name].job(self.content.images[name], set_key(name))
        by_name = [f"data.sources.{job.source}"]
        return self.add("data", name, job, self._shared("data"), job.files, by_name=by_name, scope=SHARED)

    def _weights(self, name: str) -> Task:
        network = self.study.networks[name]
        assert network.weights is not None
        job = WeightsJob(network.weights, self.content.weights.get(name), network.sha256, name=name, out="")
        names = ["model.safetensors", "source.json"]
        return self.add("network_weights", name, job, self._shared("network_weights"), names, scope=SHARED)

    def _network(self, name: str) -> Task:
        study, network = self.study, self.study.networks[name]
        reads: list[tuple[Task, Iterable[str]]] = []
        weights: From | None = None
        images: Images | None = None
        if network.recipe is not None or study.sorts(name):
            reads.append(self.reads_set(DATA))
            images = self.seen(DATA, study.view(name))
        if network.source == "timm":
            reads.append((self.weights[name], ["model.safetensors"]))
            # The key of weights is what they are; that of the job that fetches them also counts what is expected.
            fetched = self.weights[name]
            own = self.content.weights.get(name, fetched.job.source)
            weights = replace(fetched.files("model.safetensors"), key=own)
        elif network.source == "checkpoint" and network.weights is not None:
            weights = From(self.content.weights[name], files=(network.weights,))
        trained = network.recipe is not None
        job = NetworkJob(
            *(images, self._splits(name), study.view(name), study.model(name), network.seed, network.control),
            *(network.recipe, network.label_smoothing if trained else None, weights),
            name=name,
            sha256=network.sha256,
            expected_top1=network.expected_top1,
            tolerance=network.tolerance,
            teaches=name == study.teacher,
            machine=self.machine("networks"),
            out="",
        )
        by_name = ["objectives.cross_entropy"] if trained else []
        return self.add(
            "networks", name, job, self._shared("networks"), network_files(job), reads, by_name, scope=SHARED
        )

    def _splits(self, name: str) -> tuple[str, ...]:
        """The splits on which a network's accuracy is measured."""
        if not self.study.sorts(name):
            return ()
        return ("validation", "test") if self.study.data.validation else ("test",)

    def _stored_blocks(self) -> list[int] | None:
        """The blocks whose outputs are stored; None where students ask the teacher itself, or nothing."""
        asking = [variant for variant in self.variants if self.study.needs_teacher(variant)]
        return self.study.teacher_blocks(*asking) if asking and self.study.caches_teacher else None

    def _teacher_outputs(self, blocks: tuple[int, ...]) -> Task:
        study, (student, teacher) = self.study, self.study.distillation
        task, recipe = self.networks[teacher], student.recipe
        job = TeacherOutputsJob(
            *(self.seen(DATA, study.view(STUDENT)), study.model(teacher), task.files("trained.safetensors")),
            *(recipe.train_images, recipe.augmentation),
            blocks=blocks,
            machine=self.machine("teacher_outputs"),
            out="",
        )
        names = ["logits.npy", *(f"block{block:02d}.npy" for block in job.blocks)]
        reads = [self.reads_set(DATA), (task, ["trained.safetensors"])]
        return self.add("teacher_outputs", "", job, self._shared("teacher_outputs"), names, reads, scope=SHARED)

    def _run(self, variant: str, seed: int) -> Task:
        study, (student, teacher) = self.study, self.study.distillation
        source: TeacherSource | None = None
        reads: list[tuple[Task, Iterable[str]]] = [self.reads_set(DATA)]
        if study.needs_teacher(variant):
            weights = self.networks[teacher].files("trained.safetensors")
            outputs = self.outputs.folder if self.outputs else None
            shapes = study.model_info[teacher].shapes
            source = TeacherSource(study.model(teacher), shapes, weights, self.outputs is not None, outputs=outputs)
            # The stored outputs are checked against the teacher before they are used; they are made by its code, which
            # counts, and by nothing else that is not in this key.
            reads.append((self.networks[teacher], ["trained.safetensors"]))
        job = RunJob(
            *(self.seen(DATA, study.view(STUDENT)), study.model(STUDENT), student.recipe, study.variants[variant]),
            *(seed, student.checkpoints, study.model_info[STUDENT].shapes, source),
            study=study.name,
            label=f"{variant} seed {seed}",
            machine=self.machine("students"),
            out="",
        )
        names = [*map(CHECKPOINT.format, student.checkpoints), "objective.safetensors", *RUN_FILES]
        by_name = [f"objectives.{term.name}" for term in job.terms]
        name = f"{variant}/seed{seed}"
        task = self.add("students", name, job, self._shared("runs"), names, reads, by_name, scope=SHARED)
        if source and self.outputs:
            task.needs.append(self.outputs)
        return task

    def _student(self, variant: str, seed: int) -> Task:
        """The run of a variant and seed, published in the study: the same key, other paths."""
        run, folder = self.runs[variant, seed], f"{self.home}/students/{variant}/seed{seed}"
        task = replace(
            run,
            job=replace(run.job, out=folder),
            writes=tuple(f"{folder}/{os.path.relpath(path, run.folder)}" for path in run.writes),
            record=f"{folder}/{record.NAME}",
            scope=self.study.name,
            needs=[run],
        )
        self.tasks.append(task)
        return task

    def checkpoints(self, network: str) -> tuple[Checkpoints, Task, list[str]]:
        """Return what is measured of a network, and the job and files with its weights."""
        study = self.study
        kind, name = network.split("/")[:2]
        names: tuple[str, ...]
        epochs: tuple[int, ...]
        folders: tuple[str, ...]
        if kind == "networks":
            own, task, owner, seed = study.networks[name], self.networks[name], name, -1
            epochs = own.recipe.epochs if own.recipe is not None else -1, 0
            files = ["trained.safetensors", "control.safetensors"]
            names, folders = (name, f"{name}_{own.control}"), ("trained", own.control)
        else:
            variant, seed = self.by_network[network]
            task, owner, epochs = self.students[variant, seed], STUDENT, study.distillation[0].checkpoints
            files = list(map(CHECKPOINT.format, epochs))
            names, folders = (variant,) * len(epochs), tuple(f"epoch{epoch:03d}" for epoch in epochs)
        shapes, weights = study.model_info[owner].shapes, task.files(*files)
        return Checkpoints(study.model(owner), names, seed, epochs, folders, shapes, weights), task, files


def student_name(variant: str, seed: int) -> str:
    """Return the name of a student among the networks of a study."""
    return f"students/{variant}/seed{seed}"
