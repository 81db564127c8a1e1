"""Loader processes that draw views of the images of a split."""

import copy
import signal
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ..errors import StudyError
from ..spec.training import Augmentation
from .streams import drawn_from
from .views import make_transform

SECONDS_AFTER_STOP = 120


def loader_of(split, augmentation: Augmentation | None, parts: Iterable[tuple], workers: int, **options) -> DataLoader:
    """Return a loader of (positions, images) for each (seed, view, positions) of `parts`.

    A view is one for all positions of a batch, or an array of one for each. The loader yields a StudyError in place of
    the images of a batch where one of them cannot be read.
    """
    return DataLoader(
        _Views(split, augmentation),
        batch_sampler=_Keys(parts),
        num_workers=workers,
        collate_fn=_collate,
        worker_init_fn=_outlive_a_request_to_stop,
        # Without one of its own the loader would draw from the training process's stream.
        generator=torch.Generator(),
        **options,
    )


class _Keys:
    """Batches of (seed, view, position), as a loader asks for them."""

    def __init__(self, parts: Iterable[tuple]):
        self.parts = parts

    def __iter__(self) -> Iterator[list[tuple[int, int, int]]]:
        for seed, view, positions in self.parts:
            views = np.broadcast_to(view, len(positions))
            yield [(seed, int(own), int(position)) for own, position in zip(views, positions, strict=True)]


class _Views(Dataset):
    """Images of a split through timm's transform, each drawn from its own random stream."""

    def __init__(self, split, augmentation: Augmentation | None):
        # Without the loader that the split keeps, which would keep itself: its processes end when the split is gone.
        self.split = copy.copy(split)
        self.transform = make_transform(split.seen, augmentation)
        self.random = augmentation is not None

    def __getitem__(self, key: tuple[int, int, int]) -> tuple[int, Tensor | StudyError]:
        seed, view, position = key
        try:
            image = self.split.image(position)
        except StudyError as error:
            # Raised in a loader process it would arrive as the text of a traceback.
            return position, error
        if not self.random:
            return position, self.transform(image)
        with drawn_from(seed, view, position):
            return position, self.transform(image)


def _outlive_a_request_to_stop(worker: int) -> None:
    """Go on for a while after SIGTERM, which a scheduler sends to all processes of a job: the trainer still needs its
    loaders to get to the end of the step or of the validation. Not for ever: at exit Python waits for them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: signal.alarm(SECONDS_AFTER_STOP))


def _collate(items: list[tuple[int, Tensor | StudyError]]) -> tuple[np.ndarray, Tensor | StudyError]:
    positions, images = zip(*items, strict=True)
    errors = [image for image in images if isinstance(image, StudyError)]
    return np.array(positions), errors[0] if errors else torch.stack(images)
