"""Terminal output of a run: what will run and how long, one line per finished job, progress, the answers.

`Terminal` takes the events of Snakemake's log one by one from the logger plugin `snakemake_logger_plugin_distillation`.
Outside a run of this workflow (another workflow, a dry run) Snakemake's own messages are printed.
"""

import logging
import re
import textwrap
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from snakemake_interface_logger_plugins.common import LogEvent

from ..progress import duration, so_far
from .causes import Failure, Kind, tail
from .eta import Job, Workload
from .failures import logs_of
from .summary import counted, notes_of, number_of

# Minimum characters for a rule and for a job's name.
WHOM = 35
# Interval of progress lines without a terminal: this many seconds, later a twentieth of the elapsed time.
INTERVAL = 60
# Snakemake's messages before it begins; later messages without an event go to its log.
CHATTER = ("Building DAG", "Assuming unrestricted", "Using shell", "Conda environments:", "Singularity containers:")
NOTHING = "Nothing to be done"
# Messages that are shown nevertheless: another attempt, and the location of a requested file.
WORTH = ("Trying to restart", "Efficiency report")
# Snakemake's messages on a failed job, which the job's own sentence replaces.
REPEATED = (
    *("returned non-zero exit status", "died with <Signals"),
    *("Exiting because a job", "At least one job did not complete"),
)
RESTART = re.compile(r"Trying to restart job (\d+)")


@dataclass(frozen=True)
class Subject:
    """What a run is about: the study's name, its jobs once they begin, its answers at the end.

    `failure` returns why the job of a log event failed.
    """

    name: str
    workload: Callable[[], Workload]
    answers: Callable[[], list[str]]
    failure: Callable[[Any], Failure]


def elapsed(seconds: float) -> str:
    """Return hours, minutes and seconds since the run began."""
    return str(timedelta(seconds=int(seconds)))


