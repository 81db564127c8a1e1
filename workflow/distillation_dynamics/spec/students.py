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
    """Train one student of a `size`; `kept`: epochs whose weights are kept.

    `gradient_logs`: how often the gradients of the terms are logged. `teachers`: terms refer to them by number. The job
    has no name of a variant, so equal trainings of two variants or studies are one run.
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
