"""The training of one student: a run."""

from dataclasses import dataclass

from .base import aside
from .images import Images
from .machine import Machine
from .network import Model, NetworkSize
from .teacher_outputs import TeacherSource
from .training import Recipe, TermSpec


@dataclass(frozen=True)
class RunJob:
    """Train one student of a `size`; `kept` are the epochs whose weights are kept.

    `gradient_logs`: so many times the gradients of the terms are logged. `teachers`: those that terms name by number.
    No name of a variant is in it: equal trainings of two variants, or of two studies, are one run.
    """

    images: Images
    model: Model
    recipe: Recipe
    terms: tuple[TermSpec, ...]
    seed: int
    kept: tuple[int, ...]
    gradient_logs: int
    size: NetworkSize
    teachers: tuple[TeacherSource, ...]
    study: str = aside(default="")
    label: str = aside(default="")
    machine: Machine = aside(default_factory=Machine)
    out: str = aside()
