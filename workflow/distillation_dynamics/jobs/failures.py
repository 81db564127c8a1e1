"""Jobs that failed: whether another attempt can help, with how much memory, and what the last word is.

Snakemake tells of each failed job in its log; what the job itself said stands in the job's log file. A sentence of ours
would come again, so that such a job is not tried again; a training that was stopped and went on further than before may
go on as often as it takes; only a job that ran out of memory gets more.
"""

import atexit
import logging
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from snakemake_interface_logger_plugins.common import LogEvent

PROFILE = "slurm/profile.yaml"
# The end of a log that is looked at.
TAIL = 20_000
OUT_OF_MEMORY = re.compile(r"OUT_OF_MEMORY|oom.kill|exceeded (job |step )?memory limit", re.IGNORECASE)
STOPPED = re.compile(r"^not finished: .*before update (\d+)", re.MULTILINE)
REFUSED = re.compile(r"sbatch failed\. The error message was '(.*?)'\.?\s*$", re.MULTILINE | re.DOTALL)
# Refusals that pass when other jobs end.
FULL = re.compile(r"MaxSubmitJob|MaxJobs|temporarily|try again", re.IGNORECASE)
# Rules whose next attempt would begin at the beginning, and so reach the same limit of time.
FROM_THE_BEGINNING = {"data", "teacher_outputs", "gather"}


class Kind(Enum):
    """Why an attempt failed."""

    SENTENCE = "said what is wrong"
    STOPPED = "was asked to stop"
    MEMORY = "ran out of memory"
    TIME = "reached its time limit"
    REFUSED = "was refused by the cluster"
    FULL = "was refused while other jobs wait or run"
    OTHER = "failed"


@dataclass(frozen=True)
class Failure:
    """A failed attempt: why, in words for the terminal, and before which update a training was stopped."""

    kind: Kind
    said: str
    step: int | None = None


def keys_with(parts: Iterable[str], option: str = "") -> str:
    """Return the keys of an option (or of all of them) in the parts of a study that say what a job asks for."""
    return " or ".join(f"{part}.{option}".rstrip(".") for part in parts)


def read(said_by_executor: str, logs: Iterable[str], parts: Iterable[str]) -> Failure:
    """Return why an attempt failed, from the words of the executor and the ends of the job's log files.

    `parts` are those of the study that say what the job asks for, as compute.students.
    """
    logs = list(logs)
    text, runtime = "\n".join(map(_tail, logs)), keys_with(parts, "runtime")
    if (refused := REFUSED.search(said_by_executor)) is not None:
        why = " ".join(refused[1].split())
        if FULL.search(why):
            return Failure(Kind.FULL, f"the cluster takes no more jobs now ({why}); `jobs` in {PROFILE} bounds them")
        return Failure(
            Kind.REFUSED,
            f"the cluster refuses the job ({why}); account, qos and partition stand in {PROFILE}, what is asked for "
            f"under {keys_with(parts)} in the study",
        )
    if "Job submission failed with exception" in said_by_executor:
        why = said_by_executor.partition("exception:")[2].partition("For further error details")[0]
        return Failure(
            Kind.REFUSED, f"the job could not be sent ({' '.join(why.split())}); what is the cluster's is in {PROFILE}"
        )
    # What is killed for its memory says nothing itself.
    if OUT_OF_MEMORY.search(said_by_executor + text):
        return Failure(Kind.MEMORY, f"ran out of memory; raise {keys_with(parts, 'mem_mb')}")
    if (sentence := _sentence(text)) is not None:
        return Failure(Kind.SENTENCE, sentence)
    if (stopped := STOPPED.search(text)) is not None:
        return Failure(
            Kind.STOPPED, f"{stopped[0].removeprefix('not finished: ')}, {runtime} is its time", int(stopped[1])
        )
    if "TIMEOUT" in said_by_executor or "DUE TO TIME LIMIT" in text:
        return Failure(Kind.TIME, f"reached its time limit; raise {runtime}")
    return Failure(Kind.OTHER, f"failed without a sentence; its log {_end(logs)}")


