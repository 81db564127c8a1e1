"""The tasks of a study that make networks ready: images, networks, the teacher's outputs, students."""

import os
from dataclasses import replace

from ..spec.base import From
from ..spec.images import Images
from ..spec.network import Checkpoints
from ..spec.networks import NetworkJob, WeightsJob
from ..spec.runs import CHECKPOINT, RUN_FILES, network_files
from ..spec.students import RunJob
from ..spec.teacher_outputs import TeacherOutputsJob, TeacherSource
from ..study.study import STUDENT
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
    pairs = [(variant, seed) for seed in (study.seeds if study.student else ()) for variant in study.variants]
    graph.runs = {pair: _run(graph, *pair) for pair in pairs}
    graph.students = {pair: _student(graph, *pair) for pair in pairs}
    # The reference comes first: its range is everybody's.
    names = sorted(study.networks, key=lambda name: name != study.reference)
    graph.by_network = {f"networks/{name}": _weights_of_network(graph, name) for name in names}
    graph.by_network |= {f"students/{variant}/seed{k}": _weights_of_student(graph, variant, k) for variant, k in pairs}


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
        teaches=name == study.teacher,
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


def _teacher_outputs(graph: Graph) -> Task | None:
    """Add the outputs that are stored; None where students ask the teacher itself, or nothing."""
    study = graph.study
    asking = [variant for variant in study.variants if study.needs_teacher(variant)]
    if not asking or not study.caches_teacher:
        return None
    student, teacher = study.distillation
    network, recipe = graph.networks[teacher], student.recipe
    job = TeacherOutputsJob(
        *(graph.seen(DATA, study.view(STUDENT)), study.model(teacher), network.files(TRAINED)),
        *(recipe.train_images, recipe.augmentation),
        blocks=tuple(study.teacher_blocks(*asking)),
        machine=graph.machine("teacher_outputs"),
        out="",
    )
    names = ["logits.npy", *(f"block{block:02d}.npy" for block in job.blocks)]
    return graph.add("teacher_outputs", "", job, names, [graph.read_set(DATA), (network, [TRAINED])])


def _run(graph: Graph, variant: str, seed: int) -> Task:
    study, outputs, (student, teacher) = graph.study, graph.outputs, graph.study.distillation
    source: TeacherSource | None = None
    reads: list[Read] = [graph.read_set(DATA)]
    if study.needs_teacher(variant):
        network, shapes = graph.networks[teacher], study.model_info[teacher].shapes
        stored = outputs.folder if outputs else None
        source = TeacherSource(
            study.model(teacher), shapes, network.files(TRAINED), outputs is not None, outputs=stored
        )
        # The stored outputs are checked against the teacher before they are used; they are made by its code, which
        # counts, and by nothing else that is not in this key.
        reads.append((network, [TRAINED]))
    job = RunJob(
        *(graph.seen(DATA, study.view(STUDENT)), study.model(STUDENT), student.recipe, study.variants[variant]),
        *(seed, student.checkpoints, study.model_info[STUDENT].shapes, source),
        study=study.name,
        label=f"{variant} seed {seed}",
        machine=graph.machine("students"),
        out="",
    )
    names = [*map(CHECKPOINT.format, student.checkpoints), "objective.safetensors", *RUN_FILES]
    task = graph.add(
        "students", f"{variant}/seed{seed}", job, names, reads, [f"objectives.{term.name}" for term in job.terms]
    )
    if source and outputs:
        task.needs.append(outputs)
    return task


def _student(graph: Graph, variant: str, seed: int) -> Task:
    """Add the run of a variant and seed as it is published in the study: the same key, other paths."""
    run, folder = graph.runs[variant, seed], f"{graph.home}/students/{variant}/seed{seed}"
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


def _weights_of_student(graph: Graph, variant: str, seed: int) -> Weights:
    study, task, epochs = graph.study, graph.students[variant, seed], graph.study.distillation[0].checkpoints
    files = tuple(map(CHECKPOINT.format, epochs))
    checkpoints = Checkpoints(
        *(study.model(STUDENT), (variant,) * len(epochs), seed),
        *(epochs, tuple(f"epoch{epoch:03d}" for epoch in epochs)),
        *(study.model_info[STUDENT].shapes, task.files(*files)),
    )
    return Weights(checkpoints, task, files, STUDENT, seed)
