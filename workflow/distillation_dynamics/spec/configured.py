"""Images, teacher and student as a study configures them; jobs get only the parts of it that they need."""

from dataclasses import dataclass

from .data import Arrays, DataJob
from .images import Images, Validation, View
from .network import Model
from .training import Recipe

# Bytes: images of Parquet files are decoded into arrays where those of both sources together take no more.
MOST_DECODED = 8e9


@dataclass(frozen=True)
class Data:
    """The images of a study; `rows` is the number of them by source, where they lie in Parquet files."""

    source: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    classes: int
    channels: int
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    validation: Validation
    crop_fraction: float
    interpolation: str
    trust_times: bool
    rows: dict[str, int] | None = None

    @property
    def in_memory(self) -> bool:
        """Whether the images are decoded into one array a source. What is computed is the same either way."""
        return self.rows is not None and sum(self.rows.values()) * self.image_size**2 * self.channels <= MOST_DECODED

    @property
    def held_out(self) -> int:
        """The number of validation images."""
        return self.validation.per_class * self.classes

    def left_to_train(self, count: int) -> int:
        """Return how many of `count` images of the training source are not held out."""
        return count - (self.held_out if self.validation.taken_from == "train" else 0)

    @property
    def view(self) -> View:
        """How a network sees them."""
        return View(
            *(self.classes, self.channels, self.image_size, self.mean, self.std),
            *(self.crop_fraction, self.interpolation),
        )

    def job(self, content: dict[str, str], out: str = "") -> DataJob:
        """Return the job that splits them into the folder `out`; `content` stands for what is in them."""
        arrays = Arrays(self.channels, self.image_size, self.crop_fraction, self.interpolation)
        return DataJob(
            *(self.classes, self.validation, content, self.source == "parquet", arrays if self.in_memory else None),
            **{"train": self.train, "test": self.test, "out": out},
        )

    def images(self, key: str, folder: str) -> Images:
        """Return them as other jobs get them, split by the job of this key into `folder`."""
        sources = {"train": f"{folder}/train.bin", "test": f"{folder}/test.bin"}
        if self.source == "folder":
            sources = {"train": self.train[0], "test": self.test[0]}
        return Images(key, self.view, self.in_memory, folder=folder, **sources)


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