def _end(logs: list[str]) -> str:
    """Return what the job's own log, the first, ends with: of a traceback the error."""
    lines = [line.strip() for line in _tail(logs[0]).splitlines() if line.strip()] if logs else []
    return f"ends with {lines[-1]}" if lines else "has the reason"


def _tail(path: str) -> str:
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.path.getsize(path) - TAIL))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def _sentence(text: str) -> str | None:
    """Return what stands behind the last `error: ` at the beginning of a line, down to what others wrote after it."""
    found = list(re.finditer(r"^error: ", text, re.MULTILINE))
    if not found:
        return None
    lines = text[found[-1].end() :].splitlines()
    # Snakemake's own lines, in the log of the cluster, stand behind an empty line or begin with a date.
    end = next((n for n, line in enumerate(lines) if not line.strip() or re.match(r"\[|srun|slurmstepd", line)), None)
    return "\n".join(lines[:end])


class Failures(logging.Handler):
    """The failed jobs of a run. A handler of Snakemake's log, and what decides on another attempt."""

    def __init__(self, parts: Callable[[str], tuple[str, ...]]):
        super().__init__()
        self.parts = parts
        self.told: dict[int, Any] = {}
        self.hungry: Counter[tuple[str, tuple]] = Counter()
        self.reached: Counter[int] = Counter()
        # Attempts that count for nothing: refused while other jobs wait, or further than the one before.
        self.free: Counter[int] = Counter()
        # Jobs of the cluster that could never start.
        self.hopeless: dict[str, str] = {}
        self.last: dict[str, tuple[str, list[str]]] = {}
        # Set when the cluster took no more jobs: the next one is not sent at once.
        self.full = False

    def follow(self) -> None:
        """Be told of failed jobs, and be asked before one is tried again."""
        from snakemake.jobs import Job
        from snakemake.logging import logger

        logger.addHandler(self)
        # Snakemake knows one number of attempts for all jobs of a rule, whatever they failed of.
        Job.restart_times = property(lambda job: self.attempts(job, job.rule.restart_times))
        atexit.register(self.say)

    def emit(self, record: Any) -> None:
        """Take note of a failed job."""
        if getattr(record, "event", None) == LogEvent.JOB_ERROR:
            self.told[record.jobid] = record

    def attempts(self, job: Any, retries: int) -> int:
        """Return how often a job that just failed may be tried again in all, of `retries` that the run allows."""
        record = self.told.get(job.dag.jobid(job))
        if record is None:
            return retries
        if (why := self.hopeless.get(record.aux.get("external_jobid"))) is not None:
            failure = Failure(Kind.REFUSED, why)
        else:
            failure = read(record.rule_msg or "", record.log, self.parts(record.rule_name))
        allowed = self._allowed(job, failure, retries)
        if allowed < job.attempt:
            name = " ".join(str(job.message or record.rule_name).split())
            self.last[name] = failure.said, [path for path in record.log if _tail(path)]
        return allowed

    def _allowed(self, job: Any, failure: Failure, retries: int) -> int:
        number, rule = job.dag.jobid(job), job.rule.name
        if failure.kind is Kind.FULL:
            self.full = True
            self.free[number] += 1
        if failure.kind in (Kind.SENTENCE, Kind.REFUSED):
            return 0
        if failure.kind is Kind.TIME and rule in FROM_THE_BEGINNING:
            return 0
        if failure.kind is Kind.MEMORY:
            self.hungry[rule, tuple(job.wildcards)] += 1
        if failure.step is not None and retries and failure.step > self.reached[number]:
            self.reached[number] = failure.step
            self.free[number] += 1
        return retries + self.free[number]

    def times_of_memory(self, rule: str, wildcards: Any) -> int:
        """Return how many times the memory of the study a job asks for: once more for each time that it ran out."""
        return 1 + self.hungry[rule, tuple(wildcards)]

    def say(self) -> None:
        """Print what ended this run, when nothing more will be printed."""
        if not self.last:
            return
        print("\nWhat failed:", file=sys.stderr)
        for name, (said, logs) in self.last.items():
            print(f"{name}: {said}" + (f"\n    log: {logs[0]}" if logs else ""), file=sys.stderr, flush=True)
