"""Decides what must run and why: compares the tasks of a study with the records next to its files.

A job is due if its files are missing, made for another key, damaged, or made from inputs that differ from the present
ones, or if one of its inputs is due. Due trainings form cohorts; due metrics of students form batches. A student whose
run is finished in the store is only linked into the study. Tables, statistics, report, figures and page form one batch.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from ..files import write_json
from . import own, record
from .batches import Batch, cohorts, gathering, label_of, of_networks
from .differences import difference
from .graph import Graph
from .hashes import Hashes
from .publish import publish
from .run import STATES
from .task import BATCHED, GATHERING, Task, with_needs

# Flags get a timestamp older than everything else, so that Snakemake sees no updated input.
FLAG_TIME = 1_000_000_000


class Plan:
    """The due tasks of a graph, each with its reason, and their batches.

    `forced` says whether a task is made again regardless of its files. `slots`: how many trainings (`students`) or
    other processes (`measure`, `compare`, `tables`) run at a time, None on a cluster. `asked`: tasks whose results are
    requested, None for all; only they and their inputs are considered.
    """

    def __init__(
        self,
        graph: Graph,
        hashes: Hashes,
        forced: Callable[[Task], bool] = lambda task: False,
        slots: dict[str, int | None] | None = None,
        asked: Iterable[Task] | None = None,
    ):
        self.graph, self.hashes, self.forced = graph, hashes, forced
        self.again = graph.study.package_versions == "rerun"
        self.reasons: dict[Task, str] = {}
        self.records: dict[str, dict[str, Any] | None] = {}
        self.packages: dict[tuple[str, str, str], int] = {}
        # Tasks made again although their files are valid.
        self.remade: set[Task] = set()
        # Runs to train, and runs that are only published; by the record of their student.
        self.training: dict[Task, str] = {}
        self.published: dict[str, Task] = {}
        # Runs missing in the store but complete as a student of the study: their inputs may be the same.
        self.adopted: dict[Task, Task] = {}
        self.students = set(graph.students.values())
        self.runs = set(graph.runs.values())
        needed = None if asked is None else with_needs(asked)
        self.tasks = [task for task in graph.tasks if needed is None or task in needed]
        for task in self.tasks:
            self._judge(task)
        slots = slots or {"students": 1, "measure": 1, "compare": 1, "tables": 1}
        size, reference = graph.study.compute["students"].get("runs_per_job"), next(iter(graph.by_network))
        self.cohorts = cohorts(self.training, size, slots["students"])
        self.measuring = [
            batch
            for rule in ("measure", "compare")
            for batch in of_networks(rule, self.due(*BATCHED[rule]), reference, size, slots[rule])
        ]
        ends = (graph.page, graph.paper)
        self.gathering = list(gathering(self.due(*GATHERING), graph.statistics, ends, slots["tables"]))
        self.batch_of = {task: batch for batch in self.batches for task in batch.tasks}
        by_key = {task.key: batch for batch in self.cohorts for task in batch.tasks}
        # Two variants with equal terms share one run.
        self.batch_of |= {run: by_key[run.key] for run in self.training}

    @property
    def batches(self) -> list[Batch]:
        """All batches; each is a Snakemake job."""
        return [*self.cohorts, *self.measuring, *self.gathering]

    def due(self, *stages: str) -> list[Task]:
        """Due tasks of the given stages."""
        return [task for task in self.reasons if task.stage in stages]

    def _record(self, task: Task) -> dict[str, Any] | None:
        path = task.record
        if path not in self.records:
            self.records[path] = record.read(path)
        return self.records[path]

    def _judge(self, task: Task) -> None:
        if task in self.runs:
            return  # Considered only if a student needs it.
        reason = self._why_student(task) if task in self.students else self._fault(task, self.forced(task))
        if reason is not None:
            self.reasons[task] = reason
            return
        known = self._record(task)
        for package, (then, now) in (record.other_packages(known) if known else {}).items():
            self.packages[package, then, now] = self.packages.get((package, then, now), 0) + 1

    def _why_student(self, student: Task) -> str | None:
        """Return why a student is due, None if it is not; its run is trained or finished in the store."""
        (run,), forced, reason = student.needs, self.forced(student), self._fault(student)
        if reason is None and not forced:
            return None
        if self._record(run) is None and record.fault(student, self._record(student), self.hashes) is None:
            self.adopted[run] = student
        training = self._fault(run, forced)
        if training is None:
            self.published[student.record] = run
            return f"{reason}; its finished run is published"
        self.training[run] = training
        # The student's own record may say what changed.
        return training if forced or training.startswith("follows") else reason

    def _fault(self, task: Task, forced: bool = False) -> str | None:
        """Return why a task's files are invalid; None if they are valid."""
        if forced:
            self.remade.add(task)
            return "forced"
        known = self._record(task)
        said = record.fault(task, known, self.hashes)
        if known is None:
            return said
        if said is None and self.again and (others := record.other_packages(known)):
            self.remade.add(task)
            return "; ".join(f"made with {name} {then}, here is {now}" for name, (then, now) in others.items())
        if said == "is of another key":
            said = self._difference(task, known)
        if said is not None:
            return said
        return self._other_input(task, known)

    def _other_input(self, task: Task, known: dict[str, Any]) -> str | None:
        """Return which input of a task differs from the recorded one or is due."""
        # A student's inputs are those of its run.
        needs = task.needs[0].needs if task in self.students else task.needs
        remade = [need for need in needs if self._is_computed(need)]
        # Stored teacher outputs remade for another variant are checked by each student that needs them.
        remade = [need for need in remade if need.stage != "teacher_outputs"]
        if remade:
            return _follows(remade)
        for path, path_of_record in task.reads.items():
            theirs = self._shown(path, path_of_record)
            if known["inputs"].get(path) != theirs:
                return f"{path} is another than the one it was made from"
        return None

    def _is_computed(self, task: Task) -> bool:
        """Whether a task's files are to be computed; those of a published student are known beforehand."""
        if task in self.students:
            return task.needs[0] in self.training and task in self.reasons
        return task in self.reasons or task in self.training

    def _shown(self, path: str, path_of_record: str) -> str | None:
        """Return a file's recorded hash; for a student about to be published, that of its run."""
        name = record.name_in(path_of_record, path)
        path_of_record = self.published[path_of_record].record if path_of_record in self.published else path_of_record
        if path_of_record not in self.records:
            self.records[path_of_record] = record.read(path_of_record)
        known = self.records[path_of_record]
        return None if known is None else known["files"].get(name, {}).get("sha256")

    def _difference(self, task: Task, known: dict[str, Any]) -> str:
        """Return the difference between a recorded job and a task's."""
        if said := difference(task, known):
            return said
        return _follows(need for need in task.needs if need in self.reasons or need in self.training)

    def settle(self, begin: bool = False) -> None:
        """Update the flags and write the tasks to carry out.

        If a run is about to `begin`, also remove the records of due tasks and the saved states of such trainings.
        """
        for task in self.tasks:
            flag = Path(task.flag)
            if task in self.reasons:
                flag.unlink(missing_ok=True)
                task.write()
            elif task not in self.runs:
                flag.parent.mkdir(parents=True, exist_ok=True)
                flag.touch()
                os.utime(flag, (FLAG_TIME, FLAG_TIME))
        for run in [*self.training, *self.published.values()]:
            run.write()
        for run, student in self.adopted.items():
            if run not in self.remade:
                publish(student, run)
        for task in self.remade if begin else ():
            record.remove(task)
            shutil.rmtree(Path(task.folder) / STATES, ignore_errors=True)
        for batch in self.batches:
            # Left over because something that waited for it failed.
            Path(batch.flag).unlink(missing_ok=True)
            value = {
                "stage": batch.stage,
                "tasks": [task.file for task in batch.tasks],
                "labels": list(dict.fromkeys(label_of(task) for task in batch.tasks)),
                "needs": list(dict.fromkeys(path for task in batch.tasks for path in self._waits_for(task, batch))),
            }
            if own.read(batch.file, dict) != value:
                write_json(batch.file, value)

    def _waits_for(self, task: Task, batch: Batch) -> Iterator[str]:
        """Yield the flags that a member waits for."""
        for need in task.needs:
            other = self.batch_of.get(need)
            if other is None:
                yield need.flag
            elif other is not batch:
                yield other.flag

    def say(self) -> None:
        """Print on stderr which results changed for reasons outside the study."""
        for task, reason in self.reasons.items():
            if any(words in reason for words in (" has ", " is missing", " is another than")):
                print(f"{task}: {reason}; it is made again", file=sys.stderr)
        for (package, then, now), count in self.packages.items():
            print(
                f"the results of {count} jobs were made with {package} {then}, here is {now}: numbers may differ; "
                "`package_versions: rerun` makes them again",
                file=sys.stderr,
            )


def _follows(tasks: Iterable[Task]) -> str:
    """Return that a job is due because of others, named by stage: one line for many students."""
    return "follows " + ", ".join(dict.fromkeys(task.stage for task in tasks) or ["other results"])
