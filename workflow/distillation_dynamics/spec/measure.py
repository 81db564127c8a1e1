"""The job of the measure stage: one metric of one network at all its checkpoints."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from .base import From, aside, later
from .images import ImageSet
from .keys import Count, Key
from .machine import Machine
from .network import Checkpoints

# The outer edges of the bins of `entropy_standardised`, in standard deviations.
STANDARDISED_RANGE = -5.0, 5.0
# Bytes of outputs kept from one pass over the first images, so that the next pass need not compute them again.
KEPT = 2**30


Method = Literal["gradient", "smoothgrad", "integrated_gradients"]


@dataclass(frozen=True)
class SharedSettings:
    """Settings of metrics under `measure`."""

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
    """All settings of metrics; a metric's file names those that it uses (`OPTIONS`).

    `tokens`: random tokens per image, rows of the comparison. `methods`: of saliency. `seed`: of permutations and
    folds. `group`: number of images averaged in a stored mean spectrum.
    """

    tokens: int = 4
    methods: tuple[Method, ...] = ("gradient", "smoothgrad", "integrated_gradients")
    seed: int = 0
    group: int = 50


@dataclass(frozen=True)
class Batches:
    """Batch sizes that fit the memory (`jobs.memory`): of a pass, and within it of attention maps and of gradients.

    The size changes the last bits, so other sizes than the default are part of the key.
    """

    images: int = 64
    attention: int = 64
    gradients: int = 64


@dataclass(frozen=True)
class MeasureJob:
    """Measure `metric` of a network at all its checkpoints on `image_sets`, of which the first is the main one.

    `reference`: file of the reference network that the metric reads; None for that network itself. Files that the
    metric keeps are about the main image set, in one folder of `out` per checkpoint.
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
