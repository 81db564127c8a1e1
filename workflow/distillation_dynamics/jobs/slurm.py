"""Additions to Snakemake's SLURM executor: jobs that can never start, jobs of an earlier run, a quick end.

Patches of snakemake-executor-plugin-slurm (2.8) and Snakemake (9.27), each with a test that fails when they change
(tests/test_attend.py):

- `attend` replaces the executor's pause between two looks at its jobs, which grows to three minutes, for which a
  failure goes unseen, and which Ctrl-C waits for. Upstream: snakemake/snakemake-executor-plugin-slurm#252, for which
  snakemake/snakemake-interface-executor-plugins#97 lets an event end the pause. In the pause it looks for jobs that can
  never start: to the executor they are jobs that wait, and no upstream issue asks for more.
- `attend` also replaces what the executor makes of three things. It passes states on as sacct says them (`CANCELLED by
  1000`), which it does not know as failures; it waits for ever for what was preempted and not queued again; and without
  an account it asks sacct by a command that cannot be (`sacct ... | tail -1` without a shell).
- `failures.Failures` moves the count of a failed job's attempts, since Snakemake allows all failures of a rule equally
  many. Upstream: snakemake/snakemake#2441.
"""

import asyncio
import getpass
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from . import pending as pending_reasons
from .causes import PREEMPTED, PROFILE, keys_with
from .failures import Failures
from .pending import OF_PARTITION, Fate

# A job waiting for a shared limit is reported after this time without any job using that limit.
SECONDS_ALONE = 180
# The executor's comment on a job: rule and wildcards, among them the batch's name.
COMMENT = re.compile(r"rule_(\w+?)(?:_wildcards_(.*))?")


class Queued(NamedTuple):
    """An unfinished job in SLURM."""

    number: str
    state: str
    reason: str
    account: str
    qos: str
    partition: str
    rule: str
    wildcards: str

    def __str__(self) -> str:
        return f"{self.number} ({self.rule} {self.wildcards}".rstrip() + ")"


def signal_before(minutes: int) -> str:
    """Return sbatch's option that makes SLURM ask a job to stop shortly before its limit of `minutes`."""
    return f"--signal=TERM@{min(300, 15 * minutes)}"


