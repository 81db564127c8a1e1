"""Jobs that failed: whether another attempt can help, with how much memory, and what a run ends with.

Snakemake's log has an event for each failed job; why it failed stands in the job's log file. A sentence of ours would
come again, so that such a job is not tried again; a training that was stopped and went on further than before may go
on as often as it takes; only a job that ran out of memory gets more.
"""

import logging
import os
import re
import time
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
SECONDS_WHEN_FULL = 10
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
    sentence: str
    step: int | None = None


def keys_with(parts: Iterable[str], option: str = "") -> str:
    """Return the keys of an option (or of all of them) in the parts of a study that say what a job asks for."""
    return " or ".join(f"{part}.{option}".rstrip(".") for part in parts)


def read(message: str, logs: Iterable[str], parts: Iterable[str]) -> Failure:
    """Return why an attempt failed, from the executor's message and the ends of the job's log files.

    `parts` are those of the study that say what the job asks for, as compute.students.
    """
    logs = list(logs)
    text, runtime = "\n".join(map(_tail, logs)), keys_with(parts, "runtime")
    if (refused := REFUSED.search(message)) is not None:
        why = " ".join(refused[1].split())
        if FULL.search(why):
            return Failure(Kind.FULL, f"the cluster takes no more jobs now ({why}); `jobs` in {PROFILE} bounds them")
        return Failure(
            Kind.REFUSED,
            f"the cluster refuses the job ({why}); account, qos and partition stand in {PROFILE}, what is asked for "
            f"under {keys_with(parts)} in the study",
        )
    if "Job submission failed with exception" in message:
        why = message.partition("exception:")[2].partition("For further error details")[0]
        return Failure(
            Kind.REFUSED, f"the job could not be sent ({' '.join(why.split())}); what is the cluster's is in {PROFILE}"
        )
    # What is killed for its memory says nothing itself.
    if OUT_OF_MEMORY.search(message + text):
        return Failure(Kind.MEMORY, f"ran out of memory; raise {keys_with(parts, 'mem_mb')}")
    if (sentence := _sentence(text)) is not None:
        return Failure(Kind.SENTENCE, sentence)
    if (stopped := STOPPED.search(text)) is not None:
        return Failure(
            Kind.STOPPED, f"{stopped[0].removeprefix('not finished: ')}, {runtime} is its time", int(stopped[1])
        )
    if "TIMEOUT" in message or "DUE TO TIME LIMIT" in text:
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
    """The failed jobs of a run: decides whether each is tried again, and remembers why those that are not failed.

    A handler of Snakemake's log. An executor logs a failed job before the scheduler holds `job.attempt` against the
    retries of the rule, which are equally many for all failures (snakemake/snakemake#2441); so the attempt is moved.
    """

    def __init__(self, workflow: Any, parts: Callable[[str], tuple[str, ...]]):
        super().__init__()
        self.workflow, self.parts = workflow, parts
        self.memory: Counter[tuple[str, ...]] = Counter()
        self.reached: Counter[int] = Counter()
        # Jobs of the cluster that could never start -> why.
        self.hopeless: dict[str, str] = {}
        self.final: dict[str, str] = {}

    def handle(self, record: Any) -> bool:
        """Take note of a failed job. (Not `emit`, which would hold a lock while a full cluster is waited for.)"""
        if getattr(record, "event", None) != LogEvent.JOB_ERROR:
            return True
        dag = self.workflow.dag
        job = next(job for job in dag.needrun_jobs() if dag.jobid(job) == record.jobid)
        failure = self.of(record)
        self._decide(job, record.jobid, failure)
        if job.attempt > job.restart_times:
            name = " ".join(str(job.message or job.rule.name).split())
            logs = [path for path in record.log if _tail(path)]
            self.final[name] = failure.sentence + "".join(f"\n    log: {path}" for path in logs[:1])
        return True

    def of(self, record: Any) -> Failure:
        """Return why the attempt failed that an event of Snakemake's log is about."""
        if (why := self.hopeless.get(record.aux.get("external_jobid"))) is not None:
            return Failure(Kind.REFUSED, why)
        return read(record.rule_msg or "", record.log, self.parts(record.rule_name))

    def _decide(self, job: Any, number: int, failure: Failure) -> None:
        """Count an attempt for more where no other would help, and for none where it got a training further."""
        from_the_beginning = failure.kind is Kind.TIME and job.rule.name in FROM_THE_BEGINNING
        if failure.kind in (Kind.SENTENCE, Kind.REFUSED) or from_the_beginning:
            job.attempt = job.restart_times + 1
        elif failure.kind is Kind.FULL:
            job.attempt -= 1
            time.sleep(SECONDS_WHEN_FULL)
        elif failure.kind is Kind.MEMORY:
            self.memory[_key(job.rule.name, job.wildcards)] += 1
        elif failure.step is not None and job.restart_times and failure.step > self.reached[number]:
            self.reached[number] = failure.step
            job.attempt -= 1

    def times_of_memory(self, rule: str, wildcards: Any) -> int:
        """Return how many times the memory of the study a job asks for: once more for each time that it ran out."""
        return 1 + self.memory[_key(rule, wildcards)]

    def last_words(self) -> str:
        """Return why each job failed that was not tried again; nothing where none was."""
        return "\n".join(["\nWhat failed:", *map(": ".join, self.final.items())]) if self.final else ""


def _key(rule: str, wildcards: Iterable[str]) -> tuple[str, ...]:
    return (rule, *wildcards)
