"""What a student asks of its teacher, and the job that computes the answers once."""

from dataclasses import dataclass

from .base import From, aside
from .images import Images
from .machine import Machine
from .network import Model, Shapes
from .training import Augmentation


@dataclass(frozen=True)
class TeacherSource:
    """The teacher of a student; `outputs` is the folder of its stored outputs, where views are fixed (`stored`)."""

    model: Model
    shapes: Shapes
    weights: From
    stored: bool
    outputs: str | None = aside(default=None)


@dataclass(frozen=True)
class TeacherOutputsJob:
    """Compute the teacher's logits and `blocks` on the students' training images in every view.

    The blocks stand aside: two studies may keep other blocks of one teacher in one folder.
    """

    images: Images
    model: Model
    weights: From
    train_images: int | None
    augmentation: Augmentation | None
    blocks: tuple[int, ...] = aside()
    machine: Machine = aside(default_factory=Machine)
    out: str = aside()
