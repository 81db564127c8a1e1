"""The jobs that make a teacher ready: its weights from elsewhere, and the teacher itself."""

from dataclasses import dataclass

from .base import From, aside
from .images import Images
from .machine import Machine
from .network import Model
from .training import Recipe


@dataclass(frozen=True)
class WeightsJob:
    """Fetch weights. `content` stands for those of a local folder; those of a hub go by name and revision."""

    source: str
    content: str | None
    sha256: str | None
    out: str = aside()


@dataclass(frozen=True)
class TeacherJob:
    """Train (`recipe` given) or load (`weights` given) the teacher, and measure it.

    What is expected of it stands aside: it decides whether the study goes on, not what the teacher is.
    """

    images: Images
    model: Model
    seed: int
    recipe: Recipe | None
    label_smoothing: float | None
    weights: From | None
    sha256: str | None = aside(default=None)
    expected_top1: float | None = aside(default=None)
    tolerance: float = aside(default=0.0)
    machine: Machine = aside(default_factory=Machine)
    out: str = aside()
