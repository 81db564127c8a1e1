"""Carry out tasks: `python -m distillation_dynamics FILE`, where FILE holds one, or the members of a batch.

A task whose files are already what it asks for is left as it is, before torch is imported. One sentence on stderr and
status 1 when something fails. In a batch each member fails alone and the others go on; the sentence of a training stays
in the folder of its run, for the rule that publishes it. Files are written under a lock: what another process makes now
is waited for, and not made twice.
"""

import argparse
import hashlib
import os
import resource
import shutil
import stat
import sys
import time
import traceback
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

from .. import threads
from ..errors import Interrupted, StudyError, extensions_named
from ..files import read_json, write_text
from ..progress import Progress
from ..spec.base import to_json
from . import cpu, locks, record
from .hashes import Hashes
from .task import Task, code_of, key_of, module_of

# Folder of the states of an unfinished training, in that of its files.
STATES = ".resume"
# Where the main process remembers hashes; jobs read them and write none.
RESULTS = "results"
# How a training failed: a file beside the record that it did not write.
FAILED = ".failed"
PACKAGE = "distillation_dynamics"


def inputs_of(task: Task, hashes: Hashes) -> dict[str, str]:
    """Return path -> hash of all files that a task reads; raise StudyError where one is not what its record says."""
    return {path: record.content(path, theirs, hashes) for path, theirs in task.reads.items()}


def is_done(task: Task, inputs: dict[str, str], hashes: Hashes) -> bool:
    """Whether what lies there is already what a task asks for."""
    known = record.read(task.record)
    # Results of other packages are a matter of the plan, which removes the record of what is to be made anew.
    return known is not None and record.fault(task, known, hashes) is None and known["inputs"] == inputs


def check(task: Task) -> None:
    """Raise StudyError where the code is no longer that which the task was planned with."""
    here = key_of(task.stage, task.job, code_of(task.stage, *task.by_name))
    if here != task.key:
        raise StudyError(f"{task}: the code was changed after the run was planned; run the same command again")


def failure(task: Task) -> Path:
    """Return the file that says how a training failed."""
    return Path(task.record).with_name(FAILED)


def carry_out(task: Task, gpus: int, hashes: Hashes, start: float | None = None) -> None:
    """Carry out one task and write its record; `start` is when what it took began (None: now)."""
    with locks.held([task]):
        _carry_out_alone(task, gpus, hashes, time.time() if start is None else start)


def _carry_out_alone(task: Task, gpus: int, hashes: Hashes, start: float) -> None:
    inputs = inputs_of(task, hashes)
    if is_done(task, inputs, hashes):
        print(f"{task}: is already up to date", file=sys.stderr)
        return
    count = threads_of(task)
    main = load_stage(task.stage, count).main
    # What is there stays until here: a job that cannot start loses nothing.
    record.remove(task)
    options = {"state_key": state_key(task, inputs)} if task.stage == "networks" else {}
    with extensions_named():
        main(task.job, gpus, **options)
    if os.environ.get("RANK", "0") == "0":
        seconds = round(time.time() - start, 3)
        record.write(task, inputs, seconds=seconds, peak_mb=peak_mb(), threads=count, gpus=gpus, cpu=cpu.name())
        say_done(task, seconds)
        # Only now: a training that is killed before finds itself finished.
        shutil.rmtree(Path(task.record).parent / STATES, ignore_errors=True)


def peak_mb() -> float:
    """Return the most memory that this process had up to now, or a child of it that has ended if that had more, MB.

    Of processes of one training (torchrun) each on this machine is taken for as large as this one. Not a sum over
    children: a loader holds nearly all of its pages together with this process, and one that starts another program is
    taken for as large as its parent (of torch's import there always is one).
    """
    unit = 1 if sys.platform == "darwin" else 1024
    used = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return round(used * unit * int(os.environ.get("LOCAL_WORLD_SIZE", "1")) / 1e6, 1)


def threads_of(task: Task) -> int:
    """Return how many threads this process has for a task, whatever the scheduler granted: they decide the bits."""
    return threads.per_process(task.job.machine.threads) if hasattr(task.job, "machine") else 1


def load_stage(stage: str, count: int) -> ModuleType:
    """Return the module that carries out a stage, imported with all that it needs, to compute with so many threads."""
    # Before numpy is imported, which asks once, and after torch is, whose own number may be another.
    threads.use(count)
    module = import_module(f"{PACKAGE}.{module_of(stage)}")
    threads.use(count)
    return module


def run_batch(value: dict[str, Any], gpus: int, start: float) -> None:
    """Carry out the members of a batch: trainings and measurements together, all others one after the other.

    Raises StudyError with a line a member that failed; what reads from one that failed is left out.
    """
    # Before the code is looked at: what is known of it is remembered with the hashes.
    hashes = Hashes(RESULTS)
    members = [Task.read(path) for path in value["tasks"]]
    for task in members:
        check(task)
    together = {"cohorts": _train, "measure": _measure}.get(value["stage"])
    if together is not None:
        with locks.held(members):
            together(members, gpus, hashes, start)
        return
    failed: dict[str, str] = {}
    began: float | None = start
    for task in members:
        if failed.keys() & set(task.reads.values()):
            print(f"{task}: skipped, because its inputs were not made", file=sys.stderr, flush=True)
            failed[task.record] = ""
            continue
        try:
            carry_out(task, gpus, hashes, began)
            began = None
        except StudyError as error:
            failed[task.record] = f"{task}: {error}"
    if failed:
        raise StudyError("\n".join(filter(None, failed.values())))


