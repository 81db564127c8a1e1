"""Carry out tasks: `python -m distillation_dynamics FILE`; FILE holds one task or the members of a batch.

A task whose files are valid is skipped before torch is imported. A failure prints one sentence on stderr and exits with
status 1. Members of a batch fail separately and the others continue; the error of a training stays in the folder of its
run, for the rule that publishes it. Files are written under a lock: what another process is making is waited for and
not made twice.
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
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

from .. import threads
from ..errors import Interrupted, StudyError, extensions_named
from ..files import read_json, write_text
from ..imports import imported
from ..progress import Progress
from ..spec.base import to_json
from . import cpu, locks, record
from .hashes import Hashes
from .task import Task, code_of, key_of, module_of

# Folder of an unfinished training's saved states, next to its files.
STATES = ".resume"
# The main process stores hashes here; jobs only read them.
RESULTS = "results"
# File with the error of a failed training, in place of its record.
FAILED = ".failed"
PACKAGE = "distillation_dynamics"


def inputs_of(task: Task, hashes: Hashes) -> dict[str, str]:
    """Return path -> hash of all inputs of a task; raise StudyError if one does not match its record."""
    return {path: record.content(path, theirs, hashes) for path, theirs in task.reads.items()}


def is_done(task: Task, inputs: dict[str, str], hashes: Hashes) -> bool:
    """Whether the existing files already are what a task makes."""
    known = record.read(task.record)
    # Package versions concern the plan, which removes the records of what is to be remade.
    return known is not None and record.fault(task, known, hashes) is None and known["inputs"] == inputs


def check(task: Task) -> None:
    """Raise StudyError if the code changed after the task was planned."""
    here = key_of(task.stage, task.job, code_of(task.stage, *task.by_name))
    if here != task.key:
        raise StudyError(f"{task}: the code was changed after the run was planned; run the same command again")


def failure(task: Task) -> Path:
    """Return the file with the error of a training."""
    return Path(task.record).with_name(FAILED)


def carry_out(task: Task, gpus: int, hashes: Hashes, start: float | None = None) -> None:
    """Carry out one task and write its record; `start`: when its time began (None: now)."""
    with locks.held([task]):
        _carry_out_alone(task, gpus, hashes, time.time() if start is None else start)


def _carry_out_alone(task: Task, gpus: int, hashes: Hashes, start: float) -> None:
    inputs = inputs_of(task, hashes)
    if is_done(task, inputs, hashes):
        print(f"{task}: is already up to date", file=sys.stderr)
        return
    count = threads_of(task)
    main = load_stage(task.stage, count).main
    # Old files stay until here, so that a job that cannot start loses nothing.
    record.remove(task)
    options = {"state_key": state_key(task, inputs)} if task.stage == "networks" else {}
    with extensions_named():
        main(task.job, gpus, **options)
    if os.environ.get("RANK", "0") == "0":
        seconds = round(time.time() - start, 3)
        record.write(task, inputs, seconds=seconds, peak_mb=peak_mb(), threads=count, gpus=gpus, cpu=cpu.name())
        say_done(task, seconds)
        # Written last: a training killed before this finds itself finished.
        shutil.rmtree(Path(task.record).parent / STATES, ignore_errors=True)


def peak_mb() -> float:
    """Return the peak memory in MB of this process, or of an ended child if that was larger.

    Each local process of one training (torchrun) counts as large as this one. Children are not summed: a loader shares
    nearly all its pages with this process, and a process that starts another program counts as large as its parent
    (importing torch always starts one).
    """
    unit = 1 if sys.platform == "darwin" else 1024
    used = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return round(used * unit * int(os.environ.get("LOCAL_WORLD_SIZE", "1")) / 1e6, 1)


def threads_of(task: Task) -> int:
    """Return the number of threads for a task, whatever the scheduler granted: it determines the bits."""
    return threads.per_process(task.job.machine.threads) if hasattr(task.job, "machine") else 1


def load_stage(stage: str, count: int) -> ModuleType:
    """Return the imported module of a stage, set to compute with `count` threads."""
    # Set before numpy is imported, which reads it once, and after torch is, which may set its own number.
    threads.use(count)
    module = imported(f"{PACKAGE}.{module_of(stage)}")
    threads.use(count)
    return module


def run_batch(value: dict[str, Any], gpus: int, start: float) -> None:
    """Carry out the members of a batch: trainings and measurements together, others one after the other.

    Raises StudyError with one line per failed member; members that read from a failed one are skipped.
    """
    # Before the code is read: what is known of it is stored with the hashes.
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
    """Return the members that are not done, each with the hashes of its inputs."""
    due = []
    for task in members:
        inputs = inputs_of(task, hashes)
        if is_done(task, inputs, hashes):
            print(f"{task}: is already up to date", file=sys.stderr)
        else:
            due.append((task, inputs))
    return due


class Recorded(Progress):
    """Writes the record of each task as soon as its files are complete, and lists those that failed."""

    def __init__(self, due: list[tuple[Task, dict[str, str]]], threads: int, gpus: int):
        self.due, self.threads, self.gpus = due, threads, gpus
        self.failed: list[str] = []

    def state_key(self, job: int) -> str:
        """Return the name of the saved states of a member's unfinished training."""
        return state_key(*self.due[job])

    def begin(self, job: int) -> None:
        """A member's files are about to be written."""
        record.remove(self.due[job][0])

    def end(self, job: int, seconds: float) -> None:
        """A member's files are complete; its share of the job took `seconds`."""
        task, inputs = self.due[job]
        took = round(seconds, 3)
        own = {"threads": self.threads, "gpus": self.gpus, "cpu": cpu.name()}
        record.write(task, inputs, seconds=took, peak_mb=peak_mb(), **own)
        say_done(task, seconds)

    def fail(self, job: int, error: StudyError) -> None:
        """A member failed."""
        self.failed.append(f"{self.due[job][0]}: {error}")


class RecordedTrainings(Recorded):
    """Trainings: their files are read-only, since studies share them; another job reports their failures."""

    def end(self, job: int, seconds: float) -> None:
        """A member's files are complete."""
        for path in self.due[job][0].writes:
            os.chmod(path, stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH)
        super().end(job, seconds)

    def fail(self, job: int, error: StudyError) -> None:
        """A training failed; its error is left for the rule that publishes its run."""
        task = self.due[job][0]
        print(f"{task}: error: {error}", file=sys.stderr, flush=True)
        write_text(failure(task), f"error: {error}\n")


def _train(members: list[Task], gpus: int, hashes: Hashes, start: float) -> None:
    """Train the members that are not in the store."""
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
    """Measure networks one after the other, each with all its due metrics at once.

    Raises StudyError with one line per failed measurement.
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
    """Return the key of a training's saved states: its own key, the content of its inputs, and package versions."""
    parts = [task.key, sorted(inputs.items()), [version(name) for name in task.packages]]
    return hashlib.sha256(to_json(parts).encode()).hexdigest()[:16]


def say_done(task: Task, seconds: float) -> None:
    """Log what was made, where, and in how long, so that no working job leaves an empty log."""
    print(f"{task}: {seconds:.1f} s, {os.path.dirname(task.record)}", file=sys.stderr, flush=True)


def main(start: float) -> None:
    """Carry out the task or batch in a file; `start`: when this process began."""
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
    """Run `work`; return its error sentence, None if it succeeded.

    Returned instead of raised: at exit Python waits for loader processes, which the failed stage's objects would keep
    alive.
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
