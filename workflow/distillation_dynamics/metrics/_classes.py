"""What metrics share that ask of a block how well its mean patch tokens tell the classes of the images apart."""

import numpy as np
import torch

from ..errors import say_once
from ..outputs import Outputs, asked_for
from .accumulator import Accumulator, Measured, by_column
from .blocks import extremes
from .rows import mean_tokens


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
    """Collects mean patch tokens; a subclass says in `of_classes` what it measures of them."""

    def begin(self) -> None:
        """Begin with no images."""
        self._rows: list[list[torch.Tensor]] = []
        self._labels: list[int] = []
        self._positions: list[int] = []

    def update(self, outputs: Outputs) -> None:
        """Take the features, labels and positions of some images; raise NotFinite for NaN or infinity."""
        for index, block in outputs.features.items():
            extremes(block, index, len(self._labels))
        self._rows.append([mean_tokens(block).cpu() for block in outputs.features.values()])
        self._labels += asked_for(outputs.labels).tolist()
        self._positions += asked_for(outputs.positions).tolist()

    def of_classes(self, rows: np.ndarray, labels: np.ndarray, positions: np.ndarray) -> dict[str, float]:
        """Return the columns of one block: rows [n, C] in float64, labels [n] and positions [n] of the images."""
        raise NotImplementedError

    def compute(self) -> Measured:
        """Return the columns, none where images have no labels or too few; those without a label do not count."""
        labels, positions = np.array(self._labels), np.array(self._positions)
        if why := missing(labels):
            say_once(f"{type(self).__module__.rpartition('.')[2]}: {why}: its columns stay empty")
            return {}
        counted = labels >= 0
        blocks = [torch.cat(parts).numpy()[counted] for parts in zip(*self._rows, strict=True)]
        return by_column([self.of_classes(rows, labels[counted], positions[counted]) for rows in blocks])
