"""Entry of a workflow: the jobs of its study, and the plan under the given command."""

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

from .. import gpus
from ..data.reading import check_broken
from ..errors import StudyError
from ..files import NO_ROOM, read_json, write_json
from ..networks.acceptance import check_stored, check_teacher
from ..spec.data import PICTURES
from ..spec.faults import read, refuse
from ..study.counts import image_faults
from ..study.keys import Configuration
from ..study.notes import architecture_notes, resampling_notes, view_notes
from ..study.recipes import average_notes
from ..study.study import Study
from . import costs, own, provenance, tried
from .build import build_graph
from .content import Content, key_of, sets_of
from .gathered import left_out
from .graph import Graph
from .hashes import Hashes
from .plan import Plan
from .task import BATCHED, CARRYING, TARGETS, TASKS, Task

# Environment variable with the file of content hashes, which saves jobs on other machines from reading all inputs.
CONTENT = "DISTILLATION_DYNAMICS_CONTENT"

# Stages whose tasks are divided over jobs, according to their resources.
SHARED_OUT = ("students", "measure", "compare", "tables")


def check_folders(*folders: str) -> None:
    """Raise StudyError naming the first of `folders` (created if needed) that is not writable."""
    for folder in folders:
        # Nearest existing path, which may be a file or a dangling link.
        there = next(path for path in (Path(folder), *Path(folder).absolute().parents) if os.path.lexists(path))
        try:
            with tempfile.TemporaryFile(dir=there):
                pass
        except OSError as error:
            if error.errno in NO_ROOM:
                remedy = "free some space there"
            elif not there.is_dir():
                remedy = "it must be a folder: move away what is there"
            else:
                remedy = "make it writable, or work in a copy of the project on a disk where you may write"
            raise StudyError(f"{folder}: nothing can be written there ({error.strerror}); {remedy}") from error


def where(project: Path) -> str:
    """Return a note on relative paths for a command given outside the project's folder; "" inside it."""
    if not project.is_dir() or project.samefile("."):
        return ""
    return (
        f"\n(paths are relative to the working directory, {Path.cwd()}; `--directory {os.path.relpath(project)}` works "
        "in that of the Snakefile)"
    )


def content_of(study: Study, hashes: Hashes) -> Content:
    """Return hashes of images and weights, and the texts of the metrics' columns.

    Raises StudyError as both do, or if there are fewer images than the study needs.
    """
    content, sets = Content.read(study, hashes), sets_of(study)
    if any(content.counts[name] != data.rows for name, data in sets.items()):
        # For folders this is known only now.
        counts = {key_of(name): content.counts[name] for name in sets}
        refuse(image_faults(read(Configuration, study.configuration), study.data, counts))
    return replace(content, columns=tried.columns(study))


def graph_of(study: Study, is_main: bool) -> tuple[Graph, Hashes]:
    """Return the jobs of a study and the hashes that its main process remembers.

    Raises StudyError if images or weights cannot be read or are not as expected, or if a metric fails.
    """
    hashes = Hashes("results" if is_main else None)
    known = os.environ.get(CONTENT)
    content = own.read(known, Content) if known and not is_main else None
    if content is None:
        content = content_of(study, hashes)
        hashes.save()
    if is_main:
        name = hashlib.sha256(repr(sorted(vars(content).items())).encode()).hexdigest()[:12]
        path = f"{TASKS}/content/{name}.json"
        write_json(path, vars(content))
        os.environ[CONTENT] = path
    graph = build_graph(study, content)
    if is_main:
        averages = average_notes(study, lambda recipe: graph.training_images(recipe.train_images))
        of_networks = *view_notes(study), *resampling_notes(study), *architecture_notes(study)
        for note in (*of_networks, *averages, *equal_notes(graph), *figure_notes(graph)):
            print(f"note: {note}", file=sys.stderr)
    return graph, hashes


def equal_notes(graph: Graph) -> Iterator[str]:
    """Yield a note on variants that are the same training under several names."""
    alike: dict[str, list[str]] = {}
    for (arm, seed), run in graph.runs.items():
        if seed == graph.study.seeds[0]:
            alike.setdefault(run.key, []).append(arm)
    for arms in (arms for arms in alike.values() if len(arms) > 1):
        yield f"variants: {', '.join(arms)} have equal terms: they are one training, under several names"


