"""The jobs of a run of Snakemake: what each carries out, how much of the whole is done, how long the rest takes.

Expected seconds are those of `costs`, set right by the jobs of the run that have ended.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from .batches import network_of, split
from .costs import RECORDS, REFERENCE, REQUEST, Cost, Costs
from .plan import Plan
from .task import GATHERING, STAGES, Task

BASIS = {
    RECORDS: "as earlier jobs took",
    REFERENCE: "estimated from reference costs, which the first jobs correct",
    REQUEST: "an upper limit: some jobs have no estimate but their time limit",
}
# The name of a job lists at most this many networks, and as many seeds.
MOST_NAMES = 2
# Rules whose jobs are about networks or students.
ABOUT_NETWORKS = ("cohorts", "measure", "compare", "student")


@dataclass
class Job:
    """A job of Snakemake: its rule, what it carries out, what it takes of the machine, what it should cost.

    `begun` and `ended`: seconds of a clock; `log`: the file in which it says how far it is.
    """

    rule: str
    tasks: tuple[Task, ...]
    takes: dict[str, int]
    cost: Cost
    begun: float | None = None
    ended: float | None = None
    log: str | None = None

    @property
    def took(self) -> float:
        """The seconds that it took."""
        assert self.begun is not None and self.ended is not None
        return self.ended - self.begun

    @property
    def names(self) -> list[str]:
        """The networks or variants that it is about."""
        return list(dict.fromkeys(split(network_of(task))[0] for task in self.tasks))

    @property
    def name(self) -> str:
        """Whom it is about: a network, some variants and seeds, or the stages that it gathers."""
        if self.rule not in ABOUT_NETWORKS:
            stages = dict.fromkeys(task.stage for task in self.tasks)
            return ", ".join(stages) if self.tasks[0].stage in GATHERING else self.tasks[0].name
        return self._listing(MOST_NAMES)

    def fitted(self, room: int) -> str:
        """Return the name in `room` characters: fewer networks, then their number, a single one cut; with all seeds."""
        if self.rule not in ABOUT_NETWORKS or len(self.name) <= room:
            return self.name if len(self.name) <= room else f"{self.name[: room - 1]}…"
        if len(shorter := self._listing(1)) <= room:
            return shorter
        if len(self.names) > 1:
            return self._listing(0)
        cut = max(1, len(self.names[0]) - (len(shorter) - room) - 1)
        return shorter.replace(self.names[0], f"{self.names[0][:cut]}…", 1)

    def _listing(self, most: int) -> str:
        names, more = self.names, len(self.names) - most
        if not most:
            names = [f"{more} {'networks' if self.rule in ('measure', 'compare') else 'variants'}"]
        elif more > 1 or (more and most < MOST_NAMES):
            names = [*names[:most], f"{more} more"]
        seeds = list(dict.fromkeys(seed for task in self.tasks if (seed := split(network_of(task))[1])))
        if len(seeds) > MOST_NAMES:
            return ", ".join([*names, f"{len(seeds)} seeds"])
        return ", ".join([*names, *(f"seed {seed}" for seed in seeds)])


class Workload:
    """The jobs of a run by number; `limits`: what of the machine they share, None on a cluster, which shares alone.

    `links`: the jobs that only link finished students into the study, which take no time and have no line.
    """

    def __init__(self, jobs: dict[int, Job], limits: dict[str, int] | None, links: dict[int, Job] | None = None):
        self.jobs, self.limits, self.links = jobs, limits, links or {}

    @classmethod
    def of(cls, workflow: Any, plan: Plan, costs: Costs) -> "Workload":
        """Return the jobs that Snakemake is about to run; those that only ask for others are none.

        Snakemake may run more than the plan has (`--force`): what is done then finds itself done.
        """
        parts = {task.flag: (task,) for task in plan.graph.tasks} | {batch.flag: batch.tasks for batch in plan.batches}
        jobs: dict[int, Job] = {}
        links: dict[int, Job] = {}
        for job in list(workflow.dag.needrun_jobs()):
            if not job.is_norun and (tasks := parts.get(str(job.output[0]))) is not None:
                takes = {"threads": job.threads, "gpu": int(job.resources.get("gpu", 0))}
                linked = job.rule.name == "student"
                cost = Cost(0.0, RECORDS) if linked else costs.of_job(plan.graph, tasks)
                (links if linked else jobs)[workflow.dag.jobid(job)] = Job(job.rule.name, tasks, takes, cost)
        settings = workflow.resource_settings
        if settings.nodes is not None:
            return cls(jobs, None, links)
        gpus = getattr(workflow.global_resources.get("gpu"), "value", None)
        return cls(jobs, {"threads": settings.cores or 1} | ({} if gpus is None else {"gpu": int(gpus)}), links)

    def of_rule(self, rule: str) -> list[Job]:
        """The jobs of a rule."""
        return [job for job in self.jobs.values() if job.rule == rule]

    @property
    def ended(self) -> list[Job]:
        """The jobs that are done."""
        return [job for job in self.jobs.values() if job.ended is not None]

    @property
    def running(self) -> list[Job]:
        """The jobs that are begun and not done."""
        return [job for job in self.jobs.values() if job.begun is not None and job.ended is None]

    @property
    def rules(self) -> str:
        """The number of jobs of each rule, in the order of their stages; where there are none, of students to link."""
        if not self.jobs:
            return f"{len(self.links)} finished student{'s' * (len(self.links) > 1)} to link"
        order = list(STAGES)
        jobs = sorted(self.jobs.values(), key=lambda job: order.index(job.tasks[0].stage))
        counts = {rule: f"{count} {rule}" for rule, count in Counter(job.rule for job in jobs).items()}
        if "cohorts" in counts:
            students = sum(len(job.tasks) for job in self.of_rule("cohorts"))
            counts["cohorts"] += f" (train {students} student{'s' * (students > 1)})"
        return ", ".join(counts.values())

    @property
    def basis(self) -> str:
        """What the expected seconds rest on."""
        return BASIS[max((job.cost.source for job in self.jobs.values()), default=RECORDS)]

    def _pace(self, rule: str) -> float:
        """Return what jobs took of what was expected: those of a rule, or as far as they tell yet all."""
        if self.limits is None:
            return 1.0  # Nobody knows how long a job waited on a cluster.
        alike = [job for job in self.of_rule(rule) if job.ended is not None and job.cost.seconds]
        prior = 0.0 if alike else sum(job.cost.seconds for job in self.jobs.values()) / 10
        ended = alike or self.ended
        expected = sum(job.cost.seconds for job in ended) + prior
        return (sum(job.took for job in ended) + prior) / expected if expected else 1.0

    def left(self, now: float) -> float:
        """Return the seconds until all is done: rules one after the other, the jobs of a rule beside each other.

        On a cluster they are what the jobs compute together: when they begin nobody knows.
        """
        total = 0.0
        for rule in {job.rule for job in self.jobs.values()}:
            jobs, pace = [job for job in self.of_rule(rule) if job.ended is None], self._pace(rule)
            gone = [0.0 if job.begun is None else now - job.begun for job in jobs]
            left = [max(0.0, pace * job.cost.seconds - done) for job, done in zip(jobs, gone, strict=True)]
            if self.limits is None:
                total += sum(left)
            else:
                shared = (
                    sum(job.takes[name] * seconds for job, seconds in zip(jobs, left, strict=True)) / limit
                    for name, limit in self.limits.items()
                )
                total += max(0.0, *left, *shared)
        return total

    def share(self, start: float, now: float) -> float:
        """Return the share that is done of the time since `start` and the time left; on a cluster, of the computing."""
        done, left = now - start, self.left(now)
        if self.limits is None:
            done = sum(job.cost.seconds for job in self.ended)
            left = sum(job.cost.seconds for job in self.jobs.values()) - done
        return done / (done + left) if done + left else 1.0
