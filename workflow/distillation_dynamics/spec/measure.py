"""The job of the measure stage: one network, at all its checkpoints, by one metric."""

from dataclasses import dataclass
from typing import Any

from .base import From, aside
from .images import ImageSet
from .machine import Machine
from .network import Checkpoints

# The outer edges of the bins of `entropy_standardised`, in standard deviations.
STANDARDISED_RANGE = -5.0, 5.0


@dataclass(frozen=True)
class Settings:
    """What a study may set for its metrics; a metric's file names those that it uses (`OPTIONS`).

    `entropy_bins`: of the entropy's histograms. `permutations`: of the channels, for the nulls of spectra.
    `dump_images`, `dump_tokens` (None: all), `dtype`: of the features that are kept. `tokens`: random tokens of an
    image that are rows of the comparison. `methods`: of saliency. `seed`: of permutations and folds. `group`: images
    that a stored mean spectrum stands for.
    """

    entropy_bins: int = 100
    permutations: int = 200
    dump_images: int = 1000
    dump_tokens: int | None = None
    dtype: str = "float16"
    tokens: int = 4
    methods: tuple[str, ...] = ("gradient", "smoothgrad", "integrated_gradients")
    seed: int = 0
    group: int = 50


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
    machine: Machine = aside(default_factory=Machine)
    out: str = aside()

    @property
    def settings(self) -> Settings:
        """The settings of the metric."""
        options: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in self.options.items()}
        return Settings(**options)
