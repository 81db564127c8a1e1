"""What a study says, as frozen dataclasses: the slices that the stages get, as JSON, and read back.

The check of a configuration is in `study`, apart, because it is no part of what a stage computes. Imports no torch.
"""

import json
from dataclasses import asdict, dataclass, fields, is_dataclass
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints


@dataclass(frozen=True)
class Validation:
    """Which images are held out for every choice."""

    taken_from: str
    per_class: int


@dataclass(frozen=True)
class Data:
    """The images of a study and how an evaluated image looks."""

    source: str
    train: str
    test: str
    classes: int
    channels: int
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    validation: Validation
    crop_fraction: float
    interpolation: str


@dataclass(frozen=True)
class Model:
    """A timm model."""

    name: str
    args: dict[str, Any]
    initialisation: str


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
    crop_scale: tuple[float, ...]
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
    augmentation: Augmentation | None = None

    @property
    def views(self) -> int | None:
        """How many different views of an image training sees; None when each epoch draws a new one."""
        return views_of(self.augmentation)


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
    def checkpoints(self) -> list[int]:
        """Epochs whose weights are kept: 0 (untrained), every `checkpoint_every`, the last."""
        return sorted({*range(0, self.recipe.epochs, self.checkpoint_every), self.recipe.epochs})


@dataclass(frozen=True)
class TermSpec:
    """One term of a loss: an objective's name, its weight and options, and its (student, teacher) pairs of blocks."""

    name: str
    weight: float
    needs: str
    options: dict[str, Any]
    pairs: tuple[tuple[int, int], ...] = ()
    reduction: str = "mean"


# Images that one stored mean spectrum stands for, and the number of per-image scalars where all metrics are measured.
GROUP = 50
SCALARS = 38
# (channels, rows, columns) of the features of each block.
Shapes = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Probe:
    """Which images are measured, by which metrics, and what of their features is kept."""

    images: int
    published_images: int
    metrics: tuple[str, ...]
    entropy_bins: int
    permutations: int
    dump_images: int
    dtype: str
    dump_tokens: int | None = None

    def tokens_of(self, rows: int, columns: int) -> int:
        """Return how many tokens of an image with this grid are dumped."""
        return min(self.dump_tokens or rows * columns, rows * columns)

    def stored_bytes(self, shapes: Shapes) -> int:
        """Return about how many bytes one checkpoint's dump, sums and per-image scalars take."""
        size = {"float16": 2, "float32": 4}[self.dtype]
        images = min(self.images, self.dump_images)
        raw = sum(images * channels * self.tokens_of(rows, columns) * size for channels, rows, columns in shapes)
        sums = sum(8 * channels * (channels + 1) for channels, _, _ in shapes)
        spectra = sum(4 * -(-self.images // GROUP) * (channels // 2 + 1) for channels, _, _ in shapes)
        return raw + sums + spectra + 4 * SCALARS * self.images * len(shapes)


@dataclass(frozen=True)
class Saliency:
    """How many images get saliency maps, by which methods."""

    images: int
    methods: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """Images, and tokens of each, on which students are compared with the teacher."""

    images: int
    tokens: int


@dataclass(frozen=True)
class ModelFacts:
    """What a model is before it has weights: parameters, and [channels, rows, columns] of each block's features."""

    parameters: int
    shapes: Shapes


def to_json(part: Any) -> str:
    """Return a slice of the study as canonical JSON: equal slices give equal text, whatever the order of keys."""
    return json.dumps(part, sort_keys=True, default=asdict)


def from_json(kind: Any, text: str) -> Any:
    """Read a slice back: the inverse of `to_json` for the dataclass (or tuple of dataclasses) `kind`."""
    return build(kind, json.loads(text))


def build(kind: Any, value: Any) -> Any:
    """Return `value` (dictionaries, lists and numbers) as the dataclass or tuple `kind`."""
    if isinstance(kind, UnionType):
        kind = get_args(kind)[0]
        return None if value is None else build(kind, value)
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(**{f.name: build(hints[f.name], value[f.name]) for f in fields(kind) if f.name in value})
    if get_origin(kind) is tuple:
        inner = get_args(kind)
        kinds = [inner[0]] * len(value) if inner[-1] is Ellipsis else inner
        return tuple(build(k, v) for k, v in zip(kinds, value, strict=True))
    return float(value) if kind is float else value