def line(job: Job, since: float, width: int) -> str:
    """Return a finished job's line: time, rule, name, duration, key number."""
    left, right = f"{elapsed(since)}  ", f" {duration(job.took):>6}  {number_of(job.tasks)}"
    room = min(WHOM, max(WHOM // 2, width - len(left) - len(right)))
    rule = f"{job.rule:<8} "
    whom = f"{rule}{job.fitted(room - len(rule))}"
    return f"{left}{whom:<{room}}{right}".rstrip()


class Terminal:
    """The output of one run. `snakemake` prints Snakemake's own messages; `quiet`: what the user hides."""

    def __init__(
        self,
        console: Console,
        snakemake: logging.Handler,
        quiet: set[str],
        clock: Callable[[], float] = time.monotonic,
    ):
        self.console, self.snakemake, self.clock = console, snakemake, clock
        self.progress_wanted, self.jobs_wanted = not {"all", "progress"} & quiet, not {"all", "rules"} & quiet
        self.subject: Subject | None = None
        self.workload: Workload | None = None
        self.start = clock()
        self.failed: set[int] = set()
        # Jobs that the cluster has not accepted yet, and sentences already printed.
        self.refused: set[int] = set()
        self.said: set[str] = set()
        self.bar = Live(console=console, get_renderable=self._bar, refresh_per_second=1, transient=True)
        self.over = threading.Event()

    def take(self, record: logging.LogRecord) -> None:
        """Handle an event of Snakemake's log."""
        event: Any = getattr(record, "event", None)
        of_jobs = {
            LogEvent.RUN_INFO: self._begin,
            LogEvent.JOB_INFO: self._job_begins,
            LogEvent.JOB_FINISHED: self._job_ends,
            LogEvent.JOB_ERROR: self._job_fails,
        }
        text = record.getMessage()
        if hasattr(record, "closing"):
            self.close()
            self._say(text)
        elif self.subject is not None and event in of_jobs:
            of_jobs[event](record)
        elif record.levelno > logging.INFO:
            if not (self.workload is not None and any(words in text for words in REPEATED)):
                self._say_as_snakemake(record)
        elif text.startswith(WORTH) or (self.workload is None and event != LogEvent.RESOURCES_INFO):
            restarted = RESTART.match(text)
            if not text.startswith(CHATTER) and not (restarted and int(restarted[1]) in self.refused):
                self._say_as_snakemake(record)
            if text.startswith(NOTHING):
                self._answer()

    def _say(self, text: str) -> None:
        self.console.print(text, soft_wrap=True)

    def _say_wrapped(self, text: str) -> None:
        """Print a text in lines of the terminal's width; paths stay whole."""
        width = self.console.width
        self._say(textwrap.fill(text, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False))

    def _say_as_snakemake(self, record: logging.LogRecord) -> None:
        if not self.bar.is_started:
            self.snakemake.handle(record)
        elif self.snakemake.filter(record):
            self._say(self.snakemake.format(record))

    def _begin(self, record: logging.LogRecord) -> None:
        assert self.subject is not None
        self.workload, self.start = self.subject.workload(), self.clock()
        if not self.progress_wanted:
            return
        if not self.workload.jobs:
            self._say_wrapped(f"{self.subject.name}: {self.workload.rules}")
            return
        jobs = counted(len(self.workload.jobs), "job")
        self._say_wrapped(f"{self.subject.name}: {jobs}: {self.workload.rules}")
        self._say_wrapped(f"Time: {self._left(self.start)} here, {self.workload.basis}")
        if self.console.is_terminal:
            self.bar.start()
        else:
            threading.Thread(target=self.say_progress, daemon=True).start()

    def _left(self, now: float) -> str:
        assert self.workload is not None
        of_computing = " of computing" if self.workload.limits is None else ""
        return f"about {duration(self.workload.left(now))}{of_computing}"

    def _job_begins(self, record: Any) -> None:
        if self.workload is not None and (job := self.workload.jobs.get(record.jobid)) is not None:
            job.begun, job.log = self.clock(), next(iter(getattr(record, "log", None) or ()), None)
            self.failed.discard(record.jobid)

    def _job_ends(self, record: Any) -> None:
        if self.workload is not None and (job := self.workload.jobs.get(record.job_id)) is not None:
            job.ended = self.clock()
            self._say_ended(job)

    def _job_fails(self, record: Any) -> None:
        """Print a failed job's sentence; details are in its log."""
        if self.subject is None or self.workload is None:
            return
        job = self.workload.jobs.get(record.jobid) or self.workload.links.get(record.jobid)
        if job is None:
            return
        job.begun = None
        why, since = self.subject.failure(record), elapsed(self.clock() - self.start)
        if why.kind is Kind.FULL:
            # It waits as others do: nothing failed.
            self.refused.add(record.jobid)
            if self.jobs_wanted and why.sentence not in self.said:
                self.said.add(why.sentence)
                self._say(f"{since}  {why.sentence}")
            return
        self.failed.add(record.jobid)
        self.refused.discard(record.jobid)
        if self.jobs_wanted and not (why.kind is Kind.DISK and why.sentence in self.said):
            self.said.add(why.sentence)
            words = f"{since}  FAILED  {job.rule} {job.name}: {why.sentence}"
            self._say("\n    log: ".join([words, *logs_of(record)[:1]]))

    def _say_ended(self, job: Job) -> None:
        """Print what a job achieved."""
        if self.jobs_wanted:
            self._say(line(job, self.clock() - self.start, self.console.width))
            for note in notes_of(job.tasks):
                self._say_wrapped(f"note: {note}")

    def progress(self, now: float) -> str:
        """Return the share done and the time left."""
        assert self.workload is not None
        done, count = len(self.workload.ended), len(self.workload.jobs)
        # 100 % only when the last job has ended.
        share = min(int(100 * self.workload.share(self.start, now)), 99 if done < count else 100)
        jobs = self.workload.running
        running = ", ".join(dict.fromkeys(job.rule for job in jobs))
        if len(jobs) == 1 and jobs[0].log is not None and (said := so_far(tail(jobs[0].log))):
            running += f" ({said})"
        left = f"{self._left(now)} left" + (f"; running: {running}" if running else "")
        return f"{share} %, {done} of {counted(count, 'job')}, {left}"

    def _bar(self) -> Table:
        """Return the progress bar, the last line of a terminal."""
        grid = Table.grid(padding=(0, 1), expand=True)
        grid.add_column(width=24)
        grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        if self.workload is not None:
            now = self.clock()
            grid.add_row(ProgressBar(1.0, self.workload.share(self.start, now)), self.progress(now))
        return grid

    def say_progress(self) -> None:
        """Print the progress at intervals if the output has no progress bar."""
        while not self.over.wait(max(INTERVAL, (self.clock() - self.start) / 20)):
            now = self.clock()
            self._say(f"{elapsed(now - self.start)}  {self.progress(now)}")

    def _answer(self) -> None:
        """Print the study's answers, once they exist."""
        if self.subject is not None and self.progress_wanted:
            for text in self.subject.answers():
                self._say_wrapped(text)

    def close(self) -> None:
        """Print, once, how the run ended."""
        if self.over.is_set():
            return
        self.over.set()
        self.bar.stop()
        if self.workload is not None and self.progress_wanted:
            done, took = len(self.workload.ended), duration(self.clock() - self.start)
            failed = f", {len(self.failed)} failed" if self.failed else ""
            if self.workload.jobs or failed:
                self._say(f"{done} of {counted(len(self.workload.jobs), 'job')} done in {took}{failed}")
            if done == len(self.workload.jobs) and not self.failed:
                self._answer()
