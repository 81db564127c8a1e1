"""Kill every stage of a finished study at random moments and look for what a kill must never leave.

    python benchmarks/kills.py FOLDER [--kills 100] [--seed 0] [--configfile studies/smoke.yaml]

FOLDER is a copy of the project in which the study is finished; its outputs are made again and again. Each kill deletes
the outputs and the record of one job, runs the job's command line and sends SIGKILL after a random part of its usual
time. Every file that then has its final name must be the finished one, byte for byte; a last run must
bring all of them back. Prints a line a job and exits with 1 when a file was damaged.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from distillation_dynamics.files import read_json
from distillation_dynamics.jobs import batches, record
from distillation_dynamics.spec.tables import INDEX


@dataclass(frozen=True)
class Job:
    """A job as Snakemake starts it: the file with its task or batch, and the tasks in it."""

    file: str
    tasks: list[dict]

    def __str__(self) -> str:
        return ", ".join(f"{task['stage']} {task['name']}".strip() for task in self.tasks)

    @property
    def stages(self) -> set[str]:
        """The stages of its tasks."""
        return {task["stage"] for task in self.tasks}


def all_jobs(folder: Path, configfile: str) -> list[Job]:
    """Return all jobs of a study, in an order in which they can run; a dry run writes their files."""
    shutil.rmtree(folder / "results/.tasks", ignore_errors=True)
    command = [sys.executable, "-m", "snakemake", "-n", "--forceall", "--cores", "2", "--configfile", configfile]
    subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    batched = sorted((folder / batches.BATCHES).glob("*/*.json"))
    files = sorted((folder / "results/.tasks").rglob("*.json"))
    single = [path for path in files if "batches" not in path.parts and "content" not in path.parts]
    jobs = [
        Job(str(path.relative_to(folder)), [read_json(folder / o) for o in read_json(path)["tasks"]])
        for path in batched
    ]
    members = {task["key"] for job in jobs for task in job.tasks}
    jobs += [
        Job(str(path.relative_to(folder)), [task]) for path in single if (task := read_json(path))["key"] not in members
    ]
    return jobs


def outputs(folder: Path, job: Job) -> list[Path]:
    """Return the files that a job writes; the measured seconds are not among them, they are never the same twice."""
    names = [name for task in job.tasks for name in task["writes"]]
    return [folder / name for name in names if not Path(name).name.startswith("cost")]


def records(folder: Path, job: Job) -> list[Path]:
    """Return the records of a job."""
    return [folder / task["record"] for task in job.tasks]


def start(folder: Path, job: Job) -> subprocess.Popen:
    """Start a job's command without Snakemake."""
    environment = {**os.environ, "PYTHONPATH": str(folder / "workflow")}
    command = [sys.executable, "-m", "distillation_dynamics", job.file]
    return subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.DEVNULL, start_new_session=True)


def remove(folder: Path, job: Job) -> None:
    """Remove what a job left, links to it elsewhere excepted."""
    for path in [*outputs(folder, job), *records(folder, job)]:
        path.unlink(missing_ok=True)


def kill(folder: Path, job: Job, kills: int, generator: random.Random) -> tuple[list[Path], list[Path], int]:
    """Kill a job `kills` times, then let it finish.

    Return the files found damaged after a kill, those that the last run did not bring back as they were, and how many
    of the kills came before the job's end.
    """
    files = outputs(folder, job)
    finished = {file: file.read_bytes() for file in files}
    begin = time.monotonic()
    remove(folder, job)
    if start(folder, job).wait() != 0:
        raise SystemExit(f"{job} does not run by itself")
    usual = time.monotonic() - begin
    # The page shows measured seconds, which are those of the jobs that ran since it was made.
    finished |= {file: file.read_bytes() for file in files if file.name == INDEX}
    damaged, alive = [], 0
    for _ in range(kills):
        remove(folder, job)
        if generator.random() < 0.5:
            # A training starts anew; otherwise it goes on from its last state.
            for path in records(folder, job):
                shutil.rmtree(path.parent / ".resume", ignore_errors=True)
        process = start(folder, job)
        time.sleep(generator.uniform(0, usual))
        if process.poll() is None:
            alive += 1
            # The whole job, loader processes and all, as when a machine goes down.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        damaged += [file for file in files if file.exists() and file.read_bytes() != finished[file]]
        damaged += [path for path in records(folder, job) if path.exists() and record.read(path) is None]
    remove(folder, job)
    start(folder, job).wait()
    lost = [file for file in files if not file.exists() or file.read_bytes() != finished[file]]
    return damaged, lost, alive


def main() -> None:
    """Share the kills out over all jobs and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--configfile", default="studies/smoke.yaml")
    arguments = parser.parse_args()
    folder, generator = arguments.folder.resolve(), random.Random(arguments.seed)
    jobs = all_jobs(folder, arguments.configfile)
    bad = 0
    for number, job in enumerate(jobs):
        kills = arguments.kills // len(jobs) + (number < arguments.kills % len(jobs))
        damaged, lost, alive = kill(folder, job, kills, generator)
        bad += len(damaged) + len(lost)
        said = f"{kills} kills ({alive} before the end), {len(damaged)} damaged files, {len(lost)} not brought back"
        print(f"{job}: {said}", flush=True)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
