"""The job of the data stage."""

from dataclasses import dataclass
from typing import Annotated

from .base import aside, later
from .images import WHITE, Validation, View
from .keys import Key, Text
from .machine import Machine


@dataclass(frozen=True)
class Columns:
    """Which columns of Parquet files are read."""

    image: Annotated[Text, Key("Parquet column with the images: encoded bytes, file paths, or structs of both.")] = (
        "image"
    )
    label: Annotated[Text, Key("Parquet column with the classes: integers from 0, or words, which are numbered.")] = (
        "label"
    )


COLUMNS = Columns()
# Facts about the images, collected when they were split.
PICTURES = "pictures.json"


@dataclass(frozen=True)
class Arrays:
    """How images are decoded into arrays: as in evaluation, without normalisation.

    `mean` fills the borders of crop mode border and has no other use. `background`: colour behind transparent parts.
    """

    channels: int
    image_size: int
    crop_fraction: float
    interpolation: str
    crop_mode: str = "center"
    mean: tuple[float, ...] = ()
    background: str = later(default=WHITE)

    @classmethod
    def of(cls, view: View, background: str = WHITE) -> "Arrays":
        """Return how images are decoded for a view; views that differ only in their normalisation share arrays."""
        mean = view.mean if view.crop_mode == "border" else ()
        as_seen = view.channels, view.image_size, view.crop_fraction, view.interpolation, view.crop_mode
        return cls(*as_seen, mean=mean, background=background)


@dataclass(frozen=True)
class DataJob:
    """Split the images of one or two sources, train and test; a source is a list of files, or one folder or .tar.

    `source`: file of `data/sources/` that reads them. `content` identifies their content. Without `classes` they have
    no labels, without `validation` nothing is held out, without `train` there is one source. `packed` (Parquet):
    encoded images are copied into one file per source; with `arrays` they are also decoded into one array per source.
    `groups`: regular expression of names that groups images of one photograph. `broken_images`: number of unreadable
    images that may be skipped. `columns`: those of Parquet files. `label_depth`: folder level that names the class.
    `key` names the set in error messages.
    """

    source: str
    classes: int | None
    validation: Validation | None
    content: dict[str, str]
    packed: bool
    arrays: Arrays | None
    groups: str | None = None
    columns: Columns = later(default=COLUMNS)
    label_depth: int = later(default=1)
    train: tuple[str, ...] = aside(default=())
    test: tuple[str, ...] = aside()
    broken_images: int = aside(default=0)
    machine: Machine = aside(default=Machine())
    key: str = aside(default="data")
    out: str = aside()

    @property
    def sources(self) -> dict[str, tuple[str, ...]]:
        """The files of each given source, in order."""
        return {key: files for key, files in (("train", self.train), ("test", self.test)) if files}

    @property
    def files(self) -> tuple[str, ...]:
        """The names of the files that it writes."""
        endings = [*(["bin"] if self.packed else []), *(["npy"] if self.arrays else [])]
        return ("splits.parquet", PICTURES, *(f"{key}.{ending}" for ending in endings for key in self.sources))
