"""The training of one student: a run."""

from dataclasses import dataclass

from .base import aside
from .images import Images
from .machine import Machine
from .network import Model, Shapes
from .teacher_outputs import TeacherSource
from .training import Recipe, TermSpec


@dataclass(frozen=True)
class RunJob:
    """Train one student; `kept` are the epochs whose weights are kept, `student` the shapes of its blocks.

    No name of a variant is in it: equal trainings of two variants, or of two studies, are one run.
    """

    images: Images
    model: Model
    recipe: Recipe
    terms: tuple[TermSpec, ...]
    seed: int
    kept: tuple[int, ...]
    student: Shapes
    teacher: TeacherSource | None
    study: str = aside(default="")
    label: str = aside(default="")
    machine: Machine = aside(default_factory=Machine)
    out: str = aside()
