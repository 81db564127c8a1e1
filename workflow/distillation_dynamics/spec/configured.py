"""Images, teacher and student as a study configures them; jobs get only the parts of it that they need."""

from dataclasses import dataclass

from .images import Validation, View
from .network import Model
from .training import Recipe


@dataclass(frozen=True)
class Data:
    """The images of a study."""

    source: str
    train: str
    test: str
    classes: int
    channels: int
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    validation: Validation
    crop_fraction: float
    interpolation: str
    trust_times: bool

    @property
    def in_memory(self) -> bool:
        """Whether the images are decoded into one array a source."""
        return self.source == "parquet"

    @property
    def view(self) -> View:
        """How a network sees them."""
        return View(
            *(self.classes, self.channels, self.image_size, self.mean, self.std),
            *(self.crop_fraction, self.interpolation),
        )


@dataclass(frozen=True)
class Teacher:
    """The teacher and where its weights come from."""

    source: str
    model: Model
    label_smoothing: float
    seed: int
    tolerance: float
    recipe: Recipe | None = None
    weights: str | None = None
    sha256: str | None = None
    expected_top1: float | None = None


@dataclass(frozen=True)
class Student:
    """The student, its recipe and the epochs whose weights are kept."""

    model: Model
    recipe: Recipe
    checkpoint_every: int

    @property
    def checkpoints(self) -> tuple[int, ...]:
        """Epochs whose weights are kept: 0 (untrained), every `checkpoint_every`, the last."""
        return tuple(sorted({*range(0, self.recipe.epochs, self.checkpoint_every), self.recipe.epochs}))
