"""Resources of jobs by stage, which change no result, and the precision of teachers. Imports no torch."""

from dataclasses import dataclass
from typing import Annotated, Literal

from ..spec.faults import PLAIN
from ..spec.keys import Count, Key, Natural
from ..spec.teacher_outputs import TEACHER_PRECISION

GpuModel = Annotated[str, Key(pattern=PLAIN)]
GPUS = "GPUs per job over all nodes; with more than one, torchrun splits each batch over them."
PART = (
    "Images per forward pass; lower it if memory runs out, since gradients are accumulated; default: the whole batch."
)
ANSWERS = (
    "Precision in which teachers answer, for every batch or stored; bfloat16 (autocast) is faster and changes results."
)
RUNS = "Students of one seed that a job trains together; default: as many as keep all cores busy, on SLURM 8 at most."


@dataclass(frozen=True)
class Compute:
    """Resources of a job of one stage."""

    gpu: Annotated[int, Key("GPUs per job of this stage.", ge=0, le=1)] = 0
    gpu_model: Annotated[GpuModel | None, Key("GPU model as the cluster names it, such as a100; default: any.")] = None
    threads: Annotated[
        int, Key("Cores per job, and threads it computes with; another number may change the last bits.", ge=1, le=1024)
    ] = 1
    mem_mb: Annotated[
        int,
        Key(
            "Memory per job in MB; a job asks for more if earlier jobs or the network's size require it.",
            ge=500,
        ),
    ] = 3000
    runtime: Annotated[Count, Key("Time limit per cluster job in minutes; a stopped job resumes.")] = 60


@dataclass(frozen=True)
class TrainingCompute(Compute):
    """Resources of a training."""

    gpu: Annotated[Natural, Key(GPUS)] = 0
    nodes: Annotated[Count, Key("Machines per job; set it with `gpu` for trainings over several nodes.")] = 1
    images_at_a_time: Annotated[Count | None, Key(PART)] = None


@dataclass(frozen=True)
class StudentsCompute(TrainingCompute):
    """Resources of students' trainings."""

    runs_per_job: Annotated[Count | None, Key(RUNS)] = None


@dataclass(frozen=True)
class TeacherCompute:
    """How teachers answer; unlike all else in `compute` part of the keys of what depends on it."""

    precision: Annotated[Literal["float32", "bfloat16"], Key(ANSWERS)] = TEACHER_PRECISION


@dataclass(frozen=True)
class ComputeOptions:
    """Resources by stage."""

    data: Compute = Compute()
    networks: TrainingCompute = TrainingCompute()
    teacher_outputs: Compute = Compute()
    teacher: TeacherCompute = TeacherCompute()
    students: StudentsCompute = StudentsCompute()
    measure: Compute = Compute()
    compare: Compute = Compute()
    tables: Compute = Compute(mem_mb=1000, runtime=20)
