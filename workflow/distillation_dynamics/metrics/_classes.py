"""What metrics share that ask of a block how well its mean patch tokens tell the classes of the images apart."""

from collections.abc import Iterable

import numpy as np
import torch

from ..errors import say_once
from ..outputs import Outputs, asked_for
from ..spec.measure import Settings
from .accumulator import DEFAULTS, Accumulator, Context, Measured
from .blocks import extremes
from .rows import image_rows


def missing(labels: np.ndarray) -> str:
    """Return why labels [n] (-1: none) do not tell classes apart, '' where they do: two classes of two images each."""
    counts = np.unique_counts(labels[labels >= 0]).counts
    if len(counts) == 0:
        return "the images have no labels"
    if len(counts) == 1:
        return "all images are of one class"
    return "a class has only one image" if counts.min() < 2 else ""


def indices(labels: np.ndarray) -> np.ndarray:
    """Return labels [n] as places among the classes that there are; raise ValueError where `missing` says why not."""
    if why := missing(labels):
        raise ValueError(f"labels: {why}")
    if labels.min() < 0:
        raise ValueError("labels: an image has none")
    return np.unique_inverse(labels).inverse_indices


class ByClass(Accumulator):
    """Collects mean patch tokens; a subclass says in `of_block` what it measures of them, in `columns` as what."""

    columns: Iterable[str] = ()

    def __init__(self, settings: Settings = DEFAULTS, context: Context | None = None):
        super().__init__(settings, context)
        self._rows: list[list[torch.Tensor]] = []
        self._labels: list[int] = []
        self._positions: list[int] = []

    def update(self, outputs: Outputs) -> None:
        """Take the features, labels and positions of some images; raise NotFinite for NaN or infinity."""
        blocks = [outputs.features[block] for block in sorted(outputs.features)]
        for index, block in enumerate(blocks):
            extremes(block, index, len(self._labels))
        self._rows.append([rows.cpu() for rows in image_rows(blocks)])
        self._labels += asked_for(outputs.labels).tolist()
        self._positions += asked_for(outputs.positions).tolist()

    def of_block(self, rows: np.ndarray, labels: np.ndarray, positions: np.ndarray) -> dict[str, float]:
        """Return the columns of one block: rows [n, C] in float64, labels [n] and positions [n] of the images."""
        raise NotImplementedError

    def compute(self) -> Measured:
        """Return the columns, NaN where images have no labels or too few; those without a label do not count."""
        labels, positions = np.array(self._labels), np.array(self._positions)
        if why := missing(labels):
            say_once(f"{type(self).__module__.rpartition('.')[2]}: {why}: its columns stay empty")
            return {name: [np.nan] * len(self._rows[0]) for name in self.columns}
        counted = labels >= 0
        blocks = [torch.cat(parts).numpy()[counted] for parts in zip(*self._rows, strict=True)]
        found = [self.of_block(rows, labels[counted], positions[counted]) for rows in blocks]
        return {name: [block[name] for block in found] for name in self.columns}
