"""An image set on which networks are measured."""

from collections.abc import Iterator

import numpy as np
import torch

from ..errors import StudyError
from ..spec.images import ImageSet
from .balanced import balanced
from .split import CPU, Batch, Split


class MeasuredImages:
    """The images of an image set in a fixed order, the same for all networks, read by `workers` loader processes.

    `positions` [N] in `split`, ascending; `labels` [N] (-1: none); `groups` [N], equal for images of one photograph;
    `names`, which identify images in every view. Raises StudyError naming the image set if there are fewer images than
    it asks for.
    """

    def __init__(self, image_set: ImageSet, workers: int):
        source, count = image_set.split, image_set.count
        images = image_set.images
        self.split = Split(images, source, count if image_set.first else None, image_set.first)
        there = len(self.split)
        if count is not None and count > there:
            raise StudyError(
                f"image set {image_set.name}: {count} images are asked for, but {source} has only {there}; ask "
                "for fewer, or give more"
            )
        if count is None or image_set.first:
            self.positions = np.arange(there)
        else:
            self.positions = balanced(self.split.labels, count)
        self.labels = self.split.labels[self.positions]
        self.groups = self.split.groups[self.positions]
        self.names = [name.decode() for name in self.split.names[self.positions]]
        self.workers = workers

    def __len__(self) -> int:
        return len(self.positions)

    def batches(self, size: int, first: int = 0, device: torch.device = CPU) -> Iterator[Batch]:
        """Yield the images in order, as in evaluation, `size` at a time, skipping those before `first`.

        They are on the device.
        """
        if first < len(self):
            yield from self.split.view(0, None, size, self.workers, self.positions[first:], device)
