"""One split of a study's images, read in batches for training and evaluation."""

import atexit
import os
import weakref
from collections.abc import Generator, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from .. import distributed
from ..errors import StudyError, nearest
from ..files import read_npy, read_table
from ..spec.images import Images
from ..spec.training import Augmentation
from .balanced import balanced
from .loading import loader_of, tensor_of
from .pictures import decode, why
from .reading import opened
from .transfer import Erased, normalised, sent
from .views import view_of

CPU = torch.device("cpu")


class Batch(NamedTuple):
    """A batch: positions in the split [B], images [B, C, H, W] normalised float32 on a device, labels [B]."""

    positions: np.ndarray
    images: Tensor
    labels: Tensor


class Split:
    """One split of a study's images (or `count` of them, evenly spread), read in evaluation or training batches.

    `in_order`: instead, the first `count` images (None: all; fewer if there are fewer) of a source, train or test, in
    file order, whatever their split. `names` (UTF-8), `labels` (-1: none) and `groups` of its images are in order.
    Pickled for a loader process, it leaves out the images. Raises StudyError if there is no such split or source.
    """

    def __init__(self, images: Images, name: str, count: int | None = None, in_order: bool = False):
        table = _rows(images, "file" if in_order else "split", name)
        if in_order:
            table = table.sort_values("index").iloc[:count]
        elif count is not None:
            table = table.iloc[balanced(table["label"].to_numpy(), count)]
        self.images, self.seen = images, images.view
        self.file = table["file"].iloc[0]
        self.index = table["index"].to_numpy(copy=True)
        self.labels = table["label"].to_numpy(copy=True)
        self.groups = table["group"].to_numpy(copy=True)
        # Fixed-width bytes: a million Python strings would be pickled individually for each loader process.
        self.names = table["name"].str.encode("utf-8").to_numpy().astype(np.bytes_)
        self.offsets = table[["offset", "bytes"]].to_numpy(copy=True)
        self.root = getattr(images, self.file)
        self._evaluation: tuple[tuple[int, int, torch.device], DataLoader] | None = None

    def __len__(self) -> int:
        return len(self.index)

    def __getstate__(self) -> dict:
        return {name: value for name, value in vars(self).items() if name != "array"} | {"_evaluation": None}

    @cached_property
    def array(self) -> np.ndarray:
        """Decoded images of the source, memory-mapped read-only."""
        return read_npy(Path(self.images.folder) / f"{self.file}.npy")

    def name(self, position: int) -> str:
        """Return an image's file; for an image in a larger file, that file and its name there."""
        name, (offset, _) = self.names[position].decode("utf-8"), self.offsets[position]
        return os.path.join(self.root, name) if offset < 0 else f"{self.root}: {name}"

    def image(self, position: int) -> Image.Image:
        """Return one image; raise StudyError naming the file if it cannot be decoded."""
        offset, size = map(int, self.offsets[position])
        try:
            with opened(self.root, self.names[position].decode(), offset, size) as file:
                return decode(file, self.seen.channels, self.images.background)
        except Exception as error:
            raise StudyError(
                f"{self.name(position)}: cannot be decoded as an image ({why(error)}); replace it"
            ) from error

    def evaluation(self, batch_size: int, workers: int = 0, device: torch.device = CPU) -> Iterator[Batch]:
        """Yield all images in order as in evaluation (resized, cropped, normalised).

        With several processes each gets its share. Loader processes are started once and kept for the next call.
        """
        positions = distributed.share(np.arange(len(self)))
        if self.images.in_memory or workers == 0:
            yield from self.view(0, None, batch_size, workers, positions, device)
            return
        asked = batch_size, workers, device
        if self._evaluation is None or self._evaluation[0] != asked:
            parts = [positions[i : i + batch_size] for i in range(0, len(positions), batch_size)]
            keys = [(0, 0, part) for part in parts]
            loader = loader_of(self, None, keys, workers, batch_size, device, persistent_workers=True)
            self._evaluation = asked, loader
            _with_loaders.add(self)
        yield from self._loaded(self._evaluation[1], device)

    def training(
        self,
        batch_size: int,
        augmentation: Augmentation | None,
        seed: int,
        epochs: Iterable[int],
        workers: int = 0,
        first: int = 0,
        device: torch.device = CPU,
    ) -> Generator[Batch, None, None]:
        """Yield the shuffled batches of all `epochs` (0-based), the first epoch from batch `first`.

        An incomplete last batch of an epoch is dropped. With several processes each gets its share of every batch. One
        set of loader processes serves all epochs and reads ahead across them.

        The order is a function of (seed, epoch), the view of (seed, image, epoch) or, with a fixed number of views, of
        (image, epoch modulo views), so that all seeds can share the teacher's outputs.

        With `augmentation.repeats` the order is that of timm's `RepeatAugSampler`: each image several times in a row in
        different views, and an epoch ends after as many images as without. Batches are cut from it and distributed over
        processes in turn, so that the views of an image are in one batch and in different processes.
        """
        parts = self._parts(batch_size, augmentation, seed, epochs, first)
        yield from self._batches(augmentation, parts, workers, batch_size, device)

    def _parts(self, batch_size, augmentation, seed: int, epochs: Iterable[int], first: int) -> Iterator[tuple]:
        """Yield (seed, view, positions) of each batch; the view is one number or, with repeats, one per position."""
        steps, repeats = len(self) // batch_size, 1 if augmentation is None else augmentation.repeats
        for number, epoch in enumerate(epochs):
            order = np.random.default_rng([seed, epoch]).permutation(len(self))
            view, drawn_by = view_of(augmentation, seed, epoch)
            places = np.arange(steps * batch_size).reshape(steps, batch_size)
            for part in places[0 if number else first :]:
                views = view if repeats == 1 else distributed.share(view * repeats + part % repeats)
                yield drawn_by, views, distributed.share(order[part // repeats])

    def view(
        self,
        number: int,
        augmentation: Augmentation | None,
        batch_size: int,
        workers: int = 0,
        positions: np.ndarray | None = None,
        device: torch.device = CPU,
    ) -> Iterator[Batch]:
        """Yield all images (or those at `positions`) in order in view `number` of a fixed number of views."""
        order = np.arange(len(self)) if positions is None else positions
        parts = [(0, number, order[i : i + batch_size]) for i in range(0, len(order), batch_size)]
        yield from self._batches(augmentation, parts, workers, batch_size, device)

    def _batches(
        self, augmentation, parts: Iterable[tuple], workers: int, batch_size: int, device: torch.device
    ) -> Iterator[Batch]:
        if self.images.in_memory and augmentation is None:
            for _, _, positions in parts:
                pixels = torch.from_numpy(self.array[self.index[positions]]).permute(0, 3, 1, 2)
                yield self._batch(positions, normalised(sent(pixels, device), self.seen))
            return
        share = -(-batch_size // distributed.world())
        yield from self._loaded(loader_of(self, augmentation, parts, workers, share, device), device)

    def _loaded(self, loader: DataLoader, device: torch.device) -> Iterator[Batch]:
        for loaded in loader:
            if isinstance(loaded, StudyError):
                raise loaded
            positions, images, places, values = loaded
            erased = Erased(places, sent(tensor_of(values), device))
            yield self._batch(positions, normalised(sent(tensor_of(images), device), self.seen, erased))

    def _batch(self, positions: np.ndarray, images: Tensor) -> Batch:
        return Batch(positions, images, torch.from_numpy(self.labels[positions]))


def _rows(images: Images, column: str, name: str):
    """Return the rows of a split or source."""
    path = Path(images.folder) / "splits.parquet"
    table = read_table(path)
    if name not in (known := list(table[column].unique())):
        raise StudyError(f"{path}: there are no images of {column} {name!r}; {nearest(name, known)}")
    return table[table[column] == name]


# Splits with loader processes, which survive a stop request: at exit Python would wait for them.
_with_loaders: weakref.WeakSet[Split] = weakref.WeakSet()


@atexit.register
def _end_loaders() -> None:
    for split in list(_with_loaders):
        split._evaluation = None
