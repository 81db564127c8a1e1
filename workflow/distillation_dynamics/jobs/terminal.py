"""What a run says on the terminal: what will run and about how long, a line a finished job, progress, the answers.

`Terminal` takes the events of Snakemake's log one by one, as the logger plugin `snakemake_logger_plugin_distillation`
gets them; `tell` is how the workflow's files say what the events are about. Where nothing was told (another workflow,
a dry run, `--verbose`) Snakemake's own words are printed.
"""

import logging
import shutil
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, TextIO

from snakemake_interface_logger_plugins.common import LogEvent

from .costs import Costs
from .expected import Job, Run
from .failures import read
from .hashes import Hashes
from .outcome import ending, number_of
from .plan import Plan
from .task import STAGES

# Lines of progress where there is no terminal: so many seconds apart, later on at each twentieth of the time gone.
INTERVAL = 60
REDRAWN = 1.0
BAR = 24
# Characters of a rule and of whom its job is about, where no long number wants the room.
WHOM = 35
ORDER = list(STAGES)
NOTHING = "Nothing to be done"
# What Snakemake says before it begins; what it says afterwards without an event is in its own log.
CHATTER = ("Building DAG", "Assuming unrestricted", "Using shell", "Conda environments:", "Singularity containers:")
# What is worth saying all the same: another attempt, and where a file lies that somebody asked for.
WORTH = ("Trying to restart", "Efficiency report")
# What it says of a failed job, and of there being one, beside the job's own sentence.
REPEATED = ("returned non-zero exit status", "Exiting because a job", "At least one job did not complete")


class Told:
    """What the events of this process are about; the workflow's files fill it in once its plan is made."""

    workflow: Any = None
    plan: Plan | None = None
    hashes: Hashes | None = None
    parts: Callable[[str], tuple[str, ...]] | None = None


def tell(workflow: Any, plan: Plan, hashes: Hashes, parts: Callable[[str], tuple[str, ...]]) -> None:
    """Say what the jobs of this process are about; `parts` are where the study says what a rule's jobs ask for."""
    Told.workflow, Told.plan, Told.hashes, Told.parts = workflow, plan, hashes, parts


def duration(seconds: float) -> str:
    """Return a time as a person says it: 42 s, 12 min, 3.4 h, 2.1 days."""
    for unit, size, places, limit in (("s", 1, 0, 99.5), ("min", 60, 0, 99.5 * 60), ("h", 3600, 1, 48 * 3600)):
        if seconds < limit:
            return f"{seconds / size:.{places}f} {unit}"
    return f"{seconds / 86400:.1f} days"


