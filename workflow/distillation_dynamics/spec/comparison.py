"""The job of the comparison stage."""

from dataclasses import dataclass

from .base import From, aside
from .images import Images
from .machine import Machine
from .measured import Checkpoints
from .network import Model


@dataclass(frozen=True)
class Comparison:
    """Images, and tokens of each, on which students are compared with the teacher."""

    images: int
    tokens: int


@dataclass(frozen=True)
class ComparisonJob:
    """Compare a student at its checkpoints with the teacher."""

    images: Images
    network: Checkpoints
    teacher_model: Model
    teacher: From
    settings: Comparison
    machine: Machine = aside(default_factory=Machine)
    out: str = aside()
