"""An image set that networks are measured on."""

from collections.abc import Iterator

import numpy as np

from ..errors import StudyError
from ..spec.images import Probe
from .split import Batch, Split, balanced


class ProbeImages:
    """The images of a probe, in one order whatever network sees them, with as many loader processes as `workers`.

    `positions` [N], ascending, of them in `split`; `labels` [N] (-1: none); `groups` [N], equal for images of one
    photograph; `names`, by which images are known in every view. Raises StudyError naming the probe where there are
    fewer images than it asks for.
    """

    def __init__(self, probe: Probe, workers: int):
        self.split = (
            Split.first(probe.images, probe.split, probe.count) if probe.first else Split(probe.images, probe.split)
        )
        there = len(self.split)
        if probe.count is not None and probe.count > there:
            raise StudyError(
                f"probe {probe.name}: {probe.count} images are asked for, but {probe.split} has only {there}; ask for "
                "fewer, or give more"
            )
        if probe.count is None or probe.first:
            self.positions = np.arange(there)
        else:
            self.positions = balanced(self.split.labels, probe.count)
        self.labels = self.split.labels[self.positions]
        self.groups = self.split.groups[self.positions]
        self.names = [name.decode() for name in self.split.names[self.positions]]
        self.workers = workers

    def __len__(self) -> int:
        return len(self.positions)

    def batches(self, size: int) -> Iterator[Batch]:
        """Yield the images in order, as they are evaluated, `size` at a time."""
        yield from self.split.view(0, None, size, self.workers, self.positions)