def figure_notes(graph: Graph) -> Iterator[str]:
    """Yield a note on figures left out because the study does not measure what they show."""
    if lacking := left_out(graph):
        what = sorted(set().union(*lacking.values()))
        yield f"figures left out: {', '.join(lacking)}, since the study does not measure {', '.join(what)}"


def plan_of(graph: Graph, hashes: Hashes, workflow) -> Plan:
    """Return the plan for Snakemake's command, and update flags and tasks.

    Raises StudyError if a network is not as expected or the command is contradictory.
    """
    if "--delete-all-output" in sys.argv:
        raise StudyError(
            "--delete-all-output: records, not Snakemake, decide which results are valid; "
            f"`make clear STUDY={graph.study.name}` deletes those of the study"
        )
    if graph.content.missing is not None:
        if not workflow.dryrun:
            raise StudyError(graph.content.missing)
        print(f"does not exist yet: {graph.content.missing}", file=sys.stderr)
    settings = workflow.dag_settings
    slots = _slots(graph.study, workflow.resource_settings)
    plan = Plan(graph, hashes, _forced(graph, settings), slots, _asked(graph, settings))
    hashes.save()
    for task in plan.tasks:
        due = task in plan.reasons
        if task.stage == "teacher_outputs" and due and (size := costs.outputs_bytes(graph, task)) is not None:
            check_stored(size, task.folder)
        if task.stage == "data" and not due:
            _check_left_out(task)
        if task.stage == "networks" and not due:
            job, result = task.job, read_json(task.path("result.json"))
            check_teacher(job.name, result, job.expected_top1, job.tolerance, job.teaches)
    # Without an executor Snakemake only shows a report or a summary.
    begin = workflow.executor_plugin is not None and not (workflow.dryrun or workflow.touch)
    plan.settle(begin)
    if begin and (plan.reasons or own.read(Path(graph.home, provenance.STUDY_FILE), dict) is None):
        provenance.write(graph)
    plan.say()
    return plan


def _check_left_out(task: Task) -> None:
    """Raise StudyError if an existing split leaves out more images than the study now allows."""
    said = read_json(task.path(PICTURES))
    broken = {source: one["broken"] for source, one in said.items()}
    images = {source: one["images"] + len(one["broken"]) for source, one in said.items()}
    check_broken(broken, images, task.job.broken_images, task.job.key)


def _asked(graph: Graph, settings) -> list[Task] | None:
    """Return the tasks that a command requests by target or path; None if it requests all."""
    named = [_named(graph, target) for target in settings.targets]
    if not named or not all(named):
        return None
    # Snakemake treats these as targets, too.
    others = [task for path in (*settings.forcerun, *settings.until) if (task := graph.writer(path))]
    return [*chain.from_iterable(named), *others]


def _named(graph: Graph, target: str) -> list[Task]:
    """Return the tasks that a target names."""
    if target in TARGETS:
        return graph.of(*TARGETS[target])
    task = graph.writer(target)
    return [] if task is None else [task]


def _forced(graph: Graph, settings) -> Callable[[Task], bool]:
    """Return a function that says whether the command forces a task: by stage, file, flag, or --forceall."""
    asked = set(settings.forcerun)
    names = asked | {CARRYING[rule] for rule in CARRYING.keys() & asked}
    stages = names.union(*(known[name] for known in (BATCHED, TARGETS) for name in known.keys() & names))
    writers = {graph.writer(path) for path in asked}

    def forced(task: Task) -> bool:
        return settings.forceall or task.stage in stages or task in writers or task.flag in asked

    return forced


def _slots(study: Study, settings) -> dict[str, int | None]:
    """Return the number of jobs of each stage that run at a time; None on a cluster."""
    if settings.nodes is not None:
        return dict.fromkeys(SHARED_OUT, None)
    slots, here = {}, len(gpus.visible())
    for stage in SHARED_OUT:
        gpu, threads = study.compute[stage]["gpu"], study.compute[stage]["threads"]
        slots[stage] = max(1, here // gpu if gpu and here else (settings.cores or 1) // threads)
    return slots
