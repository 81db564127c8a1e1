"""The job of the measure stage: one network, at all its checkpoints, by one metric."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from .base import From, aside, later
from .images import ImageSet
from .keys import Count, Key
from .machine import Machine
from .network import Checkpoints

# The outer edges of the bins of `entropy_standardised`, in standard deviations.
STANDARDISED_RANGE = -5.0, 5.0
# Bytes of what a network said of the first images of a pass, which the next pass need not ask again.
KEPT = 2**30


Method = Literal["gradient", "smoothgrad", "integrated_gradients"]


@dataclass(frozen=True)
class SharedSettings:
    """What a study sets for its metrics under `measure`."""

    entropy_bins: Annotated[
        int,
        Key(
            "Number of histogram bins for token entropy; 100 as published, more resolve small activations.",
            ge=2,
            le=100_000,
        ),
    ] = 100
    permutations: Annotated[
        int,
        Key(
            "Number of random channel permutations in the null of each spectrum; the smallest p is 1 / (1 + this).",
            ge=20,
            le=100_000,
        ),
    ] = 200
    dump_images: Annotated[
        Count, Key("Largest number of measured images whose features are written to disk; lower it to save space.")
    ] = 1000
    dump_tokens: Annotated[
        Count | None,
        Key("Number of random tokens kept of each written image, the same positions in all; default: all tokens."),
    ] = None
    dtype: Annotated[
        Literal["float16", "float32"],
        Key("Precision of the features on disk; float32 doubles their size, and metrics always use float32."),
    ] = "float16"


@dataclass(frozen=True)
class Settings(SharedSettings):
    """What may be set for metrics; a metric's file names those that it uses (`OPTIONS`).

    `tokens`: random tokens of an image that are rows of the comparison. `methods`: of saliency. `seed`: of permutations
    and folds. `group`: images that a stored mean spectrum stands for.
    """

    tokens: int = 4
    methods: tuple[Method, ...] = ("gradient", "smoothgrad", "integrated_gradients")
    seed: int = 0
    group: int = 50


@dataclass(frozen=True)
class Batches:
    """Images that pass a network at a time, as many as fit the memory (`jobs.memory`).

    `images`: those of a batch; of these at a time for attention maps and for gradients. Their number moves last bits,
    so that it counts where it is another than usual.
    """

    images: int = 64
    attention: int = 64
    gradients: int = 64


@dataclass(frozen=True)
class MeasureJob:
    """Measure a network at all its checkpoints by `metric`, on `image_sets`, the first of which is the main one.

    `reference` is what the metric reads of the reference network, whose own jobs have None. Files that the metric keeps
    are those of the main image set, in a folder of `out` for each checkpoint.
    """

    metric: str
    network: Checkpoints
    image_sets: tuple[ImageSet, ...]
    options: dict[str, Any]
    reference: From | None
    batches: Batches = later(default_factory=Batches)
    machine: Machine = aside(default_factory=Machine)
    out: str = aside()

    @property
    def settings(self) -> Settings:
        """The settings of the metric."""
        options: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in self.options.items()}
        return Settings(**options)
