"""The job of the features stage."""

from dataclasses import dataclass

from .base import From, aside
from .images import Images
from .machine import Machine
from .measured import Checkpoints


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


@dataclass(frozen=True)
class FeaturesJob:
    """Measure a network and dump a part of its features, in a folder of `out` for each checkpoint.

    `fixed_range` is the file with the teacher's range of activations; None: this is the teacher, which writes it.
    """

    images: Images
    network: Checkpoints
    folders: tuple[str, ...]
    probe: Probe
    fixed_range: From | None
    machine: Machine = aside(default_factory=Machine)
    out: str = aside()
