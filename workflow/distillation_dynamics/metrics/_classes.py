"""Base of metrics on how well a block's mean patch tokens separate the classes."""

import numpy as np
import torch

from ..errors import say_once
from ..outputs import Outputs, asked_for
from .accumulator import Accumulator, Measured, by_column
from .blocks import extremes, mean_tokens


def missing(labels: np.ndarray, groups: np.ndarray | None = None) -> str:
    """Return why labels [n] (-1: none) cannot be used, "" if they can: at least two classes of two images each.

    With `groups` [n], each class needs images of two groups, so that it remains known without one of them.
    """
    counts = np.unique_counts(labels[labels >= 0]).counts
    if len(counts) == 0:
        return "the images have no labels"
    if len(counts) == 1:
        return "all images are of one class"
    if counts.min() < 2:
        return "a class has only one image"
    if groups is not None:
        pairs = np.unique(np.stack([labels, groups])[:, labels >= 0], axis=1)
        if np.unique_counts(pairs[0]).counts.min() < 2:
            return "all images of a class are of one group (data.groups), without which nothing is known of it"
    return ""


def indices(labels: np.ndarray, groups: np.ndarray | None = None) -> np.ndarray:
    """Return labels [n] as indices of the classes present; raise ValueError with the reason of `missing`."""
    if why := missing(labels, groups):
        raise ValueError(f"labels: {why}")
    if labels.min() < 0:
        raise ValueError("labels: an image has none")
    return np.unique_inverse(labels).inverse_indices


class ByClass(Accumulator):
    """Collects mean patch tokens; a subclass computes its columns in `of_classes`.

    `HOLDS_OUT`: whether images of a group are predicted from those of others, so that a class needs two groups.
    """

    HOLDS_OUT = False

    def begin(self) -> None:
        """Reset to no images."""
        self._rows: list[list[torch.Tensor]] = []
        self._labels: list[int] = []
        self._positions: list[int] = []

    def update(self, outputs: Outputs) -> None:
        """Add the features, labels and positions of a batch; raise NotFinite for NaN or infinity."""
        for index, block in outputs.features.items():
            extremes(block, index, len(self._labels))
        self._rows.append([mean_tokens(block).cpu() for block in outputs.features.values()])
        self._labels += asked_for(outputs.labels).tolist()
        self._positions += asked_for(outputs.positions).tolist()

    def of_classes(
        self, rows: np.ndarray, labels: np.ndarray, positions: np.ndarray, groups: np.ndarray
    ) -> dict[str, float]:
        """Return the columns of one block from rows [n, C], float64, and labels, positions and groups [n]."""
        raise NotImplementedError

    def compute(self) -> Measured:
        """Return the columns; none if images lack labels or are too few. Unlabelled images are ignored."""
        labels, positions = np.array(self._labels), np.array(self._positions)
        groups = self.groups_of(len(labels))
        if why := missing(labels, groups if self.HOLDS_OUT else None):
            say_once(f"{type(self).__module__.rpartition('.')[2]}: {why}: its columns stay empty")
            return {}
        counted = labels >= 0
        blocks = [torch.cat(parts).numpy()[counted] for parts in zip(*self._rows, strict=True)]
        of_images = labels[counted], positions[counted], groups[counted]
        return by_column([self.of_classes(rows, *of_images) for rows in blocks])
