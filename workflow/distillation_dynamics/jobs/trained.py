"""The tasks of a study that make networks ready: images, networks, the teacher's outputs, students."""

import os
from dataclasses import replace

from ..spec.base import From
from ..spec.images import Images, View
from ..spec.network import Checkpoints
from ..spec.networks import NetworkJob, WeightsJob
from ..spec.runs import CHECKPOINT, RUN_FILES, network_files
from ..spec.students import RunJob
from ..spec.teacher_outputs import TeacherOutputsJob, TeacherSource
from ..spec.training import Augmentation
from . import record
from .content import DATA, key_of, sets_of
from .graph import Graph, Read, Weights
from .task import Task

TRAINED, CONTROL = "trained.safetensors", "control.safetensors"
RELEASED = "model.safetensors"


def add(graph: Graph) -> None:
    """Add the tasks to a graph."""
    study = graph.study
    graph.sets = {name: _image_set(graph, name) for name in sets_of(study)}
    graph.released = {n: _released(graph, n) for n, network in study.networks.items() if network.source == "timm"}
    graph.networks = {name: _network(graph, name) for name in study.networks}
    graph.outputs = _teacher_outputs(graph)
    pairs = [(arm, seed) for seed in study.seeds for arm in study.variants]
    graph.runs = {pair: _run(graph, *pair) for pair in pairs}
    graph.students = {pair: _student(graph, *pair) for pair in pairs}
    # The reference comes first: its range is everybody's.
    names = sorted(study.networks, key=lambda name: name != study.reference)
    graph.by_network = {f"networks/{name}": _weights_of_network(graph, name) for name in names}
    graph.by_network |= {f"students/{arm}/seed{k}": _weights_of_student(graph, arm, k) for arm, k in pairs}


def _image_set(graph: Graph, name: str) -> Task:
    job = sets_of(graph.study)[name].job(graph.content.images[name], key_of(name))
    return graph.add("data", name, job, job.files, by_name=[f"data.sources.{job.source}"])


def _released(graph: Graph, name: str) -> Task:
    network = graph.study.networks[name]
    assert network.weights is not None
    job = WeightsJob(network.weights, graph.content.weights.get(name), network.sha256, name=name, out="")
    return graph.add("network_weights", name, job, [RELEASED, "source.json"])


def _network(graph: Graph, name: str) -> Task:
    study, network = graph.study, graph.study.networks[name]
    reads: list[Read] = []
    weights: From | None = None
    images: Images | None = None
    if network.recipe is not None or study.sorts(name):
        reads.append(graph.read_set(DATA))
        images = graph.seen(DATA, study.view(name))
    if network.source == "timm":
        fetched = graph.released[name]
        reads.append((fetched, [RELEASED]))
        # The key of weights is what they are; that of the task that fetches them also counts what is expected.
        weights = replace(fetched.files(RELEASED), key=graph.content.weights.get(name, fetched.job.source))
    elif network.source == "checkpoint" and network.weights is not None:
        weights = From(graph.content.weights[name], files=(network.weights,))
    trained = network.recipe is not None
    job = NetworkJob(
        *(images, _splits(graph, name), study.view(name), study.model(name), network.seed, network.control),
        *(network.recipe, network.label_smoothing if trained else None, weights),
        name=name,
        sha256=network.sha256,
        expected_top1=network.expected_top1,
        tolerance=network.tolerance,
        teaches=name in study.teachers,
        machine=graph.machine("networks"),
        out="",
    )
    by_name = ["objectives.cross_entropy"] if trained else []
    return graph.add("networks", name, job, network_files(job), reads, by_name)


def _splits(graph: Graph, name: str) -> tuple[str, ...]:
    """Return the splits on which a network's accuracy is measured."""
    if not graph.study.sorts(name):
        return ()
    return ("validation", "test") if graph.study.data.validation else ("test",)


