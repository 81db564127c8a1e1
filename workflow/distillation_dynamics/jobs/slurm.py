"""What the executor of SLURM leaves out: names of jobs, jobs that can never start, jobs of an earlier run, a quick end.

`attend` puts itself between the executor (snakemake-executor-plugin-slurm) and SLURM, where the executor offers no
setting: a name that says stage, variants and seed instead of the run's number alone, the signal that lets a training
save its state whatever else is asked of SLURM, a node that failed once allowed again on the last attempt, and an answer
to Ctrl-C at once.
"""

import asyncio
import getpass
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

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
SECONDS_WHEN_FULL = 10
OPTIONS = ("runtime", "nodes", "threads", "mem_mb", "gpu")
SIGNAL = "--signal"
# A job that wrote its files is asked for so often, so many seconds apart, before the executor's own pace holds again.
LOOKS, SECONDS_AFTER_FILES = 10, 2.0


def stuck(reason: str, parts: tuple[str, ...]) -> tuple[str, bool] | None:
    """Return why a pending job does not start and what to change, and whether it never can as it is.

    `parts` are those of the study that say what the job asks for. None where SLURM's reason passes by itself.
    """
    if PASSES.search(reason):
        return None
    keys = {option: keys_with(parts, option) for option in OPTIONS} | {"keys": keys_with(parts), "profile": PROFILE}
    for sentences, never in ((WAITING, False), (STUCK, True)):
        for pattern, said in sentences.items():
            if re.search(pattern, reason):
                return f"{said.format(**keys)} (SLURM: {reason})", never
    return None


def signal_before(minutes: int) -> str:
    """Return the option with which SLURM asks a job to stop some time before its limit."""
    return f"{SIGNAL}=TERM@{min(300, 15 * minutes)}"


def living(folder: str) -> list[tuple[str, str, str]]:
    """Return (number, state, name) of this user's jobs that were sent from `folder` and have not ended."""
    jobs = _queue("%i|%T|%j|%Z", "--user", getpass.getuser())
    here, own = os.path.realpath(folder), os.environ.get("SLURM_JOB_ID")
    return [(n, state, name) for n, state, name, where in jobs if os.path.realpath(where) == here and n != own]


def _queue(columns: str, *options: str) -> list[list[str]]:
    """Return what squeue says of jobs that have not ended, a list a job; nothing where it is not there or is silent.

    A cluster that does not answer says so when a job is sent; a run asks again at its next look.
    """
    command = ["squeue", "--noheader", f"--format={columns}", *options]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    # The last column may hold anything, as a folder does.
    return [[part.strip() for part in line.split("|", columns.count("|"))] for line in said.splitlines()]


def _cancel(*numbers: str) -> None:
    subprocess.run(["scancel", *numbers], capture_output=True, timeout=60, check=False)


def say_living(folder: str) -> None:
    """Print which jobs of an earlier run still live in `folder`, and what to do about them."""
    if jobs := living(folder):
        listed = "\n".join(f"    {number} {state.lower()} {name}" for number, state, name in jobs)
        numbers = " ".join(number for number, _, _ in jobs)
        print(
            f"{len(jobs)} jobs of an earlier run in this folder are still with SLURM:\n{listed}\nWhat they make is "
            f"waited for, and not made twice. To start it anew: Ctrl-C, scancel {numbers}, then the same command.",
            file=sys.stderr,
        )


