"""The range of values over a stream of images, with and without the image that widens it most.

In: features, blocks [B, C, H, W], batch after batch. Needs the memory of four values.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor

from .blocks import extremes


class Limits:
    """The two smallest and the two largest values of different images, and their images.

    `groups` of all images to come; images of one group count as one. Empty: each image is its own group.
    """

    def __init__(self, groups: np.ndarray | Sequence[int] = ()):
        self.groups, self.seen = groups, 0
        # Image number -> its value, outermost first; the largest values with reversed sign.
        self._ends: tuple[dict[int, float], dict[int, float]] = ({}, {})

    def add(self, features: Mapping[int, Tensor]) -> None:
        """Add all blocks of a batch. Raises NotFinite for NaN or infinity."""
        for index, block in features.items():
            low, high = extremes(block, index)
            for end, outermost, sign in zip(self._ends, (low, -high), (1, -1), strict=True):
                # Nearly all batches lie within the range seen so far.
                if len(end) < 2 or outermost < max(end.values()):
                    rows = block.flatten(1)
                    values = (rows.amin(dim=1) if sign > 0 else -rows.amax(dim=1)).tolist()
                    self._take(end, values)
        self.seen += len(block)

    def _take(self, end: dict[int, float], values: Sequence[float]) -> None:
        """Keep the two most extreme values of different images, of those seen so far and a batch's."""
        for number, value in enumerate(values, self.seen):
            image = int(self.groups[number]) if len(self.groups) else number
            end[image] = min(value, end.get(image, value))
        kept = sorted(end.items(), key=lambda one: (one[1], one[0]))[:2]
        end.clear()
        end.update(kept)

    @property
    def all(self) -> tuple[float, float]:
        """The smallest and the largest value."""
        low, high = (next(iter(end.values())) for end in self._ends)
        return low, -high

    @property
    def without_extreme(self) -> tuple[float, float]:
        """The range without the image whose removal narrows it most; of a single image, its own range."""
        if len(self._ends[0]) < 2:
            return self.all
        ranges = []
        for image in sorted({next(iter(end)) for end in self._ends}):
            low, high = (min(value for of, value in end.items() if of != image) for end in self._ends)
            ranges.append((low, -high))
        return min(ranges, key=lambda limits: limits[1] - limits[0])
