"""Handles failed jobs: decides on another attempt and its memory, and prints why jobs failed at the end.

Snakemake's log has an event for each failed job; the cause is in the job's log file. An error sentence of this project
would recur, so the job is not retried. A stopped training that got further than before is retried without limit. Only a
job that ran out of memory gets more.
"""

import contextlib
import logging
import os
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

from snakemake_interface_logger_plugins.common import LogEvent

from .causes import Failure, Kind, read, tail

SECONDS_WHEN_FULL = 10
# Rules whose next attempt would start over and reach the same time limit.
FROM_THE_BEGINNING = {"data", "teacher_outputs", "gather"}
# Causes that would recur in every attempt, or that a user wanted.
FINAL = {Kind.SENTENCE, Kind.REFUSED, Kind.CANCELLED, Kind.DISK, Kind.SHARED_MEMORY}
# Causes that a job cannot report itself.
FROM_OUTSIDE = {Kind.MEMORY, Kind.SHARED_MEMORY, Kind.TIME, Kind.CANCELLED, Kind.PREEMPTED}
# Snakemake's message when a command on this machine failed; it does not name the job.
COMMAND = re.compile(r"(died with <Signals|returned non-zero exit status).*$", re.MULTILINE)


class Failures(logging.Handler):
    """The failed jobs of a run: decides whether each is retried, and remembers the causes of those that are not.

    A handler of Snakemake's log. An executor logs a failed job before the scheduler compares `job.attempt` with the
    rule's retries, which are the same for all causes (snakemake/snakemake#2441); so this handler changes the attempt.
    """

    def __init__(self, workflow: Any, parts: Callable[[str], tuple[str, ...]]):
        super().__init__()
        self.workflow, self.parts = workflow, parts
        self.memory: Counter[tuple[str, ...]] = Counter()
        self.reached: dict[int, int] = {}
        # Cluster jobs that could never start -> cause.
        self.hopeless: dict[str, str] = {}
        self.final: dict[str, str] = {}
        # Thread -> how its last command ended; event -> why its attempt failed.
        self.ended: dict[int | None, str] = {}
        self.known: dict[tuple[int, float], Failure] = {}
        self.reading = threading.Lock()

    def handle(self, record: Any) -> bool:
        """Record a failed job. (Not `emit`, which would hold a lock while waiting for a full cluster.)"""
        event = getattr(record, "event", None)
        if event == LogEvent.JOB_INFO and not (self.workflow.dryrun or self.workflow.touch):
            keep(record.log)
        if event != LogEvent.JOB_ERROR:
            if record.levelno >= logging.ERROR and (ended := COMMAND.search(record.getMessage())) is not None:
                self.ended[record.thread] = ended[0]
            return True
        dag = self.workflow.dag
        job = next(job for job in dag.needrun_jobs() if dag.jobid(job) == record.jobid)
        failure = self.of(record)
        self.ended.pop(record.thread, None)
        note(failure, record.log)
        self._decide(job, record.jobid, failure)
        if job.attempt > job.restart_times:
            name = " ".join(str(job.message or job.rule.name).split())
            self.final[name] = failure.sentence + "".join(f"\n    log: {path}" for path in logs_of(record)[:1])
        return True

    def of(self, record: Any) -> Failure:
        """Return why the attempt of a log event failed; several handlers may ask."""
        event = record.jobid, record.created
        with self.reading:
            if event not in self.known:
                self.known[event] = self._read(record)
            return self.known[event]

    def _read(self, record: Any) -> Failure:
        if (why := self.hopeless.get(record.aux.get("external_jobid"))) is not None:
            return Failure(Kind.REFUSED, why)
        # The same thread logged how the command ended just before.
        message = record.rule_msg or self.ended.get(record.thread, "")
        return read(message, record.log, self.parts(record.rule_name))

    def _decide(self, job: Any, number: int, failure: Failure) -> None:
        """Skip further attempts if none would help; do not count an attempt that got a training further."""
        from_the_beginning = failure.kind is Kind.TIME and job.rule.name in FROM_THE_BEGINNING
        if failure.kind in FINAL or from_the_beginning:
            job.attempt = job.restart_times + 1
        elif failure.kind is Kind.FULL:
            job.attempt -= 1
            time.sleep(SECONDS_WHEN_FULL)
        elif failure.kind is Kind.MEMORY:
            self.memory[_key(job.rule.name, job.wildcards)] += 1
        elif job.restart_times and failure.kind is Kind.PREEMPTED:
            job.attempt -= 1
        elif failure.step is not None and job.restart_times and failure.step > self.reached.get(number, -1):
            self.reached[number] = failure.step
            job.attempt -= 1

    def times_of_memory(self, rule: str, wildcards: Any) -> int:
        """Return the factor on the study's memory: one plus the number of times the job ran out of memory."""
        return 1 + self.memory[_key(rule, wildcards)]

    def last_words(self) -> str:
        """Return why each job failed that was not retried; "" if none was."""
        return "\n".join(["\nWhat failed:", *map(": ".join, self.final.items())]) if self.final else ""


def keep(logs: list[str]) -> None:
    """Set aside the logs of a job that is about to begin, since Snakemake removes them: x.log becomes x.1.log.

    They are the only trace of earlier attempts, including those of a killed run that now resumes.
    """
    for path in logs:
        stem, suffix = os.path.splitext(path)
        with contextlib.suppress(OSError):
            if os.path.getsize(path):
                os.rename(path, next(p for n in count(1) if not os.path.exists(p := f"{stem}.{n}{suffix}")))


def note(failure: Failure, logs: list[str]) -> None:
    """Append to a job's first log how the job was killed, which the job could not report itself."""
    silent = failure.kind is Kind.STOPPED and bool(logs) and not tail(logs[0])
    if logs and (failure.kind in FROM_OUTSIDE or silent):
        with contextlib.suppress(OSError), open(logs[0], "a", encoding="utf-8") as file:
            file.write(f"{failure.sentence}\n")


def logs_of(record: Any) -> list[str]:
    """Return the non-empty logs of a failed job."""
    return [path for path in record.log if tail(path).strip()]


def _key(rule: str, wildcards: Iterable[str]) -> tuple[str, ...]:
    return (rule, *wildcards)