def clock(seconds: float) -> str:
    """Return minutes and seconds, or hours, minutes and seconds, since the run began."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def cut(text: str, width: int) -> str:
    """Return a text that is no longer than `width`."""
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"


def opening(run: Run, name: str, now: float) -> list[str]:
    """Return what will run and about how long, as far as earlier jobs tell."""
    rules = Counter(job.rule for job in sorted(run.jobs.values(), key=lambda job: ORDER.index(job.stage)))
    students = sum(len(job.tasks) for job in run.jobs.values() if job.rule == "cohorts")
    parts = [
        f"{count} {rule}" + (f" (train {students} students)" if rule == "cohorts" else "")
        for rule, count in rules.items()
    ]
    told = "as earlier jobs took" if run.left(now)[0] else "since no earlier job under results/ was like these"
    return [f"{name}: {counted(len(run.jobs), 'job')}: {', '.join(parts)}", f"Time: {time_left(run, now)}, {told}"]


def time_left(run: Run, now: float) -> str:
    """Return how long the rest takes as far as jobs under `results/` or of this run tell, and of how many none does."""
    seconds, unknown = run.left(now)
    if unknown and not seconds:
        return "not known"
    said = f"about {duration(seconds)}" + (" of computing" if run.limits is None else "")
    return f"{said} and {counted(len(unknown), 'job')} of unknown length" if unknown else said


def counted(count: int, what: str) -> str:
    """Return a number of things: 1 job, 2 jobs."""
    return f"{count} {what}{'s' * (count != 1)}"


def line(job: Job, took: float, since: float, width: int) -> str:
    """Return the line of a finished job: when, rule, whom it is about, seconds, the number that matters."""
    number = number_of(job.tasks)
    left, right = f"{clock(since):>6}  ", f" {duration(took):>6}  {number}"
    room = max(WHOM // 2, width - len(left) - len(right))
    return f"{left}{cut(f'{job.rule:<8} {job.name}', room):<{min(room, WHOM)}}{right}".rstrip()


def progress(run: Run, now: float) -> str:
    """Return how much is done, of the expected seconds where they are known, what runs, and the time left."""
    done, share = len(run.done), run.share(now)
    said = [f"{done} of {counted(len(run.jobs), 'job')}"]
    if share is not None:
        # All is done only when the last job is.
        said.insert(0, f"{min(int(100 * share), 99 if done < len(run.jobs) else 100)} %")
    if done < len(run.jobs):
        said.append(f"time left: {time_left(run, now)}")
    return ", ".join(said)


def bar(run: Run, now: float, width: int) -> str:
    """Return a line of progress with a bar; the bar counts jobs where no earlier job tells how long some takes."""
    share = run.share(now)
    share = len(run.done) / len(run.jobs) if share is None else share
    running = ", ".join(f"{job.rule} {job.name}" for job in run.running)
    full = int(BAR * share)
    return cut(f"[{'#' * full}{'.' * (BAR - full)}] {progress(run, now)}  {running}", width)


class Terminal:
    """The words of one run. `plain` prints what Snakemake would; `quiet`: what the user does not want to see.

    `bars`: whether the last line may be drawn again and again, as on a terminal.
    """

    def __init__(
        self,
        stream: TextIO,
        plain: logging.Handler,
        quiet: set[str],
        bars: bool,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.stream, self.plain, self.quiet, self.bars, self.clock = stream, plain, quiet, bars, clock
        self.run: Run | None = None
        self.start = clock()
        self.said = 0.0
        self.drawn = False
        self.failed: dict[int, str] = {}
        self.nothing = False
        self.lock = threading.RLock()
        self.over = threading.Event()

    @property
    def width(self) -> int:
        """Characters of a line."""
        return shutil.get_terminal_size((80, 24)).columns

    def take(self, record: logging.LogRecord) -> None:
        """Take an event of Snakemake's log."""
        with self.lock:
            event: Any = getattr(record, "event", None)
            taken = {
                LogEvent.RUN_INFO: self._begin,
                LogEvent.JOB_INFO: self._job_begins,
                LogEvent.JOB_FINISHED: self._job_ends,
                LogEvent.JOB_ERROR: self._job_fails,
            }.get(event)
            if taken is not None and Told.plan is not None:
                taken(record)
            elif record.levelno > logging.INFO:
                if not (self.run is not None and any(words in record.getMessage() for words in REPEATED)):
                    self._plain(record)
            elif record.getMessage().startswith(WORTH) or (self.run is None and event != LogEvent.RESOURCES_INFO):
                self.nothing |= record.getMessage().startswith(NOTHING)
                if not record.getMessage().startswith(CHATTER):
                    self._plain(record)

    def _plain(self, record: logging.LogRecord) -> None:
        self._wipe()
        self.plain.handle(record)

    def _begin(self, record: logging.LogRecord) -> None:
        assert Told.plan is not None
        self.run = Run.of(Told.workflow, Told.plan, Costs())
        self.start = self.said = self.clock()
        if "progress" not in self.quiet:
            self._say(*map(self._wrapped, opening(self.run, Told.plan.graph.study.name, self.start)))
            threading.Thread(target=self._draw_on, daemon=True).start()

    def _job_begins(self, record: Any) -> None:
        if self.run is not None and record.jobid in self.run.jobs:
            self.run.begin(record.jobid, self.clock())
            self.failed.pop(record.jobid, None)

    def _job_ends(self, record: Any) -> None:
        if self.run is None or record.job_id not in self.run.jobs:
            return
        now = self.clock()
        job = self.run.end(record.job_id, now)
        if "rules" not in self.quiet:
            self._say(line(job, job.took or 0.0, now - self.start, self.width))

    def _job_fails(self, record: Any) -> None:
        """Say the sentence of a job; what led to it stands in its log."""
        if self.run is None or record.jobid not in self.run.jobs:
            return
        job = self.run.jobs[record.jobid]
        job.begun = None
        parts = Told.parts(record.rule_name) if Told.parts else ()
        why = read(record.rule_msg or "", record.log, parts).sentence
        self.failed[record.jobid] = why
        logs = "".join(f"\n    log: {path}" for path in record.log[:1])
        if "rules" not in self.quiet:
            self._say(f"{clock(self.clock() - self.start):>6}  FAILED  {job.rule} {job.name}: {why}{logs}")

    def _say(self, *lines: str) -> None:
        if "all" in self.quiet:
            return
        self._wipe()
        self.stream.write("".join(f"{text}\n" for text in lines))
        self.stream.flush()

    def _wipe(self) -> None:
        if self.drawn:
            self.stream.write("\r\x1b[K")
            self.drawn = False

    def _draw_on(self) -> None:
        """Say how far the run is, until it is over."""
        while not self.over.wait(REDRAWN):
            with self.lock:
                if not self.over.is_set():
                    self.draw()

    def draw(self) -> None:
        """Say how far the run is: on a terminal in the last line, elsewhere in a line of its own at intervals."""
        now = self.clock()
        if "all" in self.quiet or self.run is None:
            return
        if self.bars:
            self._wipe()
            # The cursor goes back, so that what another part of the program prints begins at the line's beginning.
            self.stream.write(bar(self.run, now, self.width - 1) + "\r")
            self.stream.flush()
            self.drawn = True
        elif now - self.said >= max(INTERVAL, (now - self.start) / 20):
            self.said = now
            running = ", ".join(dict.fromkeys(job.rule for job in self.run.running))
            self._say(
                f"{clock(now - self.start):>6}  {progress(self.run, now)}" + (f"; running: {running}" * bool(running))
            )

    def close(self) -> None:
        """Say, once, how the run ended, with the answers of the study where it has come to them."""
        with self.lock:
            if self.over.is_set():
                return
            self.over.set()
            self._wipe()
            if "progress" in self.quiet or (self.run is None and not self.nothing) or Told.plan is None:
                return
            if self.run is not None:
                done, took = len(self.run.done), duration(self.clock() - self.start)
                said = f"{done} of {counted(len(self.run.jobs), 'job')} done in {took}"
                self._say(f"{said}, {len(self.failed)} failed" if self.failed else said)
                if done < len(self.run.jobs):
                    return
            paragraphs = ending(Told.plan.graph, Told.hashes or Hashes())
            self._say(*(self._wrapped(text) for text in paragraphs))

    def _wrapped(self, text: str) -> str:
        return textwrap.fill(text, self.width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
