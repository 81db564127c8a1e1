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
# What was seen of the images when they were split.
PICTURES = "pictures.json"


@dataclass(frozen=True)
class Arrays:
    """How images are decoded into arrays: as an evaluation sees them, but for the normalisation.

    `mean` fills the borders of crop mode border, and stands for nothing else. `background`: the colour that transparent
    parts show.
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
    """Split the images of one or two sources, train and test, each the files of it in order, or one folder or .tar.

    `source` is the file of `data/sources/` that reads them, `content` stands for what is in them. Without `classes`
    they have no labels; without `validation` nothing is held out; without `train` there is one source. Where `packed`
    (of Parquet files), encoded images are copied into one file a source; where `arrays` is given they are decoded into
    one array a source, too. `groups`: a regular expression of names, those that match alike being one photograph's.
    So many `broken_images` are left out; where there are more, all are refused. `columns` are those of Parquet files,
    `label_depth` says which folder names the class. `key` names the set in sentences.
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
        """The files of each source that there is, in order."""
        return {key: files for key, files in (("train", self.train), ("test", self.test)) if files}

    @property
    def files(self) -> tuple[str, ...]:
        """The names of the files that it writes."""
        endings = [*(["bin"] if self.packed else []), *(["npy"] if self.arrays else [])]
        return ("splits.parquet", PICTURES, *(f"{key}.{ending}" for ending in endings for key in self.sources))
