"""An order: one job as its stage gets it in a file, with its key, and what it reads and leaves.

The key is a hash of the stage, of all fields of the job that do not stand aside (files that it reads are in them by the
keys of the jobs that write them, or by their content) and of the code that can change what it writes. It can be told
before any of the files exist.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from ..files import read_json, write_json
from ..fingerprints import fingerprint
from ..spec.base import build, counted, to_json

# Stage -> (module of its job's class, its name, packages whose version may change numbers).
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
    "figures": ("tables", "FiguresJob", ()),
    "page": ("tables", "PageJob", ()),
    "paper": ("tables", "PaperJob", ()),
}
# Students are trained by cohorts of them.
CARRIED_OUT_BY = {"students": "cohorts"}
# Stages that one process carries out for several networks or pairs, and those that gather what all left.
MEASURING, COMPARING = ("measure",), ("compare", "map")
GATHERING = ("tables", "summary", "statistics", "figures", "page", "paper")
# Rules whose jobs are groups -> the stages of their members.
GROUPED = {"cohorts": ("students",), "measure": MEASURING, "compare": COMPARING, "tables": GATHERING}
# What is asked for by name (`snakemake figures`) -> the stages whose results it is.
TARGETS = {
    **{stage: (stage,) for stage in ("networks", "students", "tables", "figures")},
    "report": ("summary", "statistics", "page", "paper"),
}
# Rules that carry out a stage, or a group, whose name is a target's.
CARRYING = {"network": "networks", "student": "students", "gather": "tables"}


def job_class(stage: str) -> type:
    """Return the class of a stage's job."""
    module, name, *_ = STAGES[stage]
    return getattr(import_module(f"distillation_dynamics.spec.{module}"), name)


@dataclass(frozen=True)
class Order:
    """A job with its key. `reads`: path -> record of the job that writes it; `writes`: paths; `record`: its own."""

    stage: str
    name: str
    key: str
    job: Any
    code: tuple[str, ...]
    reads: dict[str, str]
    writes: tuple[str, ...]
    record: str

    @property
    def packages(self) -> tuple[str, ...]:
        """Packages whose version may change what the job writes."""
        return STAGES[self.stage][2]

    def __str__(self) -> str:
        return f"{self.stage} {self.name}".strip()


def key_of(stage: str, job: Any, code: Iterable[str]) -> str:
    """Return the key of a job: 16 hexadecimal digits."""
    return hashlib.sha256(to_json([stage, counted(job), sorted(code)]).encode()).hexdigest()[:16]


def module_of(stage: str) -> str:
    """Return the module of the library that carries out a stage."""
    return f"stages.{CARRIED_OUT_BY.get(stage, stage)}"


def code_of(stage: str, *by_name: str) -> tuple[str, ...]:
    """Return the code of a stage as 'module:hash', with that of modules that it loads by name."""
    threads = ("threads",) if STAGES[stage][2] else ()
    return tuple(fingerprint(module_of(stage), *threads, *by_name))


def write(order: Order, path: str | Path) -> None:
    """Write an order for the process that carries it out, unless it stands there already."""
    value = asdict(order)
    if not Path(path).is_file() or to_json(read_json(path)) != to_json(value):
        write_json(path, value)


def read(path: str | Path) -> Order:
    """Read an order back; raise StudyError where there is none."""
    value = read_json(path)
    value["job"] = build(job_class(value["stage"]), value["job"])
    return Order(**value | {"code": tuple(value["code"]), "writes": tuple(value["writes"])})
