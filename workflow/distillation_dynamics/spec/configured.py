"""The images of a study after their files were found; each job gets only the parts that it needs."""

from collections.abc import Mapping
from dataclasses import dataclass

from .data import COLUMNS, Arrays, Columns, DataJob
from .images import WHITE, Images, Validation, View

# Bytes: packed images are decoded into arrays if both sources together take at most this much.
MOST_DECODED = 8e9
SOURCES = ("train", "test")


@dataclass(frozen=True)
class Data:
    """An image set of a study: that of `data`, or one of `probes` (which has no training images).

    `rows`: number of images by source, if known before they are listed. `packed`: whether the stage copies them into
    one file per source. `view`: the student's view, in which they may be decoded. `background`: colour behind
    transparent parts.
    """

    source: str
    test: tuple[str, ...]
    packed: bool
    rows: dict[str, int]
    train: tuple[str, ...] = ()
    classes: int | None = None
    trust_times: bool = False
    validation: Validation | None = None
    images: int | None = None
    view: View | None = None
    groups: str | None = None
    columns: Columns = COLUMNS
    background: str = WHITE
    label_depth: int = 1
    broken_images: int = 0

    @property
    def files(self) -> dict[str, tuple[str, ...]]:
        """The files of each given source."""
        return {key: getattr(self, key) for key in SOURCES if getattr(self, key)}

    @property
    def arrays(self) -> Arrays | None:
        """How the images are decoded into one array per source, or None. It changes no result."""
        view = self.view
        if view is None or not self.packed or self.rows.keys() != self.files.keys():
            return None
        if sum(self.rows.values()) * view.image_size**2 * view.channels > MOST_DECODED:
            return None
        return Arrays.of(view, self.background)

    @property
    def held_out(self) -> int:
        """The number of validation images."""
        return self.validation.per_class * self.classes if self.validation and self.classes else 0

    @property
    def measured(self) -> str:
        """The split that is measured: the validation images, or the test source if none are held out."""
        return "validation" if self.validation else "test"

    def left_to_train(self, count: int) -> int:
        """Return how many of `count` training images are not held out."""
        return count - (self.held_out if self.validation and self.validation.taken_from == "train" else 0)

    def count_of(self, split: str, counts: Mapping[str, int | None]) -> int | None:
        """Return the number of images in `validation` or `test`, given the counts by source; None if unknown."""
        if split == "validation":
            return self.held_out
        count = counts.get("test")
        taken = self.held_out if self.validation and self.validation.taken_from == "test" else 0
        return None if count is None else count - taken

    def job(self, content: dict[str, str], key: str = "data", out: str = "") -> DataJob:
        """Return the job that splits them into the folder `out`; `content` identifies their content."""
        return DataJob(
            *(self.source, self.classes, self.validation, content, self.packed, self.arrays, self.groups, self.columns),
            label_depth=self.label_depth,
            broken_images=self.broken_images,
            train=self.train,
            test=self.test,
            key=key,
            out=out,
        )

    def seen(self, view: View, key: str, folder: str) -> Images:
        """Return them in a view for other jobs, split by the job with this key into `folder`."""
        sources = {name: f"{folder}/{name}.bin" if self.packed else files[0] for name, files in self.files.items()}
        in_memory = self.arrays is not None and Arrays.of(view, self.background) == self.arrays
        return Images(key, view, in_memory, folder=folder, background=self.background, **sources)