def over_nodes(nodes: int, gpus: int, model: str | None) -> dict[str, int | str]:
    """Return the resources of a job with one task on each of several nodes, which share its GPUs equally.

    It is declared as an MPI job: the rule calls srun itself, and GPUs are requested per node. If the executor sees GPUs
    it reads `tasks` as tasks per GPU, so it is told there are none.
    """
    gres = ":".join(filter(None, ["gpu", model, str(gpus // nodes)]))
    return {"gpu": 0, "gres": gres, "nodes": nodes, "tasks": nodes, "tasks_per_gpu": 0, "mpi": "srun"}


def queued(folder: str) -> list[Queued]:
    """Return this user's unfinished jobs that a run in `folder` submitted.

    Empty if squeue is missing or does not answer: a silent cluster is reported on submission.
    """
    # The last columns may contain anything, as folders do; a reason in words contains no bar.
    lines = _squeue("--user", getpass.getuser(), "--format=%i|%T|%r|%a|%q|%P|%k|%Z") or []
    here, own, jobs = os.path.realpath(folder), os.environ.get("SLURM_JOB_ID"), []
    for line in lines:
        *facts, comment, where = (part.strip() for part in line.split("|", 7))
        if (known := COMMENT.fullmatch(comment)) and os.path.realpath(where) == here and facts[0] != own:
            jobs.append(Queued._make([*facts, known[1], known[2] or ""]))
    return jobs


def _squeue(*options: str) -> list[str] | None:
    """Return the output of squeue, None if it does not answer."""
    try:
        done = subprocess.run(
            ["squeue", "--noheader", *options], capture_output=True, text=True, check=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.splitlines()


def say_queued(folder: str) -> None:
    """Print which jobs of an earlier run are still alive in `folder`, and what to do about them."""
    if jobs := queued(folder):
        listed = "\n".join(f"    {job}: {job.state.lower()}" for job in jobs)
        print(
            f"{len(jobs)} jobs of an earlier run in this folder are still with SLURM:\n{listed}\nThis run waits for "
            "their results and does not repeat them. To start over: Ctrl-C, scancel "
            f"{' '.join(job.number for job in jobs)}, then the same command.",
            file=sys.stderr,
        )


class Stuck:
    """Finds jobs that do not start and reports once for each why, and what to change; cancels those that never can.

    `parts`: the parts of the study that configure the jobs of a rule.
    """

    def __init__(self, failures: Failures, parts: Callable[[str], tuple[str, ...]], clock=time.monotonic):
        self.failures, self.parts, self.clock = failures, parts, clock
        self.named: set[str] = set()
        # Job -> since when it has waited for others, while none runs.
        self.alone: dict[str, float] = {}

    def look(self, folder: str) -> None:
        """Check the jobs that a run in `folder` submitted."""
        pending = [job for job in queued(folder) if job.state == "PENDING" and job.number not in self.named]
        found = {job: pending_reasons.meaning(job.reason) for job in pending}
        shared = [job for job, reason in found.items() if reason is not None and reason.fate is Fate.SHARED]
        alone = set(shared) - competing(shared)
        self.alone = {job.number: self.alone.get(job.number, self.clock()) for job in alone}
        for job, reason in found.items():
            if reason is None:
                self._say(job, f"is not started by SLURM: {job.reason}")
            elif job in alone and self.clock() - self.alone[job.number] > SECONDS_ALONE:
                asked = keys_with(self.parts(job.rule))
                self._say(
                    job, f"waits for jobs to end that share a limit with it, and none runs: lower {asked}, or name "
                    f"another slurm_account or qos in {PROFILE} (SLURM: {job.reason})",
                )  # fmt: skip
            elif reason.fate in (Fate.STAYS, Fate.NEVER):
                why = pending_reasons.sentence(job.reason, reason, self.parts(job.rule))
                self._say(job, why)
                # A job with several partitions may start in the next.
                if reason.fate is Fate.NEVER and not ("," in job.partition and OF_PARTITION.match(job.reason)):
                    self.failures.hopeless[job.number] = why
                    subprocess.run(["scancel", job.number], capture_output=True, timeout=60, check=False)

    def _say(self, job: Queued, why: str) -> None:
        self.named.add(job.number)
        print(f"SLURM job {job} {why}", file=sys.stderr, flush=True)


def competing(jobs: list[Queued]) -> set[Queued]:
    """Return those waiting jobs next to which a competing job runs: of the user, or of the account, QOS or partition.

    All of them if SLURM does not answer.
    """
    if not jobs:
        return set()
    lines = _squeue("--states=RUNNING,COMPLETING,CONFIGURING,SUSPENDED,STOPPED", "--format=%u|%a|%q|%P")
    if lines is None:
        return set(jobs)
    running, user = [tuple(part.strip() for part in line.split("|")) for line in lines], getpass.getuser()
    users, others = {line[0] for line in running}, {part for line in running for part in line[1:]}
    return {
        job
        for job in jobs
        if (user in users if "PerUser" in job.reason else {job.account, job.qos, *job.partition.split(",")} & others)
    }


def plain(states: dict[str, str], folder: str) -> dict[str, str]:
    """Return number -> state of jobs in the executor's vocabulary.

    It does not know `CANCELLED by 1000` as sacct prints it, and waits forever for a PREEMPTED job that SLURM did not
    requeue.
    """
    active = {job.number for job in queued(folder)} if "PREEMPTED" in states.values() else set()
    found = {}
    for number, state in states.items():
        state = state.partition(" ")[0]
        found[number] = PREEMPTED if state == "PREEMPTED" and number not in active else state
    return found


def attend(failures: Failures, parts: Callable[[str], tuple[str, ...]]) -> None:
    """Make the executor check its jobs at the profile's interval, know all states, and guess no account.

    Each pause also looks for jobs that cannot start; `parts`: the parts of the study for a rule.
    """
    import snakemake_executor_plugin_slurm as plugin

    stuck, query, account = Stuck(failures, parts), plugin.query_job_status, plugin.Executor.get_account_arg

    async def sleep(executor: Any) -> None:
        await asyncio.to_thread(stuck.look, os.getcwd())
        for _ in range(2 * executor.workflow.executor_settings.init_seconds_before_status_checks):
            if not executor.wait:
                return
            await asyncio.sleep(0.5)

    async def query_plain(command: str, logger: Any) -> tuple[dict[str, str] | None, float | None]:
        states, seconds = await query(command, logger)
        return (None if states is None else await asyncio.to_thread(plain, states, os.getcwd())), seconds

    def get_account_arg(executor: Any, job: Any) -> Iterator[str]:
        return account(executor, job) if job.resources.get("slurm_account") else iter([""])

    plugin.Executor.sleep, plugin.query_job_status = sleep, query_plain
    plugin.Executor.get_account_arg = get_account_arg
