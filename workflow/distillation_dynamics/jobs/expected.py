"""The jobs of a run of Snakemake: what each carries out, how long it should take, how much of the whole is done.

Seconds come from earlier jobs under `results/` (`costs`) and from jobs of the run itself that train, measure or compare
the same kind of student. Where neither tells, nothing is said: a count of jobs stands in for the share of the work.
"""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from .batches import network_of, split
from .costs import Costs, whole
from .plan import Plan
from .task import GATHERING, Task

# The name of a job lists so many networks.
MOST_NAMES = 2


@dataclass
class Job:
    """A job of Snakemake: its number and rule, what it carries out, what it takes of the machine, whom it waits for.

    `seconds`: expected, None where nothing tells. `begun` and `ended`: seconds of a clock.
    """

    rule: str
    tasks: tuple[Task, ...]
    takes: dict[str, int]
    priority: float = 0
    needs: set[int] = field(default_factory=set)
    seconds: float | None = None
    begun: float | None = None
    ended: float | None = None

    @property
    def took(self) -> float | None:
        """The seconds that it took; None before it is done."""
        return None if self.begun is None or self.ended is None else self.ended - self.begun

    @property
    def stage(self) -> str:
        """The stage of what it carries out."""
        return self.tasks[0].stage

    @property
    def kind(self) -> tuple[str, str] | None:
        """What it is like: jobs of one rule that are all about students; None where it is like no other."""
        about_students = all(network_of(task).startswith("students/") for task in self.tasks)
        return (self.rule, "students") if about_students and self.rule != "student" else None

    @property
    def name(self) -> str:
        """Whom it is about: a network, some variants and seeds, or the stages that it gathers."""
        if self.stage in GATHERING:
            return ", ".join(dict.fromkeys(task.stage for task in self.tasks))
        if self.rule in ("cohorts", "measure", "compare", "student"):
            parts = [split(network_of(task)) for task in self.tasks]
            names, seeds = (list(dict.fromkeys(filter(None, column))) for column in zip(*parts, strict=True))
            more = len(names) - MOST_NAMES
            names = names if more < 2 else [*names[:MOST_NAMES], f"{more} more"]
            return ", ".join([*names, *(f"seed {seed}" for seed in seeds)])
        return self.tasks[0].name