def _teacher_outputs(graph: Graph) -> dict[tuple[str, str], Task]:
    """Add the outputs that are stored, once for all students who see the same views of the same images.

    Return (teacher, student) -> task, of those students who do not ask the teacher itself.
    """
    study = graph.study
    found: dict[tuple[str, str], Task] = {}
    asking: dict[tuple[str, View, int | None, Augmentation | None], list[str]] = {}
    for arm, variant in study.variants.items():
        recipe = study.students[variant.student].recipe
        if study.needs_teacher(arm) and recipe.views is not None:
            shown = variant.teacher, study.view(variant.student), recipe.train_images, recipe.augmentation
            asking.setdefault(shown, []).append(arm)
    for (teacher, view, train_images, augmentation), arms in asking.items():
        network = graph.networks[teacher]
        job = TeacherOutputsJob(
            *(graph.seen(DATA, view), study.model(teacher), network.files(TRAINED), train_images, augmentation),
            blocks=tuple(study.teacher_blocks(*arms)),
            machine=graph.machine("teacher_outputs"),
            out="",
        )
        names = ["logits.npy", *(f"block{block:02d}.npy" for block in job.blocks)]
        task = graph.add("teacher_outputs", teacher, job, names, [graph.read_set(DATA), (network, [TRAINED])])
        found |= {(teacher, study.variants[arm].student): task for arm in arms}
    return found


def _run(graph: Graph, arm: str, seed: int) -> Task:
    study, variant = graph.study, graph.study.variants[arm]
    name, teacher = variant.student, variant.teacher
    student, outputs = study.students[name], graph.outputs.get((teacher, name))
    source: TeacherSource | None = None
    reads: list[Read] = [graph.read_set(DATA)]
    if study.needs_teacher(arm):
        network, shapes = graph.networks[teacher], study.model_info[teacher].shapes
        stored = outputs.folder if outputs else None
        source = TeacherSource(
            study.model(teacher), shapes, network.files(TRAINED), outputs is not None, outputs=stored
        )
        # The stored outputs are checked against the teacher before they are used; they are made by its code, which
        # counts, and by nothing else that is not in this key.
        reads.append((network, [TRAINED]))
    job = RunJob(
        *(graph.seen(DATA, study.view(name)), study.model(name), student.recipe, variant.terms),
        *(seed, student.checkpoints, study.model_info[name].shapes, source),
        study=study.name,
        label=f"{arm} seed {seed}",
        machine=graph.machine("students"),
        out="",
    )
    names = [*map(CHECKPOINT.format, student.checkpoints), "objective.safetensors", *RUN_FILES]
    task = graph.add(
        "students", f"{arm}/seed{seed}", job, names, reads, [f"objectives.{term.name}" for term in job.terms]
    )
    if source and outputs:
        task.needs.append(outputs)
    return task


def _student(graph: Graph, arm: str, seed: int) -> Task:
    """Add the run of an arm and seed as it is published in the study: the same key, other paths."""
    run, folder = graph.runs[arm, seed], f"{graph.home}/students/{arm}/seed{seed}"
    task = replace(
        run,
        job=replace(run.job, out=folder),
        writes=tuple(f"{folder}/{os.path.relpath(path, run.folder)}" for path in run.writes),
        record=f"{folder}/{record.NAME}",
        scope=graph.study.name,
        needs=[run],
    )
    graph.tasks.append(task)
    return task


def _weights_of_network(graph: Graph, name: str) -> Weights:
    study, task, network = graph.study, graph.networks[name], graph.study.networks[name]
    checkpoints = Checkpoints(
        *(study.model(name), (name, f"{name}_{network.control}"), -1),
        *((network.recipe.epochs if network.recipe is not None else -1, 0), ("trained", network.control)),
        *(study.model_info[name].shapes, task.files(TRAINED, CONTROL)),
    )
    return Weights(checkpoints, task, (TRAINED, CONTROL), name, None)


def _weights_of_student(graph: Graph, arm: str, seed: int) -> Weights:
    study, task, name = graph.study, graph.students[arm, seed], graph.study.variants[arm].student
    epochs = study.students[name].checkpoints
    files = tuple(map(CHECKPOINT.format, epochs))
    checkpoints = Checkpoints(
        *(study.model(name), (arm,) * len(epochs), seed),
        *(epochs, tuple(f"epoch{epoch:03d}" for epoch in epochs)),
        *(study.model_info[name].shapes, task.files(*files)),
    )
    return Weights(checkpoints, task, files, name, seed)
