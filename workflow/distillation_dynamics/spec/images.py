"""The images of a job, their split, and the view in which a network sees them."""

from dataclasses import dataclass
from typing import Annotated, Literal

from .base import aside, later
from .keys import Key

# Default colour behind transparent parts of a picture.
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
    """The images of a job in one view; `in_memory`: the data stage also decoded them into arrays.

    `folder`: output of the data stage, with the splits. `train`, `test`: the folder to which names in the splits are
    relative, or the file with the images (a .tar, or one packed by the data stage). `background`: colour behind
    transparent parts.
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

    They are balanced over classes, or spread over the split if images have no labels; with `first` they are the first
    ones of the source `split` (train or test) in file order. `count` None: all. `classes`: number of classes, None
    without labels.
    """

    name: str
    images: Images
    split: str
    count: int | None
    classes: int | None = None
    first: bool = False
