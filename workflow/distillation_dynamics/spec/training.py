"""How a network is trained: recipe and terms of the loss."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Optimizer:
    """A timm optimiser."""

    name: str
    learning_rate: float
    weight_decay: float
    eps: float


@dataclass(frozen=True)
class Schedule:
    """Learning rate over training; `step` says when it moves."""

    name: str
    warmup_epochs: int
    warmup_learning_rate: float
    minimum_learning_rate: float
    step: str


@dataclass(frozen=True)
class Augmentation:
    """Arguments of `timm.data.create_transform`, and how many views of an image are drawn (None: one an epoch)."""

    random_erasing: float
    erasing_mode: str
    crop_scale: tuple[float, float]
    horizontal_flip: float
    color_jitter: float
    auto_augment: str | None = None
    views: int | None = None


def views_of(augmentation: Augmentation | None) -> int | None:
    """Return how many different views of an image training sees; None when each epoch draws a new one."""
    return 1 if augmentation is None else augmentation.views


@dataclass(frozen=True)
class Recipe:
    """How a model is trained."""

    epochs: int
    batch_size: int
    optimizer: Optimizer
    schedule: Schedule
    precision: str
    validate_every: int
    train_images: int | None = None
    clip_gradient_norm: float | None = None
    clip_jointly: bool = False
    augmentation: Augmentation | None = None

    @property
    def views(self) -> int | None:
        """How many different views of an image training sees; None when each epoch draws a new one."""
        return views_of(self.augmentation)


@dataclass(frozen=True)
class TermSpec:
    """One term of a loss: an objective's name, its weight and options, and its (student, teacher) pairs of blocks.

    `share`: instead of a weight, the share of the loss that the term has over the first updates, which sets its weight.
    """

    name: str
    weight: float | None
    requires: str
    options: dict[str, Any]
    pairs: tuple[tuple[int, int], ...] = ()
    reduction: str = "mean"
    share: float | None = None