class Attendant:
    """Stands between the executor and SLURM.

    `title` names a job, `parts` where the study says what the jobs of a rule ask for; rules that are `saving` get a
    signal before their time limit.
    """

    def __init__(
        self, failures: Failures, title: Callable[[Any], str], parts: Callable[[str], tuple[str, ...]], saving: set[str]
    ):
        self.failures, self.title, self.parts, self.saving = failures, title, parts, saving
        self.names: dict[str, str] = {}
        self.said: set[str] = set()
        self.looks: Counter[str] = Counter()

    def command(self, build: Callable) -> Callable:
        """Return the executor's function that builds the call of sbatch, with what it leaves out."""

        def get_submit_command(job: Any, params: dict, settings: Any = None, failed_nodes: Any = None, **more) -> str:
            if self.failures.full:
                # Sent again at once it would be refused again at once.
                time.sleep(SECONDS_WHEN_FULL)
                self.failures.full = False
            name = f"{self.title(job)}.{params['run_uuid']}"
            self.names[name] = job.rule.name
            if job.attempt > job.rule.restart_times:
                failed_nodes = None  # The last attempt: better on a node that failed once than nowhere.
            call = build(job, params | {"run_uuid": name}, settings=settings, failed_nodes=failed_nodes, **more)
            if job.rule.name in self.saving and SIGNAL not in call:
                call += f" {signal_before(int(job.resources.runtime))}"
            return call

        return get_submit_command

    def query(self, build: Callable) -> Callable:
        """Return the executor's function that builds the question for the states of its jobs, by all their names."""
        return lambda run: build(",".join(self.names) or run)

    def used(self, ask: Callable) -> Callable:
        """Return the executor's function that asks what its jobs used of what they asked for, by all their names."""
        return lambda run, logger: ask(",".join(self.names) or run, logger)

    def sleep(self, executor: Any) -> Any:
        """Return what the executor does between two questions: end jobs that can never start, and itself when asked.

        A job whose files are there is asked for at once. Else the executor's first pause is kept to; by itself it makes
        pauses longer and longer, up to three minutes for which a failure goes unseen.
        """
        pause = executor.workflow.executor_settings.init_seconds_before_status_checks

        async def sleep() -> None:
            await asyncio.to_thread(self.end_stuck)
            begin = time.monotonic()
            while executor.wait and time.monotonic() < begin + pause:
                await asyncio.sleep(0.5)
                if time.monotonic() > begin + SECONDS_AFTER_FILES and self._wrote(executor):
                    return

        return sleep()

    def _wrote(self, executor: Any) -> bool:
        """Whether the files of an active job are there; asked for a few times a job, whose end may take a while."""
        with executor.lock:
            active = list(executor.active_jobs)
        for job in active:
            number = job.external_jobid
            if self.looks[number] < LOOKS and all(map(os.path.exists, job.job.output)):
                self.looks[number] += 1
                return True
        return False

    def cancel(self, cancel: Callable) -> Callable:
        """Return the executor's function that cancels its jobs, those included whose states are just asked for."""

        def cancel_jobs(executor: Any, active_jobs: list) -> None:
            if numbers := [number for number, _, _ in self._own()]:
                _cancel(*numbers)
            cancel(executor, active_jobs)

        return cancel_jobs

    def end_stuck(self) -> None:
        """Print, once a job, which of them do not start and what to change; cancel those that never can."""
        for number, reason, name in self._own("--states=PENDING"):
            found = stuck(reason, self.parts(self.names[name]))
            if found is None or number in self.said:
                continue
            why, never = found
            self.said.add(number)
            print(f"SLURM job {number} ({name.rpartition('.')[0]}) {why}", file=sys.stderr, flush=True)
            if never:
                self.failures.hopeless[number] = why
                _cancel(number)

    def _own(self, *options: str) -> list[list[str]]:
        """Return (number, reason, name) of the jobs of this run that have not ended."""
        return _queue("%i|%r|%j", *options, "--name", ",".join(self.names)) if self.names else []


def attend(attendant: Attendant) -> None:
    """Put the attendant into the executor's places, where this process has loaded it."""
    plugin: Any = sys.modules.get("snakemake_executor_plugin_slurm")
    if plugin is None:
        return
    from snakemake_executor_plugin_slurm import efficiency_report

    plugin.get_submit_command = attendant.command(plugin.get_submit_command)
    plugin.query_job_status_squeue = attendant.query(plugin.query_job_status_squeue)
    plugin.query_job_status_sacct = attendant.query(plugin.query_job_status_sacct)
    efficiency_report.get_sacct_data = attendant.used(efficiency_report.get_sacct_data)
    plugin.Executor.sleep = lambda executor: attendant.sleep(executor)
    plugin.Executor.cancel_jobs = attendant.cancel(plugin.Executor.cancel_jobs)
