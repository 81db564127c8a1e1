"""Kill every stage of a finished study at random moments and look for what a kill must never leave.

    python benchmarks/kills.py FOLDER [--kills 100] [--seed 0] [--configfile studies/smoke.yaml]

FOLDER is a copy of the project in which the study is finished; its outputs are made again and again. Each kill deletes
the outputs of one job, as Snakemake does before it starts, runs the job's command line and sends SIGKILL after a random
part of its usual time. Every file that then has its final name must be the finished one, byte for byte; a last run must
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
from pathlib import Path

from distillation_dynamics.plan import Job, parse


def all_jobs(folder: Path, configfile: str) -> list[Job]:
    """Return all jobs of a study, with the command lines that Snakemake would run."""
    command = [sys.executable, "-m", "snakemake", "-n", "--printshellcmds", "--forceall", "--configfile", configfile]
    return parse(subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout)


def outputs(folder: Path, job: Job) -> list[Path]:
    """Return the files that a job writes; the measured seconds are not among them, they are never the same twice."""
    first = job.command.index("--outputs") + 1
    names = job.command[first : job.command.index("--threads", first)]
    return [folder / name for name in names if not Path(name).name.startswith("cost")]


def start(folder: Path, job: Job) -> subprocess.Popen:
    """Start a job's command without Snakemake."""
    words = job.command[job.command.index("-m") : job.command.index(">")]
    environment = {**os.environ, "PYTHONPATH": str(folder / "workflow")}
    return subprocess.Popen(
        [sys.executable, *words], cwd=folder, env=environment, stderr=subprocess.DEVNULL, start_new_session=True
    )


def kill(folder: Path, job: Job, kills: int, generator: random.Random) -> tuple[list[Path], list[Path], int]:
    """Kill a job `kills` times, then let it finish.

    Return the files found damaged after a kill, those that the last run did not bring back as they were, and how many
    of the kills came before the job's end.
    """
    files = outputs(folder, job)
    finished = {file: file.read_bytes() for file in files}
    begin = time.monotonic()
    if start(folder, job).wait() != 0:
        raise SystemExit(f"{job.rule} {job.wildcards} does not run by itself")
    usual = time.monotonic() - begin
    damaged, alive = [], 0
    for _ in range(kills):
        for file in files:
            file.unlink(missing_ok=True)
        if generator.random() < 0.5:
            # A training starts anew; otherwise it goes on from its last state.
            shutil.rmtree(folder / (job.option("out") or "none") / ".resume", ignore_errors=True)
        process = start(folder, job)
        time.sleep(generator.uniform(0, usual))
        if process.poll() is None:
            alive += 1
            # The whole job, loader processes and all, as when a node goes down.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        damaged += [file for file in files if file.exists() and file.read_bytes() != finished[file]]
    for file in files:
        file.unlink(missing_ok=True)
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
        print(f"{job.rule} {job.wildcards}: {said}", flush=True)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
