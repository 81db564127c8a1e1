"""Loader processes that draw views of a split's images.

Images reach the training through shared memory (/dev/shm), which has 64 MB in a container by default. Without enough of
it they go through a pipe, slower but with the same bits.
"""

import copy
import os
import signal
import sys
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from ..errors import StudyError, say_once
from ..spec.training import Augmentation
from .streams import drawn_from
from .views import make_transform

SECONDS_AFTER_STOP = 120
SHARED = "/dev/shm"
# Bytes for the queues of the loader processes.
BYTES_OF_QUEUES = 100_000
REMEDY = "give it more (of a container: --shm-size=2g)"


def loader_of(split, augmentation: Augmentation | None, parts: Iterable[tuple], workers: int, **options) -> DataLoader:
    """Return a loader of (positions, images) for each (seed, view, positions) of `parts`.

    A view is one number for all positions of a batch, or an array with one for each. `images_of` reads the images that
    the loader yields.
    """
    if workers and (free := shared_bytes()) is not None and free < BYTES_OF_QUEUES:
        say_once(f"{SHARED} is full or missing: images are read without loader processes; {REMEDY}")
        workers, options = 0, {}
    return DataLoader(
        _Views(split, augmentation),
        batch_sampler=_Keys(parts),
        num_workers=workers,
        collate_fn=_collate,
        worker_init_fn=_outlive_a_request_to_stop,
        # The loader gets its own generator; otherwise it would draw from the training process's stream.
        generator=torch.Generator(),
        **options,
    )


class _Keys:
    """Batches of (seed, view, position) as a loader requests them."""

    def __init__(self, parts: Iterable[tuple]):
        self.parts = parts

    def __iter__(self) -> Iterator[list[tuple[int, int, int]]]:
        for seed, view, positions in self.parts:
            views = np.broadcast_to(view, len(positions))
            yield [(seed, int(own), int(position)) for own, position in zip(views, positions, strict=True)]


class _Views(Dataset):
    """Images of a split through timm's transform, each with its own random stream."""

    def __init__(self, split, augmentation: Augmentation | None):
        # A copy without the split's loader, which would otherwise keep itself alive: its processes end with the split.
        self.split = copy.copy(split)
        self.transform = make_transform(split.seen, augmentation)
        self.random = augmentation is not None

    def __getitem__(self, key: tuple[int, int, int]) -> tuple[int, Tensor | StudyError]:
        seed, view, position = key
        try:
            image = self.split.image(position)
        except StudyError as error:
            # An error raised in a loader process would arrive as the text of a traceback.
            return position, error
        if not self.random:
            return position, self.transform(image)
        with drawn_from(seed, view, position):
            return position, self.transform(image)


def _outlive_a_request_to_stop(worker: int) -> None:
    """Survive SIGTERM for a while: a scheduler sends it to all processes of a job, and the trainer needs its loaders to
    finish the step or validation. Not forever: at exit Python waits for them.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: signal.alarm(SECONDS_AFTER_STOP))


def _collate(items: list[tuple[int, Tensor | StudyError]]) -> tuple[np.ndarray, Tensor | np.ndarray | StudyError]:
    positions, images = zip(*items, strict=True)
    errors = [image for image in images if isinstance(image, StudyError)]
    if errors:
        return np.array(positions), errors[0]
    batch = torch.stack(images)
    # Tensors use shared memory, arrays do not.
    return np.array(positions), batch if _fits(batch.nbytes) else batch.numpy()


def _fits(size: int) -> bool:
    """Return whether `size` bytes fit into shared memory, if all loader processes ask at the same time."""
    if (worker := get_worker_info()) is None or (free := shared_bytes()) is None:
        return True
    return free > size * (1 + worker.num_workers) * int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def shared_bytes() -> int | None:
    """Return the free bytes of shared memory; None if it is not a file system and so has no limit."""
    if sys.platform != "linux":
        return None
    try:
        there = os.statvfs(SHARED)
    except OSError:
        return 0
    return there.f_bavail * there.f_frsize


def images_of(loaded: Tensor | np.ndarray | StudyError) -> Tensor:
    """Return the images of a loader's batch; raise the error of an unreadable image."""
    if isinstance(loaded, StudyError):
        raise loaded
    if isinstance(loaded, np.ndarray):
        say_once(f"{SHARED} is too small for batches of images: they go through pipes, which is slower; {REMEDY}")
        return torch.from_numpy(loaded)
    return loaded
