"""A task: one job of a study with its key, inputs, outputs and location.

The key is a hash of the stage, the job's fields except those excluded from it (inputs count by the keys of the jobs
that write them or by content) and the code that can change its outputs. It is known before any file exists.
"""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from importlib import import_module
from pathlib import Path
from typing import Any

from ..errors import StudyError
from ..files import read_json, write_json
from ..spec.base import From, build, counted, to_json
from . import own
from .fingerprints import fingerprint, packages

# Stage -> (module of its job's class, class name, packages it always imports and whose version may change numbers).
STAGES = {
    "data": ("data", "DataJob", ("torch", "timm")),
    "network_weights": ("networks", "WeightsJob", ()),
    "networks": ("networks", "NetworkJob", ("torch", "timm")),
    "teacher_outputs": ("teacher_outputs", "TeacherOutputsJob", ("torch", "timm")),
    "students": ("students", "RunJob", ("torch", "timm")),
    "measure": ("measure", "MeasureJob", ("torch", "timm")),
    "compare": ("compare", "CompareJob", ()),
    "map": ("compare", "MapJob", ()),
    "tables": ("tables", "TablesJob", ()),
    "summary": ("tables", "SummaryJob", ()),
    "statistics": ("tables", "StatisticsJob", ()),
    "report": ("tables", "ReportJob", ()),
    "figures": ("tables", "FiguresJob", ()),
    "page": ("tables", "PageJob", ()),
    "paper": ("tables", "PaperJob", ()),
}
# Students are trained in cohorts.
CARRIED_OUT_BY = {"students": "cohorts"}
# Stages that gather the results of all networks.
GATHERING = ("tables", "summary", "statistics", "report", "figures", "page", "paper")
# Stages that show column texts, or write tables at no cost.
SHOWING = ("tables", "summary", "statistics", "report", "page", "paper")
# Batch rules -> stages of their members.
BATCHED = {"cohorts": ("students",), "measure": ("measure",), "compare": ("compare", "map"), "tables": GATHERING}
# Targets (`snakemake figures`) -> stages.
TARGETS = {
    **{stage: (stage,) for stage in ("networks", "students", "tables", "figures")},
    "report": ("summary", "statistics", "report", "page", "paper"),
}
# Rules that carry out a stage or batch under a target's name.
CARRYING = {"network": "networks", "student": "students", "gather": "tables"}
# Scope of tasks whose results studies share; other tasks have the study's name.
SHARED = "shared"
# Files in a study's folder that describe it.
STUDY_FILE = "study.json"
# Where a plan writes tasks for their processes, and flags for Snakemake.
TASKS, FLAGS = "results/.tasks", "results/.flags"


def job_class(stage: str) -> type:
    """Return the class of a stage's jobs."""
    module, name, *_ = STAGES[stage]
    return getattr(import_module(f"distillation_dynamics.spec.{module}"), name)


@dataclass(frozen=True, eq=False)
class Task:
    """One job of a study with its key; tasks compare by identity.

    `reads`: path -> record of the task that writes it; `writes`: paths; `record`: path of its own record; `scope`: the
    study or SHARED; `by_name`: modules its stage imports by name, which count as code; `needs`: tasks it waits for, not
    stored in its file.
    """

    stage: str
    name: str
    key: str
    job: Any
    code: tuple[str, ...]
    reads: dict[str, str]
    writes: tuple[str, ...]
    record: str
    scope: str
    by_name: tuple[str, ...] = ()
    needs: list["Task"] = field(default_factory=list, repr=False)

    @property
    def packages(self) -> tuple[str, ...]:
        """Packages whose version may change its output: those of its stage, and those its code uses."""
        used = packages(*entries_of(self.stage, *self.by_name))
        return tuple(dict.fromkeys([*STAGES[self.stage][2], *used]))

    @property
    def folder(self) -> str:
        """Folder of its files."""
        return os.path.dirname(self.record)

    @property
    def flag(self) -> str:
        """Empty file named after the key, by which Snakemake knows that the job is done."""
        return self._under(FLAGS)

    @property
    def file(self) -> str:
        """File from which its process reads it."""
        return self._under(TASKS) + ".json"

    def _under(self, folder: str) -> str:
        return os.path.normpath(f"{folder}/{self.scope}/{self.stage}/{self.name}/{self.key}")

    def path(self, name: str) -> str:
        """Path of one of its files."""
        return f"{self.folder}/{name}"

    def files(self, *names: str) -> From:
        """Some of its files, as inputs of another job."""
        return From(self.key, files=tuple(self.path(name) for name in names))

    def write(self, path: str | Path | None = None) -> None:
        """Write the task for its process, to its own file or another, unless it is there already."""
        path = path or self.file
        value = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "needs"}
        value["job"] = asdict(self.job)
        if to_json(own.read(path, dict)) != to_json(value):
            write_json(path, value)

    @classmethod
    def read(cls, path: str | Path) -> "Task":
        """Read a task; raise StudyError if there is none."""
        value = read_json(path)
        try:
            value["job"] = build(job_class(value["stage"]), value["job"])
            return cls(**value | {name: tuple(value[name]) for name in ("code", "writes", "by_name")})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise StudyError(f"{path}: is not a task; run the same command again to rewrite it") from error

    def __str__(self) -> str:
        return f"{self.stage} {self.name}".strip()


def key_of(stage: str, job: Any, code: Iterable[str]) -> str:
    """Return the key of a job: 16 hexadecimal digits."""
    return hashlib.sha256(to_json([stage, counted(job), sorted(code)]).encode()).hexdigest()[:16]


def module_of(stage: str) -> str:
    """Return the module that carries out a stage."""
    return f"stages.{CARRIED_OUT_BY.get(stage, stage)}"


def code_of(stage: str, *by_name: str) -> tuple[str, ...]:
    """Return a stage's code as 'module:hash', with the modules it imports by name."""
    return tuple(fingerprint(*entries_of(stage, *by_name), texts=stage in SHOWING))


def entries_of(stage: str, *by_name: str) -> tuple[str, ...]:
    """Return the entry points of a stage's code: see `fingerprint`."""
    threads = ("threads",) if STAGES[stage][2] else ()
    return f"{module_of(stage)}:main", *threads, *by_name


def with_needs(tasks: Iterable[Task]) -> set[Task]:
    """Return tasks and everything they are made from."""
    found, left = set(), list(tasks)
    while left:
        task = left.pop()
        if task not in found:
            found.add(task)
            left += task.needs
    return found
