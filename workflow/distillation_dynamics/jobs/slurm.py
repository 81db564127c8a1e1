"""What a run on SLURM needs beyond its executor: jobs that can never start, jobs of an earlier run, a quick end.

What stands in for snakemake-executor-plugin-slurm (2.8) and Snakemake (9.27), each with a test that fails when they
change (tests/test_failures.py):

- `attend` replaces the executor's pause between two looks at its jobs, which grows to three minutes, for which a
  failure goes unseen, and which Ctrl-C waits for. Upstream: snakemake/snakemake-executor-plugin-slurm#252, for which
  snakemake/snakemake-interface-executor-plugins#97 lets an event end the pause. In the pause it looks for jobs that can
  never start: to the executor they are jobs that wait, and no upstream issue asks for more.
- `failures.Failures` moves the count of a failed job's attempts, since Snakemake allows all failures of a rule equally
  many. Upstream: snakemake/snakemake#2441.
"""

import asyncio
import getpass
import os
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from .failures import PROFILE, Failures, keys_with

# Why SLURM will never start a job as it is -> what to change, in the stage's part of the study or in the profile.
STUCK = {
    r"PartitionTimeLimit|MaxWallDurationPerJob": "asks for more minutes than its partition or account allows: lower "
    "{runtime} (a training goes on in the next attempt), or name another partition in {profile}",
    r"PartitionNodeLimit|MaxNodePerJob": "asks for more nodes than allowed: lower {nodes}, or name another "
    "partition in {profile}",
    r"MaxCpuPer|MinCpu": "asks for a number of cores that is not allowed: change {threads}",
    r"MaxMem|MinMem": "asks for an amount of memory that is not allowed: change {mem_mb}",
    r"MaxGRESPer|MinGRES": "asks for a number of GPUs that is not allowed: change {gpu}",
    r"Account": "is not allowed with its account: name another slurm_account in {profile}",
    r"QOS(NotAllowed)?$|InvalidQOS": "is not allowed with its QOS: name another qos in {profile}",
    r"BadConstraints|PartitionConfig": "asks for what no node of its partition has: change {keys} in the study, or the "
    "partition in {profile}",
}
# Why SLURM will not start a job until somebody does something; it stays where it is.
WAITING = {
    r"Grp\w*Minutes(?!Run)": "waits for an account whose budget is used up: name another slurm_account in {profile}",
    r"JobHeld": "is held: scontrol release lets it go",
}
# An account or QOS at its limit waits for others to end; that passes.
PASSES = re.compile(r"Max(Jobs|Submit)|GrpCpuLimit|GrpGRES$|RunMinutes", re.IGNORECASE)
OPTIONS = ("runtime", "nodes", "threads", "mem_mb", "gpu")
# What the executor leaves in a job's comment: rule and wildcards, of which a batch's names its members.
COMMENT = re.compile(r"rule_(\w+?)(?:_wildcards_(.*))?")


class Queued(NamedTuple):
    """A job that SLURM has and that has not ended."""

    number: str
    state: str
    reason: str
    rule: str
    wildcards: str

    def __str__(self) -> str:
        return f"{self.number} ({self.rule} {self.wildcards}".rstrip() + ")"


def signal_before(minutes: int) -> str:
    """Return the option of sbatch with which SLURM asks a job to stop some time before its limit of `minutes`."""
    return f"--signal=TERM@{min(300, 15 * minutes)}"


def queued(folder: str) -> list[Queued]:
    """Return this user's jobs that a run in `folder` sent and that have not ended.

    Nothing where squeue is not there or silent: a cluster that does not answer says so when a job is sent.
    """
    # The last column may hold anything, as a folder does.
    command = ["squeue", "--noheader", "--user", getpass.getuser(), "--format=%i|%T|%r|%k|%Z"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    here, own, jobs = os.path.realpath(folder), os.environ.get("SLURM_JOB_ID"), []
    for line in answer.splitlines():
        number, state, reason, comment, where = (part.strip() for part in line.split("|", 4))
        if (known := COMMENT.fullmatch(comment)) and os.path.realpath(where) == here and number != own:
            jobs.append(Queued(number, state, reason, known[1], known[2] or ""))
    return jobs


def say_queued(folder: str) -> None:
    """Print which jobs of an earlier run still live in `folder`, and what to do about them."""
    if jobs := queued(folder):
        listed = "\n".join(f"    {job}: {job.state.lower()}" for job in jobs)
        print(
            f"{len(jobs)} jobs of an earlier run in this folder are still with SLURM:\n{listed}\nWhat they make is "
            "waited for, and not made twice. To start it anew: Ctrl-C, scancel "
            f"{' '.join(job.number for job in jobs)}, then the same command.",
            file=sys.stderr,
        )


def stuck(reason: str, parts: tuple[str, ...]) -> tuple[str, bool] | None:
    """Return why a pending job does not start and what to change, and whether it never can as it is.

    `parts` are those of the study that say what the job asks for. None where SLURM's reason passes by itself.
    """
    if PASSES.search(reason):
        return None
    keys = {option: keys_with(parts, option) for option in OPTIONS} | {"keys": keys_with(parts), "profile": PROFILE}
    for sentences, never in ((WAITING, False), (STUCK, True)):
        for pattern, sentence in sentences.items():
            if re.search(pattern, reason):
                return f"{sentence.format(**keys)} (SLURM: {reason})", never
    return None


def end_stuck(folder: str, failures: Failures, parts: Callable[[str], tuple[str, ...]], named: set[str]) -> None:
    """Print which jobs do not start and what to change, but those that are `named`; cancel those that never can."""
    for job in queued(folder):
        found = stuck(job.reason, parts(job.rule)) if job.state == "PENDING" and job.number not in named else None
        if found is None:
            continue
        why, never = found
        named.add(job.number)
        print(f"SLURM job {job} {why}", file=sys.stderr, flush=True)
        if never:
            failures.hopeless[job.number] = why
            subprocess.run(["scancel", job.number], capture_output=True, timeout=60, check=False)


def attend(failures: Failures, parts: Callable[[str], tuple[str, ...]]) -> None:
    """Have the executor pause as long as the profile says between two looks at its jobs, and not beyond the run.

    In each pause jobs that cannot start are looked for; `parts` are those of the study for a rule.
    """
    from snakemake_executor_plugin_slurm import Executor

    named: set[str] = set()

    async def sleep(executor: Any) -> None:
        await asyncio.to_thread(end_stuck, os.getcwd(), failures, parts, named)
        for _ in range(2 * executor.workflow.executor_settings.init_seconds_before_status_checks):
            if not executor.wait:
                return
            await asyncio.sleep(0.5)

    Executor.sleep = sleep
