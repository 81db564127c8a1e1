"""Loader processes that draw views of a split's images.

Images reach the training through shared memory (/dev/shm), which has 64 MB in a container by default. Without enough of
it they go through a pipe, slower but with the same bits.
"""

import copy
import os
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from ..errors import StudyError, say_once
from ..spec.images import View
from ..spec.training import Augmentation
from .streams import drawn_from
from .transfer import Canvas, Rectangle, gathered, pinned
from .views import make_erasing, make_transform

SECONDS_AFTER_STOP = 120
SHARED = "/dev/shm"
# Bytes for the queues of the loader processes.
BYTES_OF_QUEUES = 100_000
# Bytes of images that wait ready on one machine. Each loader process has at least one batch, whatever its size.
BYTES_AHEAD = 2**31
REMEDY = "give it more (of a container: --shm-size=2g)"


def loader_of(
    split,
    augmentation: Augmentation | None,
    parts: Iterable[tuple],
    workers: int,
    batch: int,
    device: torch.device,
    **options,
) -> DataLoader:
    """Return a loader of `Loaded` batches of at most `batch` images for each (seed, view, positions) of `parts`.

    A view is one number for all positions of a batch, or an array with one for each. For a GPU the tensors are in
    pinned memory. `tensor_of` reads the tensors that the loader yields.
    """
    if workers and (free := shared_bytes()) is not None and free < BYTES_OF_QUEUES:
        say_once(f"{SHARED} is full or missing: images are read without loader processes; {REMEDY}")
        workers, options = 0, {}
    if workers:
        options["prefetch_factor"] = ahead(split.seen, batch, workers)
    return DataLoader(
        _Views(split, augmentation),
        batch_sampler=_Keys(parts),
        num_workers=workers,
        collate_fn=_collate,
        worker_init_fn=_outlive_a_request_to_stop,
        # The loader gets its own generator; otherwise it would draw from the training process's stream.
        generator=torch.Generator(),
        pin_memory=pinned(device),
        **options,
    )


def ahead(view: View, batch: int, workers: int) -> int:
    """Return how many batches each loader process has ready: 2 if those of all processes fit `BYTES_AHEAD`, else 1."""
    size = batch * view.channels * view.image_size**2
    return 2 if 2 * workers * size * _processes() <= BYTES_AHEAD else 1


def _processes() -> int:
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


class Loaded(NamedTuple):
    """A batch of a loader: positions [B], uint8 images [B, C, H, W], and what random erasing replaces in them."""

    positions: np.ndarray
    images: Tensor | np.ndarray
    places: np.ndarray
    values: Tensor | np.ndarray


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
        self.transform = make_transform(split.seen, augmentation, normalise=False)
        self.erasing = make_erasing(augmentation)
        self.random = augmentation is not None

    def __getitem__(self, key: tuple[int, int, int]) -> tuple[int, Tensor, list[Rectangle]] | StudyError:
        seed, view, position = key
        try:
            image = self.split.image(position)
        except StudyError as error:
            # An error raised in a loader process would arrive as the text of a traceback.
            return error
        with drawn_from(seed, view, position) if self.random else nullcontext():
            # The memory layout of timm's normalised images, on which rounding in convolutions depends.
            pixels = self.transform(image).contiguous()
            canvas = Canvas(pixels.shape)
            if self.erasing is not None:
                self.erasing(canvas)
        return position, pixels, canvas.rectangles


def _outlive_a_request_to_stop(worker: int) -> None:
    """Survive SIGTERM for a while: a scheduler sends it to all processes of a job, and the trainer needs its loaders to
    finish the step or validation. Not forever: at exit Python waits for them.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: signal.alarm(SECONDS_AFTER_STOP))


def _collate(items: list[tuple[int, Tensor, list[Rectangle]] | StudyError]) -> Loaded | StudyError:
    for item in items:
        if isinstance(item, StudyError):
            return item
    positions, images, rectangles = zip(*items, strict=True)
    batch, (places, values) = torch.stack(images), gathered(rectangles)
    loaded = Loaded(np.array(positions), batch, places, values)
    # Tensors use shared memory, arrays do not.
    fits = _fits(batch.nbytes + values.nbytes)
    return loaded if fits else loaded._replace(images=batch.numpy(), values=values.numpy())


def _fits(size: int) -> bool:
    """Return whether `size` bytes fit into shared memory, if all loader processes ask at the same time."""
    if (worker := get_worker_info()) is None or (free := shared_bytes()) is None:
        return True
    return free > size * (1 + worker.num_workers) * _processes()


def shared_bytes() -> int | None:
    """Return the free bytes of shared memory; None if it is not a file system and so has no limit."""
    if sys.platform != "linux":
        return None
    try:
        there = os.statvfs(SHARED)
    except OSError:
        return 0
    return there.f_bavail * there.f_frsize


def tensor_of(loaded: Tensor | np.ndarray) -> Tensor:
    """Return a tensor of a loader's batch; report once if it did not come through shared memory."""
    if isinstance(loaded, np.ndarray):
        say_once(f"{SHARED} is too small for batches of images: they go through pipes, which is slower; {REMEDY}")
        return torch.from_numpy(loaded)
    return loaded
