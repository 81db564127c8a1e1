"""The range of all values of a stream of images, and what is left of it without the image that widens it most.

In: features, blocks [B, C, H, W], batch after batch. Memory is that of four values.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor

from .blocks import extremes


class Limits:
    """The two smallest and the two largest values of different images, and which images they are of.

    `groups`: of every image that will come; those of one group count as one. Empty: each is alone.
    """

    def __init__(self, groups: np.ndarray | Sequence[int] = ()):
        self.groups, self.seen = groups, 0
        # Number of an image -> its value, the outermost first; the largest values with the sign turned.
        self._ends: tuple[dict[int, float], dict[int, float]] = ({}, {})

    def add(self, features: Mapping[int, Tensor]) -> None:
        """Take all blocks for a batch of images. Raises NotFinite for NaN or infinity."""
        for index, block in features.items():
            low, high = extremes(block, index)
            for end, outermost, sign in zip(self._ends, (low, -high), (1, -1), strict=True):
                # Nearly all blocks of nearly all batches lie within what was seen.
                if len(end) < 2 or outermost < max(end.values()):
                    rows = block.flatten(1)
                    values = (rows.amin(dim=1) if sign > 0 else -rows.amax(dim=1)).tolist()
                    self._take(end, values)
        self.seen += len(block)

    def _take(self, end: dict[int, float], values: Sequence[float]) -> None:
        """Keep of what was seen and of a batch's values those of the two images that reach farthest out."""
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
        """The same without the image whose absence narrows the range most; of one image, all that there is."""
        if len(self._ends[0]) < 2:
            return self.all
        ranges = []
        for image in sorted({next(iter(end)) for end in self._ends}):
            low, high = (min(value for of, value in end.items() if of != image) for end in self._ends)
            ranges.append((low, -high))
        return min(ranges, key=lambda limits: limits[1] - limits[0])
