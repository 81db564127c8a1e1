"""Base of all streaming metrics: passes over the images, values collected batch after batch.

A `Metric` sees the images in batches, in the same order in every pass: `update(outputs)` for each batch, `next_pass()`
between passes, `compute()` at the end, `save(folder)` if it keeps files. The outputs are those its file requests
(`REQUIRES`). Memory holds one batch and the sums, not all images.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..outputs import AttentionMap, Outputs
from ..spec.images import View
from ..spec.measure import Settings
from ..spec.network import Shapes
from . import _returned

# Column name -> one entry per block: [N] for a per-image column, a number for a per-block one, [C] for a per-bin one.
Measured = dict[str, list[Any]]
DEFAULTS = Settings()


@dataclass(frozen=True)
class Context:
    """What a metric knows before the first batch, about the measured images and the network.

    `positions` [N], `labels` [N] (-1: none), `names` [N] and `groups` [N] (equal for images of one photograph; empty:
    each is alone) of the images, in their order; `shapes` and `block_names` of the L blocks; `classes`, the outputs of
    the head (0: none); how the network sees images; `at_a_time`, the number of images per gradient pass. Files go into
    `folder` (None: none are kept); `reference` is the file of the reference network that the metric's file names in
    `REFERENCE` (None: this is the reference network). `stack` closes resources in any case.
    """

    positions: np.ndarray = field(default_factory=lambda: np.arange(0))
    labels: np.ndarray = field(default_factory=lambda: np.arange(0))
    names: Sequence[str] = ()
    shapes: Shapes = ()
    block_names: Sequence[str] = ()
    classes: int = 0
    view: View | None = None
    at_a_time: int = 64
    folder: Path | None = None
    reference: Path | None = None
    groups: np.ndarray = field(default_factory=lambda: np.arange(0))
    stack: ExitStack = field(default_factory=ExitStack)


class Accumulator:
    """A streaming metric; subclasses are named `Metric` and compute an image's columns in `of_block`.

    Those that need more than features, or keep sums, override `update` and `compute`.
    """

    passes = 1

    def __init__(self, settings: Settings = DEFAULTS, context: Context | None = None):
        self.settings = settings
        self.context = context or Context()
        self.pass_number = 1
        self.images = ImageValues()
        self.begin()

    def begin(self) -> None:
        """Prepare the collected values."""

    def attend(self, block: int, number: int, layer: AttentionMap) -> None:
        """Receive the maps of attention layer `number` of a block during the forward pass of the next batch.

        They cover as many of the batch's images as fit the memory, in order, and are freed when this returns.
        """

    def update(self, outputs: Outputs) -> None:
        """Receive the network's outputs on one batch."""
        self.images.add([self._of_block(block, index) for index, block in outputs.features.items()])

    def _of_block(self, block: torch.Tensor, index: int) -> Mapping[str, np.ndarray]:
        found = self.of_block(block, index)
        wanted = _returned.columns(self.of_block, found, found if isinstance(found, Mapping) else ())
        said = "numbers of the images"
        return {n: _returned.numbers(self.of_block, n, values, (len(block),), said) for n, values in wanted.items()}

    def of_block(self, block: torch.Tensor, index: int) -> Mapping[str, np.ndarray | torch.Tensor]:
        """Return the columns [b] of a batch's images in block number `index`, [b, C, H, W]."""
        raise NotImplementedError

    def next_pass(self) -> None:
        """End a pass; the images follow once more in the same batches."""
        self.pass_number += 1

    def compute(self) -> Measured:
        """Return every column of the metric after the last pass, one entry per block; none if undefined."""
        return self.images.joined()

    def groups_of(self, count: int) -> np.ndarray:
        """Return the group of each of the `count` images seen, [count]; images of one photograph share a group."""
        return self.context.groups if len(self.context.groups) else np.arange(count)

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """Return the rows of each table that the metric's file names in `TABLES`."""
        raise NotImplementedError

    def save(self, folder: Path) -> None:
        """Write the files that the metric's file names in `FILES`, whole or not at all."""


class ImageValues:
    """Per-image values of all blocks, joined over batches."""

    def __init__(self):
        self._parts: list[Measured] = []

    def add(self, blocks: Sequence[Mapping[str, np.ndarray | torch.Tensor]]) -> None:
        """Add one batch: for each block, name -> values [b]."""
        part = by_column(blocks)
        self._parts.append({name: [torch.as_tensor(v).cpu().numpy() for v in part[name]] for name in part})

    def joined(self) -> Measured:
        """Return name -> L arrays [N], images in their order."""
        names = self._parts[0] if self._parts else ()
        return {
            name: [np.concatenate(values) for values in zip(*(part[name] for part in self._parts), strict=True)]
            for name in names
        }


def by_column(blocks: Sequence[Mapping[str, Any]]) -> Measured:
    """Return name -> one entry per block, from a list of blocks with entries by name."""
    return {name: [block[name] for block in blocks] for name in blocks[0]}
