"""What would run, why, and what it would cost: `python -m distillation_dynamics.plan [arguments of snakemake]`.

In: a dry run of Snakemake and the records of earlier jobs under `results/`. Out, on the terminal: a line a job with the
key that changed, old and new; then a table of jobs, hours, GPU hours and disk by stage. Trainings are estimated from
the measured images per second of earlier ones of the same stage and kind of device, other stages from their mean.
"""

import ast
import itertools
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import facts, records
from .errors import StudyError
from .files import read_json, read_table
from .spec import Data, Model, Probe, from_json

TRAININGS = ("teacher", "students")
# Lines of the table are stages (folders of results); some stages are several rules.
STAGES = {f"{owner}_{stage}": stage for owner in ("teacher", "student") for stage in ("features", "saliency")}
STAGES |= {"animations": "figures"}


@dataclass(frozen=True)
class Job:
    """One job of a dry run: its rule, wildcards, the reason that Snakemake gives, its command line."""

    rule: str
    wildcards: str
    reason: str
    command: list[str]

    @property
    def stage(self) -> str:
        """The stage (module and folder) of the rule."""
        return STAGES.get(self.rule, self.rule)

    def option(self, name: str) -> str | None:
        """Return the value of `--name` in the command line."""
        return next(iter(self.options(name)), None)

    def options(self, name: str) -> list[str]:
        """Return all values of `--name` in the command line."""
        if f"--{name}" not in self.command:
            return []
        values = self.command[self.command.index(f"--{name}") + 1 :]
        return list(itertools.takewhile(lambda word: not word.startswith("--"), values))


def parse(dry_run: str) -> list[Job]:
    """Return the jobs in the output of `snakemake -n --printshellcmds`."""
    jobs = []
    for block in re.split(r"^ *\[\w{3} \w{3} .*\]$", dry_run, flags=re.M)[1:]:
        name = re.match(r"\s*(?:local)?(?:rule|checkpoint) (\w+):", block)
        if name is None or name[1] == "all":
            continue
        fields = dict(re.findall(r"^ +(\w+): (.*)$", block, re.M))
        command = re.search(r"^ *(?:Shell command: )?(.*-m distillation_dynamics\..*)$", block, re.M)
        words = shlex.split(command[1]) if command else []
        jobs.append(Job(name[1], fields.get("wildcards", ""), fields.get("reason", ""), words))
    return jobs


def explain(reason: str) -> str:
    """Return Snakemake's reason in a few words: of changed parameters, the keys with their old and new values."""
    changed = re.search(r"Params have changed.*?before: (.*) now: (.*?) ?$", reason)
    if changed is None:
        return re.sub(r": (\S+), \S.*", lambda m: f": {m[1]} and {m[0].count(',')} more", reason)
    old, new = (_flat(text) for text in changed.groups())
    keys = [key for key in sorted(old | new) if old.get(key) != new.get(key)]
    return "; ".join(f"{key}: {old.get(key, 'none')} -> {new.get(key, 'none')}" for key in keys)


def _flat(text: str) -> dict[str, str]:
    """Return dotted key -> value of parameters as Snakemake prints them, JSON and 'module:hash' taken apart."""
    if text.startswith("<nothing"):
        return {}
    items: dict[str, str] = {}
    for number, value in enumerate(ast.literal_eval(f"[{text}]")):
        if isinstance(value, list) and all(re.fullmatch(r"[\w.]+:[0-9a-f]{12}", str(v)) for v in value):
            items |= {f"code of {name}": digest for name, _, digest in (v.partition(":") for v in value)}
            continue
        parsed = json.loads(value) if isinstance(value, str) and value[:1] in "[{" else value
        items |= dict(_leaves(parsed, f"parameter {number}" if parsed is value else ""))
    return items


def _leaves(value: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict | list) and value:
        for name, part in value.items() if isinstance(value, dict) else enumerate(value):
            # A term of a loss goes by its name.
            label = part["name"] if isinstance(value, list) and isinstance(part, dict) and "name" in part else name
            yield from _leaves(part, f"{key}.{label}" if key else str(label))
    else:
        yield key, str(value)


