"""Progress of a Snakemake run: what each job carries out, the share done, and the time left.

Expected seconds come from `costs`, corrected by the jobs of this run that have ended.
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
# Maximum number of networks in a job's name, and of seeds.
MOST_NAMES = 2
# Rules whose jobs belong to networks or students.
ABOUT_NETWORKS = ("cohorts", "measure", "compare", "student")


@dataclass
class Job:
    """A Snakemake job: rule, members, resources, expected cost.

    `begun` and `ended`: clock readings in seconds; `log`: the file in which it reports its progress.
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
        """Seconds it took."""
        assert self.begun is not None and self.ended is not None
        return self.ended - self.begun

    @property
    def names(self) -> list[str]:
        """Its networks or variants."""
        return list(dict.fromkeys(split(network_of(task))[0] for task in self.tasks))

    @property
    def name(self) -> str:
        """Its networks, variants and seeds, or the stages it gathers."""
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
    """The jobs of a run by number. `limits`: shared resources of the machine, None on a cluster.

    `links`: jobs that only link finished students into the study; they take no time and have no line.
    """

    def __init__(self, jobs: dict[int, Job], limits: dict[str, int] | None, links: dict[int, Job] | None = None):
        self.jobs, self.limits, self.links = jobs, limits, links or {}

    @classmethod
    def of(cls, workflow: Any, plan: Plan, costs: Costs) -> "Workload":
        """Return the jobs that Snakemake is about to run, without those that only request others.

        With `--force`, Snakemake may run more jobs than planned; these find their work done.
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
        """Jobs of a rule."""
        return [job for job in self.jobs.values() if job.rule == rule]

    @property
    def ended(self) -> list[Job]:
        """Jobs that have ended."""
        return [job for job in self.jobs.values() if job.ended is not None]

    @property
    def running(self) -> list[Job]:
        """Jobs that have begun and not ended."""
        return [job for job in self.jobs.values() if job.begun is not None and job.ended is None]

    @property
    def rules(self) -> str:
        """Number of jobs of each rule in the order of stages, and of students to link."""
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
        """Basis of the expected seconds."""
        return BASIS[max((job.cost.source for job in self.jobs.values()), default=RECORDS)]

    def _pace(self, rule: str) -> float:
        """Return the ratio of actual to expected seconds for a rule, or for all jobs while the rule has none."""
        if self.limits is None:
            return 1.0  # On a cluster, time spent waiting is unknown.
        alike = [job for job in self.of_rule(rule) if job.ended is not None and job.cost.seconds]
        prior = 0.0 if alike else sum(job.cost.seconds for job in self.jobs.values()) / 10
        ended = alike or self.ended
        expected = sum(job.cost.seconds for job in ended) + prior
        return (sum(job.took for job in ended) + prior) / expected if expected else 1.0

    def left(self, now: float) -> float:
        """Return the seconds left: rules in sequence, the jobs of a rule in parallel.

        On a cluster, the total computing time of the jobs, since their start times are unknown.
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
        """Return the share done: elapsed time over total time; on a cluster, the share of computing time."""
        done, left = now - start, self.left(now)
        if self.limits is None:
            done = sum(job.cost.seconds for job in self.ended)
            left = sum(job.cost.seconds for job in self.jobs.values()) - done
        return done / (done + left) if done + left else 1.0
