"""The job of the data stage."""

from dataclasses import dataclass

from .base import aside
from .images import Validation


@dataclass(frozen=True)
class Arrays:
    """How images are decoded into arrays: as an evaluation sees them, but for the normalisation."""

    channels: int
    image_size: int
    crop_fraction: float
    interpolation: str


@dataclass(frozen=True)
class DataJob:
    """Split the images of two sources, train and test, each the files of it in order, or one folder or .tar.

    `content` stands for what is in them. Where `packed` (of Parquet files), encoded images are copied into one file a
    source; where `arrays` is given they are decoded into one array a source, too.
    """

    classes: int
    validation: Validation
    content: dict[str, str]
    packed: bool
    arrays: Arrays | None
    train: tuple[str, ...] = aside()
    test: tuple[str, ...] = aside()
    out: str = aside()

    @property
    def files(self) -> tuple[str, ...]:
        """The names of the files that it writes."""
        endings = [*(["bin"] if self.packed else []), *(["npy"] if self.arrays else [])]
        return ("splits.parquet", *(f"{key}.{ending}" for ending in endings for key in ("train", "test")))
