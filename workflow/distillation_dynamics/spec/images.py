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
    """The images that a job reads, in one view; `in_memory` where the data stage decoded them into arrays, too.

    `folder` is that of the data stage, with the splits. `train` and `test`: the folder that names in the splits belong
    to, or the file (a .tar, or one that the data stage packed) that the images lie in.
    """

    key: str
    view: View
    in_memory: bool
    folder: str = aside()
    train: str = aside()
    test: str = aside()
