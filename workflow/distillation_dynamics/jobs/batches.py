"""Groups jobs that one process carries out: trainings of a cohort, measurements and comparisons, tables.

Each batch is one Snakemake job; its members keep their own keys, records and files.
"""

import hashlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from ..files import read_json
from ..spec.base import counted, to_json
from .task import FLAGS, GATHERING, TASKS, Task

BATCHES = f"{TASKS}/batches"
# Limits of a batch's name: members listed, and characters.
MOST_NAMES, LONGEST_NAME = 4, 100
# Trainings per job on a cluster, whose free GPUs are unknown: one loader can feed about this many in the published
# study.
ON_A_CLUSTER = 8
# From this many figures without statistics on, they get their own process next to that of the statistics: drawing one
# takes a second or more, starting a process three.
MANY_FIGURES = 8

Member = TypeVar("Member")


@dataclass(frozen=True)
class Batch:
    """Work of one process: a cohort of trainings, the metrics of some networks, or all tables."""

    stage: str
    tasks: tuple[Task, ...]

    @cached_property
    def name(self) -> str:
        """Variants and seeds of the members, for logs and a cluster's queue; followed by a hash of their keys."""
        parts = [split(network_of(task)) for task in self.tasks] if self.stage != "tables" else []
        names, seeds = (list(dict.fromkeys(filter(None, column))) for column in zip(*parts, ("", ""), strict=True))
        more = [f"{len(names) - MOST_NAMES}more"] if len(names) > MOST_NAMES else []
        members = "+".join([*names[:MOST_NAMES], *more]).replace("/", "-")[:LONGEST_NAME]
        key = hashlib.sha256(" ".join(task.key for task in self.tasks).encode()).hexdigest()[:12]
        return "-".join(filter(None, [members, "+".join(f"seed{s}" for s in seeds), key]))

    @cached_property
    def flag(self) -> str:
        """File that exists from the end of the batch's job until everything that waits for it is done."""
        return f"{FLAGS}/batches/{self.stage}/{self.name}"

    @property
    def file(self) -> str:
        """File that lists the members for the process that carries them out."""
        return f"{BATCHES}/{self.stage}/{self.name}.json"


def members(stage: str, name: str) -> dict[str, Any]:
    """Return the content of a batch's file: the files of its tasks and the flags it waits for."""
    return read_json(f"{BATCHES}/{stage}/{name}.json")


def label_of(task: Task) -> str:
    """Return the label of a batch's member: variant and seed, network, or stage."""
    if task.stage in GATHERING:
        return task.stage
    return task.job.label if task.stage == "students" else network_of(task)


def network_of(task: Task) -> str:
    """Return the network of a measurement or training, the two networks of a comparison, or else the stage."""
    if task.stage == "students":
        return f"students/{task.name}"
    return task.name.rpartition("/")[0] or task.stage


def split(network: str) -> tuple[str, str]:
    """Return name and seed of a network: `students/soft/seed0` gives (soft, 0), `networks/vit` gives (vit, "")."""
    kind, _, name = network.partition("/")
    name, _, seed = name.partition("/seed") if kind == "students" else (name or kind, "", "")
    return name, seed


def cohorts(due: Iterable[Task], size: int | None, slots: int | None) -> list[Batch]:
    """Divide the due trainings of each student and seed into jobs that keep all slots busy; equal trainings run once.

    The trainings of a job share model, images and batches.
    """
    alike: dict[str, list[Task]] = {}
    for task in {task.key: task for task in due}.values():
        job = task.job
        alike.setdefault(to_json(counted([job.images, job.model, job.recipe, job.seed])), []).append(task)
    return [Batch("cohorts", tuple(tasks)) for tasks in dealt(alike, size, slots)]


def of_networks(rule: str, due: Iterable[Task], reference: str, size: int | None, slots: int | None) -> Iterator[Batch]:
    """Divide the due tasks of networks or pairs into jobs: the reference alone, students by seed or a few seeds."""
    by_part: dict[str, dict[str, list[Task]]] = {}
    for task in due:
        network = network_of(task)
        part = network if network == reference else split(network)[1]
        by_part.setdefault(part, {}).setdefault(network, []).append(task)
    alone = {reference: by_part.pop(reference)} if reference in by_part else {}
    for share in (alone, by_part):
        networks = {part: list(tasks.values()) for part, tasks in share.items()}
        if size is None and slots is not None:
            networks = together(networks, slots)
        counts = {part: sum(map(len, tasks)) for part, tasks in networks.items()}
        shares = {part: count / sum(counts.values()) for part, count in counts.items()}
        for members in dealt(networks, size, slots, shares):
            yield Batch(rule, tuple(task for tasks in members for task in tasks))


def gathering(due: list[Task], statistics: Task, ends: tuple[Task, ...], slots: int | None) -> Iterator[Batch]:
    """Yield the batches of tables, statistics, report and figures; with a free slot, figures are drawn in parallel.

    Stages in `ends` wait for all others.
    """
    last = [task for task in due if statistics in (task, *task.needs) and task not in ends]
    figures = [task for task in due if task.stage == "figures" and task not in last]
    first = [task for task in due if task not in (*last, *figures, *ends)]
    in_parts = slots is not None and slots > 1 and len(figures) >= MANY_FIGURES
    for part in (first, last, figures, [task for task in due if task in ends]) if in_parts else (due,):
        if part:
            yield Batch("tables", tuple(part))


def together(networks: dict[str, list[list[Task]]], slots: int) -> dict[str, list[list[Task]]]:
    """Return networks by seed, neighbouring seeds as one while they are at most half of a slot's work.

    Starting a process takes as long as measuring the students of a seed in a small study.
    """
    most = sum(len(tasks) for part in networks.values() for tasks in part) / (2 * slots)
    found: list[tuple[str, list[list[Task]]]] = []
    for seed, own in networks.items():
        if found and sum(map(len, [*found[-1][1], *own])) <= most:
            found[-1][1].extend(own)
        else:
            found.append((seed, list(own)))
    return dict(found)


def dealt(
    by_seed: dict[Any, list[Member]], size: int | None, slots: int | None, shares: dict[Any, float] | None = None
) -> Iterator[list[Member]]:
    """Yield the members of each job: at most `size` per job, or divided so that all slots are busy.

    `shares`: each seed's share of the work. Seeds with more than half of a slot's work are split, since all others
    would wait for them at the end.
    """
    for seed, members in by_seed.items():
        if size is not None:
            count = math.ceil(len(members) / size)
        elif slots is None:
            count = math.ceil(len(members) / ON_A_CLUSTER)
        else:
            uneven = round(2 * slots * shares[seed]) if shares and slots > 1 else 1
            count = min(len(members), max(uneven, math.ceil(slots / len(by_seed))))
        for number in range(count):
            # Dealt in turn, so that cheap variants and those that query the teacher spread evenly.
            yield members[number::count]