class Run:
    """The jobs of a run by number; `limits`: what of the machine they share, None on a cluster, which shares alone."""

    def __init__(self, jobs: dict[int, Job], limits: dict[str, int] | None):
        self.jobs, self.limits = jobs, limits

    @classmethod
    def of(cls, workflow: Any, plan: Plan, costs: Costs) -> "Run":
        """Return the jobs that Snakemake is about to run; those that only ask for others are none."""
        parts = {task.flag: (task,) for task in plan.reasons} | {batch.flag: batch.tasks for batch in plan.batches}
        dag, jobs = workflow.dag, {}
        for job in list(dag.needrun_jobs()):
            if job.is_norun:
                continue
            tasks = parts[str(job.output[0])]
            jobs[dag.jobid(job)] = Job(
                *(job.rule.name, tasks, {"threads": job.threads, "gpu": int(job.resources.get("gpu", 0))}),
                *(job.priority, {dag.jobid(need) for need in dag.dependencies[job]}),
                seconds=_seconds(plan, costs, job.rule.name, tasks),
            )
        settings = workflow.resource_settings
        if settings.nodes is not None:
            return cls(jobs, None)
        gpus = getattr(workflow.global_resources.get("gpu"), "value", None)
        return cls(jobs, {"threads": settings.cores or 1} | ({} if gpus is None else {"gpu": int(gpus)}))

    def begin(self, number: int, now: float) -> None:
        """A job begins, or is sent to a cluster."""
        self.jobs[number].begun = now

    def end(self, number: int, now: float) -> Job:
        """A job is done."""
        job = self.jobs[number]
        job.ended = now
        return job

    @property
    def done(self) -> list[Job]:
        """The jobs that are done."""
        return [job for job in self.jobs.values() if job.ended is not None]

    @property
    def running(self) -> list[Job]:
        """The jobs that are begun and not done."""
        return [job for job in self.jobs.values() if job.begun is not None and job.ended is None]

    def seconds(self) -> dict[int, float | None]:
        """Return what each job takes: what it took, what is expected, or the mean of those of its kind, by member."""
        took: dict[tuple[str, str], list[float]] = {}
        for job in self.done:
            if job.kind is not None and job.took is not None and self.limits is not None:
                took.setdefault(job.kind, []).append(job.took / len(job.tasks))
        found: dict[int, float | None] = {}
        for number, job in self.jobs.items():
            alike = None if job.kind is None else took.get(job.kind)
            if job.took is not None and self.limits is not None:
                found[number] = job.took
            elif job.seconds is None and alike:
                found[number] = len(job.tasks) * sum(alike) / len(alike)
            else:
                found[number] = job.seconds
        return found

    def share(self, now: float) -> float | None:
        """Return the share of the work that is done; None where nothing tells how long some job takes.

        On a cluster, where nobody knows since when a job computes, only what is done counts.
        """
        seconds = {number: known for number, known in self.seconds().items() if known is not None}
        if len(seconds) < len(self.jobs) or not sum(seconds.values()):
            return None
        done = 0.0
        for number, job in self.jobs.items():
            if job.ended is not None:
                done += seconds[number]
            elif job.begun is not None and self.limits is not None:
                done += min(now - job.begun, seconds[number])
        return done / sum(seconds.values())

    def left(self, now: float) -> tuple[float, list[Job]]:
        """Return the seconds until all is done of which something tells, and the jobs left of which nothing does.

        On a cluster they are what the jobs compute together: when they begin nobody knows.
        """
        seconds = self.seconds()
        unknown = [job for n, job in self.jobs.items() if seconds[n] is None and job.ended is None]
        todo = {n: max(0.0, (seconds[n] or 0.0) - _gone(job, now)) for n, job in self.jobs.items() if job.ended is None}
        if self.limits is None:
            return sum(todo.values()), unknown
        return _length(self.jobs, todo, self.limits), unknown


def _gone(job: Job, now: float) -> float:
    return 0.0 if job.begun is None else now - job.begun


def _seconds(plan: Plan, costs: Costs, rule: str, tasks: Iterable[Task]) -> float | None:
    """Return what a job should take; None where no earlier job tells."""
    tasks = list(tasks)
    if rule == "student":
        return 0.0  # Publishes a run, which takes no time beside what is trained and measured.
    if rule == "cohorts":
        return costs.training(plan.graph, tasks[0], len(tasks))
    return whole([costs.of(plan, task).seconds for task in tasks])


def _length(jobs: dict[int, Job], seconds: dict[int, float], limits: dict[str, int]) -> float:
    """Return the seconds that jobs take together: what is ready begins, by priority, while there is room for it."""
    now, free = 0.0, dict(limits)
    waits = {number: jobs[number].needs & seconds.keys() for number in seconds}
    ending: list[tuple[float, int]] = []
    # Those that run come first, whatever room they take.
    order = sorted(waits, key=lambda n: (jobs[n].begun is None, -jobs[n].priority, n))
    while order or ending:
        for number in list(order):
            takes = {name: min(jobs[number].takes.get(name, 0), limit) for name, limit in limits.items()}
            fits = all(takes[name] <= free[name] for name in limits)
            if waits[number] or not (fits or jobs[number].begun is not None):
                continue
            order.remove(number)
            for name, amount in takes.items():
                free[name] -= amount
            heapq.heappush(ending, (now + seconds[number], number))
        if not ending:
            return now
        now, ended = heapq.heappop(ending)
        for name, limit in limits.items():
            free[name] += min(jobs[ended].takes.get(name, 0), limit)
        for needs in waits.values():
            needs.discard(ended)
    return now