def _due(members: list[Task], hashes: Hashes) -> list[tuple[Task, dict[str, str]]]:
    """Return the members whose files are not there yet, each with the hashes of what it reads."""
    due = []
    for task in members:
        inputs = inputs_of(task, hashes)
        if is_done(task, inputs, hashes):
            print(f"{task}: is already up to date", file=sys.stderr)
        else:
            due.append((task, inputs))
    return due


class Recorded(Progress):
    """Writes the record of each of several tasks as soon as its files are, and lists those that failed."""

    def __init__(self, due: list[tuple[Task, dict[str, str]]], threads: int, gpus: int):
        self.due, self.threads, self.gpus = due, threads, gpus
        self.failed: list[str] = []

    def state_key(self, job: int) -> str:
        """Return the name of the states of a member's unfinished training."""
        return state_key(*self.due[job])

    def begin(self, job: int) -> None:
        """The files of a member are about to be written."""
        record.remove(self.due[job][0])

    def end(self, job: int, seconds: float) -> None:
        """The files of a member are written; its part of the job took so many seconds."""
        task, inputs = self.due[job]
        took = round(seconds, 3)
        own = {"threads": self.threads, "gpus": self.gpus, "cpu": cpu.name()}
        record.write(task, inputs, seconds=took, peak_mb=peak_mb(), **own)
        say_done(task, seconds)

    def fail(self, job: int, error: StudyError) -> None:
        """A member ended with an error."""
        self.failed.append(f"{self.due[job][0]}: {error}")


class RecordedTrainings(Recorded):
    """Trainings: nobody may change their files, which studies share; their failures are told by other jobs."""

    def end(self, job: int, seconds: float) -> None:
        """The files of a member are written."""
        for path in self.due[job][0].writes:
            os.chmod(path, stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH)
        super().end(job, seconds)

    def fail(self, job: int, error: StudyError) -> None:
        """A training ended with an error; its sentence is left for the rule that publishes its run."""
        task = self.due[job][0]
        print(f"{task}: error: {error}", file=sys.stderr, flush=True)
        write_text(failure(task), f"error: {error}\n")


def _train(members: list[Task], gpus: int, hashes: Hashes, start: float) -> None:
    """Train the members whose run is not in the store."""
    for task in members:
        failure(task).unlink(missing_ok=True)
    if not (due := _due(members, hashes)):
        return
    if os.environ.get("RANK", "0") == "0":
        print(f"each epoch has a line for {', '.join(task.name for task, _ in due)}", file=sys.stderr, flush=True)
    count = threads_of(members[0])
    cohorts = load_stage("students", count)
    cohorts.main([task.job for task, _ in due], gpus, RecordedTrainings(due, count, gpus), start)


def _measure(members: list[Task], gpus: int, hashes: Hashes, start: float) -> None:
    """Measure networks one after the other, each by all metrics that are due of it together.

    Raises StudyError with a line a measurement that failed.
    """
    networks: dict[str, list[Task]] = {}
    for task in members:
        networks.setdefault(task.name.rpartition("/")[0], []).append(task)
    failed: list[str] = []
    session = None
    for network, measurements in networks.items():
        if not (due := _due(measurements, hashes)):
            continue
        count = threads_of(due[0][0])
        measuring = load_stage("measure", count)
        session = session or measuring.Session()
        progress = Recorded(due, count, gpus)
        try:
            measuring.main([task.job for task, _ in due], gpus, progress, start, session)
        except StudyError as error:
            failed.append(f"measure {network}: {error}")
        failed += progress.failed
        start = time.time()
    if failed:
        raise StudyError("\n".join(dict.fromkeys(failed)))


def state_key(task: Task, inputs: dict[str, str]) -> str:
    """Return what names the states of a training: its key, the content of what it reads, and the packages here."""
    parts = [task.key, sorted(inputs.items()), [version(name) for name in task.packages]]
    return hashlib.sha256(to_json(parts).encode()).hexdigest()[:16]


def say_done(task: Task, seconds: float) -> None:
    """Leave in the log what was made, where, and in how long: no log of a job that did something is empty."""
    print(f"{task}: {seconds:.1f} s, {os.path.dirname(task.record)}", file=sys.stderr, flush=True)


def main(start: float) -> None:
    """Carry out the task or batch in a file; `start` is when this process began."""
    parser = argparse.ArgumentParser(prog=f"python -m {PACKAGE}", description=main.__doc__, allow_abbrev=False)
    parser.add_argument("file", help="a task, or the members of a batch, under results/.tasks")
    parser.add_argument("--gpus", type=int, default=0, help="GPUs that this job was given")
    arguments = parser.parse_args()
    sys.exit(said_by(lambda: _carry_out(arguments.file, arguments.gpus, start)))


def _carry_out(path: str, gpus: int, start: float) -> None:
    value = read_json(path)
    listed = value.get("tasks") if isinstance(value, dict) else None
    if isinstance(listed, list) and all(isinstance(one, str) for one in listed):
        run_batch(value, gpus, start)
        return
    hashes, task = Hashes(RESULTS), Task.read(path)
    check(task)
    carry_out(task, gpus, hashes, start)


def said_by(work: Callable[[], None]) -> str | None:
    """Do something; return the sentence with which it failed, None where it did not.

    Returned, and not raised: at exit Python waits for loader processes, which the failed stage's objects must not keep.
    """
    try:
        work()
    except StudyError as error:
        return f"error: {error}"
    except Interrupted as error:
        return f"not finished: {error}"
    except OSError as error:
        return f"error: {error.filename}: {error.strerror}" if error.filename else traceback.format_exc()
    except Exception:
        return traceback.format_exc()
    return None