class Costs:
    """Seconds and bytes of earlier jobs, by stage."""

    def __init__(self, results: str | Path = "results"):
        self.seconds: dict[str, list[float]] = {}
        self.bytes: dict[str, list[int]] = {}
        self.rates: dict[tuple[str, str], list[float]] = {}
        for path, record in records.read(results):
            stage = record["stage"]
            self.seconds.setdefault(stage, []).append(record["seconds"])
            self.bytes.setdefault(stage, []).append(sum(file["bytes"] for file in record["files"].values()))
            if stage in TRAININGS and (cost := path.parent / "cost.json").is_file():
                measured = read_json(cost)
                if measured["images_per_second"]:
                    self.rates.setdefault((stage, measured["device"]), []).append(measured["images_per_second"])

    def estimate(self, job: Job) -> tuple[float | None, float | None]:
        """Return (seconds, bytes) that a job will take; None where nothing earlier tells."""
        size = features_bytes(job) if job.stage == "features" else _mean(self.bytes.get(job.stage))
        if job.stage not in TRAININGS:
            return _mean(self.seconds.get(job.stage)), size
        images = training_images(job)
        rate = _mean(self.rates.get((job.stage, "cuda" if int(job.option("gpus") or 0) else "cpu")))
        return (None if images is None or rate is None else images / rate), size


def features_bytes(job: Job) -> int:
    """Return about how many bytes of features and sums a job will keep."""
    data, model, probe = (
        from_json(kind, job.option(name)) for kind, name in ((Data, "data-spec"), (Model, "model"), (Probe, "probe"))
    )
    (known,) = facts.describe(data, model=model)
    return len(job.options("epochs")) * probe.stored_bytes(known.shapes)


def training_images(job: Job) -> int | None:
    """Return epochs times images of a training job; None when the number of images is not yet known."""
    recipe = json.loads(job.option("recipe") or "null") or json.loads(job.option("teacher") or "{}").get("recipe")
    if not recipe:
        return 0
    count = recipe["train_images"]
    if count is None:
        try:
            count = int((read_table(Path(job.option("data")) / "splits.parquet")["split"] == "train").sum())
        except StudyError:
            return None
    return recipe["epochs"] * count


def _mean(values: list | None) -> float | None:
    return sum(values) / len(values) if values else None


def table(jobs: list[Job], costs: Costs) -> str:
    """Return the table of jobs, hours, GPU hours and disk by stage, and what it does not know."""
    lines = [f"{'stage':<18}{'jobs':>6}{'hours':>10}{'GPU hours':>11}{'disk [MB]':>11}"]
    total, unknown = [0.0, 0.0, 0.0], []
    for stage in dict.fromkeys(job.stage for job in jobs):
        own = [job for job in jobs if job.stage == stage]
        estimates = [costs.estimate(job) for job in own]
        known = all(value is not None for pair in estimates for value in pair)
        numbers = [0.0, 0.0, 0.0]
        for job, (seconds, size) in zip(own, estimates, strict=True):
            gpus = int(job.option("gpus") or 0)
            numbers = [a + b for a, b in zip(numbers, _costs(seconds, gpus, size), strict=True)]
        total = [a + b for a, b in zip(total, numbers, strict=True)]
        unknown += [] if known else [stage]
        lines.append(_line(stage, len(own), numbers if known else None))
    lines.append(_line("total", len(jobs), total))
    if unknown:
        lines.append(f"Not in the total, because no earlier job tells: {', '.join(unknown)}.")
    return "\n".join(lines)


def _line(name: str, jobs: int, costs: list[float] | None) -> str:
    hours, gpu_hours, disk = (
        ("?", "?", "?") if costs is None else (f"{x:.{d}f}" for x, d in zip(costs, (3, 3, 1), strict=True))
    )
    return f"{name:<18}{jobs:>6}{hours:>10}{gpu_hours:>11}{disk:>11}"


def _costs(seconds: float | None, gpus: int, size: float | None) -> tuple[float, float, float]:
    hours = (seconds or 0) / 3600
    return hours, hours * gpus, (size or 0) / 1e6


def main() -> None:
    """Print the plan of `snakemake` with the arguments of this command."""
    command = [sys.executable, "-m", "snakemake", "-n", "--printshellcmds", *sys.argv[1:]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    if done.returncode != 0:
        raise SystemExit(said.strip())
    jobs = parse(said)
    for line in dict.fromkeys(re.findall(r"^.* runs again$|^\d+ files were made with .*$", said, re.M)):
        print(line)
    for job in jobs:
        print(f"{job.rule} {job.wildcards}".strip() + f": {explain(job.reason)}")
    print("\n" + table(jobs, Costs()) if jobs else "Nothing would run.")


if __name__ == "__main__":
    main()
