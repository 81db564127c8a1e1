"""What every streaming metric shares: passes over the images, per-image values collected batch after batch.

A `Metric` sees the images in batches, in the same order in every pass: `update(batch)` for each batch of a pass,
`next_pass()` between passes, `compute()` at the end. What a batch is depends on the metric's `NEEDS`; it always has one
entry a block. Memory is that of one batch and of the sums, not of the images.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

# Images that one stored mean spectrum stands for.
GROUP = 50
# Column name -> one entry a block: [N] for a per-image column, a number for a per-block one, [C] for a per-bin one.
Measured = dict[str, list[Any]]


@dataclass(frozen=True)
class Settings:
    """What a study may set for its metrics.

    `bins`: of the entropy's histograms. `fixed_range`: (low, high) of `entropy_fixed_range`, None for the range of the
    features themselves. `permutations`: of the channels, for the nulls of spectra. `seed`: of those permutations.
    `group`: images a stored mean spectrum stands for.
    """

    bins: int = 100
    fixed_range: tuple[float, float] | None = None
    permutations: int = 20
    seed: int = 0
    group: int = GROUP


DEFAULTS = Settings()


class Accumulator:
    """A streaming metric; subclasses are named `Metric` and fill `self.images` or sums of their own."""

    passes = 1

    def __init__(self, settings: Settings = DEFAULTS):
        self.settings = settings
        self.pass_number = 1
        self.images = ImageValues()

    def update(self, batch: Sequence[Any]) -> None:
        """Take one batch: a sequence with one entry a block."""
        raise NotImplementedError

    def next_pass(self) -> None:
        """End a pass; the images come once more, in the same batches."""
        self.pass_number += 1

    def compute(self) -> Measured:
        """Return every column of the metric, one entry a block, after the last pass."""
        return self.images.joined()


class ImageValues:
    """Per-image values of all blocks, joined over batches."""

    def __init__(self):
        self._parts: list[list[dict[str, np.ndarray]]] = []

    def add(self, blocks: Sequence[dict[str, np.ndarray | torch.Tensor]]) -> None:
        """Take one batch: for each block, name -> values [b]."""
        self._parts.append(
            [
                {
                    name: (value.cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value))
                    for name, value in block.items()
                }
                for block in blocks
            ]
        )

    def joined(self) -> Measured:
        """Return name -> L arrays [N], the images in the order in which they came."""
        if not self._parts:
            return {}
        return {
            name: [np.concatenate([part[block][name] for part in self._parts]) for block in range(len(self._parts[0]))]
            for name in self._parts[0][0]
        }
