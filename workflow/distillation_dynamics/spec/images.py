"""The images that a job reads, how they were split, and how a network sees them."""

from dataclasses import dataclass

from .base import aside


@dataclass(frozen=True)
class Validation:
    """Which images are held out for every choice."""

    taken_from: str
    per_class: int


@dataclass(frozen=True)
class View:
    """How a network sees an image: size, normalisation and crop, and into how many classes it sorts them."""

    classes: int
    channels: int
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop_fraction: float = 1.0
    interpolation: str = "bicubic"


@dataclass(frozen=True)
class Images:
    """The images that a job reads: splits (and decoded arrays) of the data stage, in one view.

    `train` and `test`: the folder or .tar that names in the splits belong to, where images are not decoded into arrays.
    """

    key: str
    view: View
    in_memory: bool
    folder: str = aside()
    train: str = aside()
    test: str = aside()

    @property
    def files(self) -> tuple[str, ...]:
        """The files of the data stage."""
        names = ["splits.parquet", *(["train.npy", "test.npy"] if self.in_memory else [])]
        return tuple(f"{self.folder}/{name}" for name in names)
