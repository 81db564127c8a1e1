"""Tasks that make networks ready: images, networks, teacher outputs, students."""

import os
from dataclasses import replace

from ..extensions import TARGET_WEIGHTS
from ..spec.base import From
from ..spec.images import Images, View
from ..spec.network import Checkpoints
from ..spec.networks import EVALUATION_BATCH, NetworkJob, WeightsJob
from ..spec.runs import CHECKPOINT, RUN_FILES, network_files
from ..spec.students import RunJob
from ..spec.teacher_outputs import BATCH, TeacherOutputsJob, TeacherSource, file_of
from ..spec.training import TEACHER, Augmentation
from ..study.study import Source
from . import record
from .content import DATA, key_of, sets_of
from .graph import Graph, Read, Weights
from .memory import answered, evaluated
from .task import Task

TRAINED, CONTROL = "trained.safetensors", "control.safetensors"
# Outputs that a teacher has.
WEIGHTS_OF = dict(zip(TARGET_WEIGHTS, (TRAINED, CONTROL), strict=True))
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
    # The reference comes first: its range applies to all.
    names = sorted(study.networks, key=lambda name: name != study.reference)
    graph.by_network = {f"networks/{name}": _weights_of_network(graph, name) for name in names}
    graph.by_network |= {f"students/{arm}/seed{k}": _weights_of_student(graph, arm, k) for arm, k in pairs}


def _image_set(graph: Graph, name: str) -> Task:
    job = sets_of(graph.study)[name].job(graph.content.images[name], key_of(name))
    job = replace(job, machine=graph.machine("data"))
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
        # The key of weights says what they are; that of the task that fetches them also counts what is expected.
        weights = replace(fetched.files(RELEASED), key=graph.content.weights.get(name, fetched.job.source))
    elif network.source == "checkpoint" and network.weights is not None:
        weights = From(graph.content.weights[name], files=(network.weights,))
    trained, measures = network.recipe is not None, _splits(graph, name)
    evaluates = bool(measures) or network.head is not None
    job = NetworkJob(
        *(images, measures, study.view(name), study.model(name), network.seed, network.control),
        *(network.recipe, network.label_smoothing if trained else None, weights),
        head=network.head,
        batch=evaluated(study.model_info[name]) if evaluates else EVALUATION_BATCH,
        name=name,
        sha256=network.sha256,
        expected_top1=network.expected_top1,
        tolerance=network.tolerance,
        teaches=name in study.teachers and study.sorts(name),
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


def _teacher_outputs(graph: Graph) -> dict[tuple[Source, str], Task]:
    """Add the teachers' stored outputs, once for all students with the same views of the same images.

    Return (teacher, student) -> task for those students that do not query the teacher itself.
    """
    study = graph.study
    found: dict[tuple[Source, str], Task] = {}
    asking: dict[tuple[Source, View, int | None, Augmentation | None], list[str]] = {}
    for arm, variant in study.variants.items():
        recipe = study.students[variant.student].recipe
        for source in variant.sources if recipe.views is not None else ():
            shown = source, study.view(variant.student), recipe.train_images, recipe.augmentation
            asking.setdefault(shown, []).append(arm)
    for (source, view, train_images, augmentation), arms in asking.items():
        network, file = graph.networks[source.network], WEIGHTS_OF[source.weights]
        weights, parts = _weights_of_source(graph, source), tuple(study.asked_of(source, arms))
        job = TeacherOutputsJob(
            *(graph.seen(DATA, view), study.model(source.network), study.view(source.network), weights),
            train_images=train_images,
            augmentation=augmentation,
            batch=answered(study.model_info[source.network], parts),
            precision=study.teacher_precision,
            parts=parts,
            machine=graph.machine("teacher_outputs"),
            out="",
        )
        names, reads = map(file_of, job.parts), [graph.read_set(DATA), (network, [file])]
        task = graph.add("teacher_outputs", source.network, job, names, reads)
        found |= {(source, study.variants[arm].student): task for arm in arms}
    return found


def _weights_of_source(graph: Graph, source: Source) -> From:
    """Return the weights of a teacher; a trained network's key is that of its weights, others add their name."""
    file = WEIGHTS_OF[source.weights]
    weights = graph.networks[source.network].files(file)
    return weights if file == TRAINED else replace(weights, key=f"{weights.key}/{file}")


def _run(graph: Graph, arm: str, seed: int) -> Task:
    study, variant = graph.study, graph.study.variants[arm]
    name, student = variant.student, study.students[variant.student]
    reads: list[Read] = [graph.read_set(DATA)]
    teachers, stored = [], [graph.outputs.get((source, name)) for source in variant.sources]
    for source, outputs in zip(variant.sources, stored, strict=True):
        network, file = graph.networks[source.network], WEIGHTS_OF[source.weights]
        teachers.append(
            TeacherSource(
                *(study.model(source.network), study.view(source.network), study.model_info[source.network].size),
                weights=_weights_of_source(graph, source),
                stored=outputs is not None,
                batch=outputs.job.batch if outputs else BATCH,
                precision=study.teacher_precision,
                outputs=outputs.folder if outputs else None,
            )
        )
        # Stored outputs are checked against the teacher before use. They depend on its code, which counts, and on
        # nothing else that is missing from this key.
        reads.append((network, [file]))
    job = RunJob(
        *(graph.seen(DATA, study.view(name)), study.model(name), student.recipe, variant.terms),
        seed=seed,
        kept=student.checkpoints,
        gradient_logs=student.gradient_logs,
        size=study.model_info[name].size,
        teachers=tuple(teachers),
        study=study.name,
        label=f"{arm} seed {seed}",
        machine=graph.machine("students"),
        out="",
    )
    names = [*map(CHECKPOINT.format, student.checkpoints), "objective.safetensors", *RUN_FILES]
    by_name = [f"objectives.{term.objective}" for term in job.terms]
    by_name += [f"targets.{term.target}" for term in job.terms if term.target != TEACHER]
    by_name += ["objectives._calibration" for term in job.terms if term.weight is None]
    by_name += ["objectives._gate" for term in job.terms if term.moves is not None and term.moves.by == "cka"]
    task = graph.add("students", f"{arm}/seed{seed}", job, names, reads, dict.fromkeys(by_name))
    task.needs.extend(filter(None, stored))
    return task


def _student(graph: Graph, arm: str, seed: int) -> Task:
    """Add the run of an arm and seed as a student of the study: the same key, other paths."""
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
        *(study.model(name), (name, f"{name}_{network.control}"), None),
        *((network.recipe.epochs if network.recipe is not None else None, 0), ("trained", network.control)),
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
