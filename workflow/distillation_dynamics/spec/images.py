"""The images that a job reads, how they were split, and how a network sees them."""

from dataclasses import dataclass
from typing import Annotated, Literal

from .base import aside, later
from .keys import Key

# What transparent parts of a picture show, unless a study says otherwise.
WHITE = "white"


@dataclass(frozen=True)
class Validation:
    """Which images are held out for every choice."""

    taken_from: Annotated[
        Literal["train", "test"],
        Key("Source from which the validation images are taken; they are then not used for anything else."),
    ]
    per_class: Annotated[
        int, Key("Number of validation images per class; more of them narrow the intervals of every choice.", ge=1)
    ]


@dataclass(frozen=True)
class View:
    """How a network sees an image: size, normalisation and crop (`crop_mode` of timm: center, squash or border)."""

    channels: int
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop_fraction: float = 1.0
    interpolation: str = "bicubic"
    crop_mode: str = "center"


@dataclass(frozen=True)
class Images:
    """The images that a job reads, in one view; `in_memory` where the data stage decoded them into arrays, too.

    `folder` is that of the data stage, with the splits. `train` and `test`: the folder that names in the splits belong
    to, or the file (a .tar, or one that the data stage packed) that the images lie in. `background`: the colour that
    transparent parts show.
    """

    key: str
    view: View
    in_memory: bool
    folder: str = aside()
    train: str = aside(default="")
    test: str = aside()
    background: str = later(default=WHITE)


@dataclass(frozen=True)
class ImageSet:
    """An image set that networks are measured on, as one of them sees it: `count` images of a split.

    They are spread evenly over the classes, or over the split where images have no labels; with `first` they are the
    first of the source `split` (train or test) in file order instead. None: all of them. Their labels are those of
    `classes` classes (None: they have none).
    """

    name: str
    images: Images
    split: str
    count: int | None
    classes: int | None = None
    first: bool = False
