"""The images of a study: split once, then read as batches.

The stage writes `splits.parquet` (which image, by its name, belongs to which split). The encoded images of Parquet
files it copies into one file a source, in which each is found by its place, as in a .tar; where they are few enough it
decodes them, too, as an evaluation sees them, into one uint8 array [image, row, column, channel] that every job maps.
Training and evaluation read batches through `Split`. A view of an image is a function of (seed, image, view number)
alone, whatever process draws it.
"""

import atexit
import copy
import io
import os
import random
import signal
import tarfile
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from timm.data import create_transform
from timm.data.readers import create_reader
from timm.data.readers.img_extensions import get_img_extensions
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from . import distributed, shards
from .errors import StudyError
from .files import Column, npy_writer, read_npy, read_table, replacing, write_table
from .spec.data import Arrays, DataJob
from .spec.images import Images, View
from .spec.training import Augmentation

SPLIT_COLUMNS = {
    "split": Column("", "train, validation or test"),
    "file": Column("", "the source that holds the image: train or test"),
    "index": Column("", "0-based position in that source"),
    "label": Column("", "class, 0-based"),
    "name": Column("", "file of the image in its folder or .tar; Parquet file and row of the image"),
    "offset": Column("bytes", "place of the image in its .tar or packed file; -1 in a folder"),
    "bytes": Column("bytes", "its size there; -1 in a folder"),
}
# Which images are held out must not change with a study's seeds.
SPLIT_SEED = 0
SECONDS_AFTER_STOP = 120
# In a WebDataset the files of a sample follow each other: of so many members of a .tar one must be its class.
MEMBERS_OF_A_SAMPLE = 100


class Batch(NamedTuple):
    """A batch: positions in the split [B], images [B, C, H, W] normalised float32, labels [B]."""

    positions: np.ndarray
    images: Tensor
    labels: Tensor


def balanced(labels: np.ndarray, count: int, seed: int = SPLIT_SEED) -> np.ndarray:
    """Return `count` positions, ascending, as evenly spread over the classes of `labels` as possible; fixed by `seed`.

    Raises StudyError when there are fewer than `count`.
    """
    if count > len(labels):
        raise StudyError(f"{count} images are asked for, but there are only {len(labels)}")
    generator = np.random.default_rng(seed)
    shuffled = generator.permutation(len(labels))
    classes = labels[shuffled]
    # Rank of each image within its class: taking the smallest ranks first takes the classes in turn.
    rank = np.empty(len(labels), dtype=np.int64)
    for value in np.unique(labels):
        members = np.flatnonzero(classes == value)
        rank[members] = np.arange(len(members))
    return np.sort(shuffled[np.argsort(rank, kind="stable")[:count]])


class Split:
    """One split of a study's images (or `count` of them), read as evaluation or training batches.

    `names` and `labels` are those of its images, in order. A loader process that is given one gets no images.
    """

    def __init__(self, images: Images, name: str, count: int | None = None):
        self._take(images, lambda table: _chosen(table, name, count))

    @classmethod
    def first(cls, images: Images, file: str, count: int) -> "Split":
        """Return the first `count` images of a source (train or test) in file order, whatever their split."""
        split = cls.__new__(cls)
        split._take(images, lambda table: table[table["file"] == file].sort_values("index").head(count))
        return split

    def _take(self, images: Images, choose: Callable) -> None:
        table = choose(read_table(Path(images.folder) / "splits.parquet"))
        self.source, self.seen = images, images.view
        self.file = table["file"].iloc[0]
        self.index = table["index"].to_numpy(copy=True)
        self.labels = table["label"].to_numpy(copy=True)
        # As bytes of one width: a million Python strings would be pickled one by one for each loader process.
        self.names = table["name"].str.encode("utf-8").to_numpy().astype(np.bytes_)
        self.offsets = table[["offset", "bytes"]].to_numpy(copy=True)
        self.root = getattr(images, self.file)
        self._evaluation: tuple[tuple[int, int], DataLoader] | None = None

    def __len__(self) -> int:
        return len(self.index)

    def __getstate__(self) -> dict:
        return {name: value for name, value in vars(self).items() if name != "array"} | {"_evaluation": None}

    @cached_property
    def array(self) -> np.ndarray:
        """The decoded images of the source, mapped read-only."""
        return read_npy(Path(self.source.folder) / f"{self.file}.npy")

    def name(self, position: int) -> str:
        """Return the file of an image; of one in a larger file, that file and its name there."""
        name, (offset, _) = self.names[position].decode("utf-8"), self.offsets[position]
        return os.path.join(self.root, name) if offset < 0 else f"{self.root}: {name}"

    def image(self, position: int) -> Image.Image:
        """Return one image; raise StudyError naming the file when it cannot be decoded."""
        offset, size = map(int, self.offsets[position])
        try:
            if offset < 0:
                with open(self.name(position), "rb") as file:
                    return _decode(file, self.seen.channels)
            with open(self.root, "rb") as file:
                file.seek(offset)
                return _decode(io.BytesIO(file.read(size)), self.seen.channels)
        except Exception as error:
            raise StudyError(f"{self.name(position)}: cannot be decoded as an image ({error}); replace it") from error

    def evaluation(self, batch_size: int, workers: int = 0) -> Iterator[Batch]:
        """Yield all images in order, as they are evaluated (resized, cropped, normalised).

        Of several processes each sees its share. Loader processes are started once and kept for the next call.
        """
        positions = distributed.share(np.arange(len(self)))
        if self.source.in_memory or workers == 0:
            yield from self.view(0, None, batch_size, workers, positions)
            return
        asked = batch_size, workers
        if self._evaluation is None or self._evaluation[0] != asked:
            parts = [positions[i : i + batch_size] for i in range(0, len(positions), batch_size)]
            loader = self._loader(None, [(0, 0, part) for part in parts], workers, persistent_workers=True)
            self._evaluation = asked, loader
            _with_loaders.add(self)
        yield from self._loaded(self._evaluation[1])

    def training(
        self,
        batch_size: int,
        augmentation: Augmentation | None,
        seed: int,
        epochs: Iterable[int],
        workers: int = 0,
        first: int = 0,
    ) -> Iterator[Batch]:
        """Yield the shuffled batches of all `epochs` (0-based), the first of them from batch `first`.

        An incomplete last batch of an epoch is left out. Of several processes each sees its share of every batch. One
        set of loader processes serves all epochs, and reads ahead over their ends.

        The order is a function of (seed, epoch), the view of (seed, image, epoch) or, with a fixed number of views, of
        (image, epoch modulo views), so that the teacher's outputs on it can be shared by all seeds.
        """
        yield from self._batches(augmentation, self._parts(batch_size, augmentation, seed, epochs, first), workers)

    def _parts(self, batch_size, augmentation, seed: int, epochs: Iterable[int], first: int) -> Iterator[tuple]:
        """Yield (seed, view, positions) of each batch."""
        steps = len(self) // batch_size
        for number, epoch in enumerate(epochs):
            order = np.random.default_rng([seed, epoch]).permutation(len(self))
            view, drawn_by = view_of(augmentation, seed, epoch)
            for part in np.split(order[: steps * batch_size], steps)[0 if number else first :]:
                yield drawn_by, view, distributed.share(part)

    def view(
        self,
        number: int,
        augmentation: Augmentation | None,
        batch_size: int,
        workers: int = 0,
        positions: np.ndarray | None = None,
    ) -> Iterator[Batch]:
        """Yield all images (or those at `positions`) in order in view `number` of a fixed number of views."""
        order = np.arange(len(self)) if positions is None else positions
        parts = [(0, number, order[i : i + batch_size]) for i in range(0, len(order), batch_size)]
        yield from self._batches(augmentation, parts, workers)

    def _batches(self, augmentation, parts: Iterable[tuple], workers: int) -> Iterator[Batch]:
        if self.source.in_memory and augmentation is None:
            for _, _, positions in parts:
                yield Batch(positions, self._from_array(positions), torch.from_numpy(self.labels[positions]))
            return
        yield from self._loaded(self._loader(augmentation, parts, workers))

    def _loader(self, augmentation, parts: Iterable[tuple], workers: int, **options) -> DataLoader:
        return DataLoader(
            _Views(self, augmentation),
            batch_sampler=_Keys(parts),
            num_workers=workers,
            collate_fn=_collate,
            worker_init_fn=_outlive_a_request_to_stop,
            # Without one of its own the loader would draw from the training process's stream.
            generator=torch.Generator(),
            **options,
        )

    def _loaded(self, loader: DataLoader) -> Iterator[Batch]:
        for positions, images in loader:
            if isinstance(images, StudyError):
                raise images
            yield Batch(positions, images, torch.from_numpy(self.labels[positions]))

    def _from_array(self, positions: np.ndarray) -> Tensor:
        pixels = torch.from_numpy(self.array[self.index[positions]]).permute(0, 3, 1, 2)
        mean = torch.tensor(self.seen.mean).view(1, -1, 1, 1)
        std = torch.tensor(self.seen.std).view(1, -1, 1, 1)
        return (pixels.float() / 255 - mean) / std


def _chosen(table, name: str, count: int | None):
    """The rows of a split, or of a balanced part of it."""
    table = table[table["split"] == name]
    return table if count is None else table.iloc[balanced(table["label"].to_numpy(), count)]


def _open(file) -> Image.Image:
    """Open an encoded image without decoding it; raise ValueError where its pixels cannot be told in 8 bit."""
    picture = Image.open(file)
    if picture.mode == "F" or (picture.mode == "I" and not _has_16_bit(picture)):
        raise ValueError(f"its pixels are 32-bit numbers (mode {picture.mode}), of which none is known to be white")
    return picture


def _has_16_bit(picture: Image.Image) -> bool:
    # Older versions of Pillow open a PNG of 16 bit, and all a PGM, as one of 32.
    return picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format in ("PNG", "PPM"))


def _decode(file, channels: int) -> Image.Image:
    picture = _open(file)
    if _has_16_bit(picture):
        # Pillow would clip grey of 16 bit; of colours, too, it takes the high byte.
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    return picture.convert("L" if channels == 1 else "RGB")


# Splits that keep loader processes, which outlive a request to stop: at exit Python would wait for them.
_with_loaders: weakref.WeakSet[Split] = weakref.WeakSet()


@atexit.register
def _end_loaders() -> None:
    for split in list(_with_loaders):
        split._evaluation = None


def view_of(augmentation: Augmentation | None, seed: int, epoch: int) -> tuple[int, int]:
    """Return the view number that epoch (0-based) shows, and the seed that draws it."""
    if augmentation is None:
        return 0, 0
    return (epoch, seed) if augmentation.views is None else (epoch % augmentation.views, 0)


class _Keys:
    """Batches of (seed, view, position), as a loader asks for them."""

    def __init__(self, parts: Iterable[tuple]):
        self.parts = parts

    def __iter__(self) -> Iterator[list[tuple[int, int, int]]]:
        for seed, view, positions in self.parts:
            yield [(seed, view, int(position)) for position in positions]


class _Views(Dataset):
    """Images of a split through timm's transform, each drawn from its own random stream."""

    def __init__(self, split: Split, augmentation: Augmentation | None):
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
        with _random_stream(seed, view, position):
            return position, self.transform(image)


class _random_stream:
    """Seed Python's, numpy's and torch's global generators from a key; put them back as they were at the end.

    timm's augmentations draw from all three, and the training process's own stream (dropout) must not notice.
    """

    def __init__(self, *key: int):
        self.words = np.random.SeedSequence(key).generate_state(3)

    def __enter__(self) -> None:
        self.states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
        random.seed(int(self.words[0]))
        np.random.seed(int(self.words[1]))  # noqa: NPY002
        torch.manual_seed(int(self.words[2]))

    def __exit__(self, *exception) -> None:
        random.setstate(self.states[0])
        np.random.set_state(self.states[1])  # noqa: NPY002
        torch.set_rng_state(self.states[2])


def _outlive_a_request_to_stop(worker: int) -> None:
    """Go on for a while after SIGTERM, which a scheduler sends to all processes of a job: the trainer still needs its
    loaders to get to the end of the step or of the validation. Not for ever: at exit Python waits for them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: signal.alarm(SECONDS_AFTER_STOP))


def _collate(items: list[tuple[int, Tensor | StudyError]]) -> tuple[np.ndarray, Tensor | StudyError]:
    positions, images = zip(*items, strict=True)
    errors = [image for image in images if isinstance(image, StudyError)]
    return np.array(positions), errors[0] if errors else torch.stack(images)


def make_transform(seen: View, augmentation: Augmentation | None):
    """Return timm's transform from a PIL image to a normalised float32 tensor [C, H, W]."""
    size = (seen.channels, seen.image_size, seen.image_size)
    common = {"interpolation": seen.interpolation, "mean": seen.mean, "std": seen.std}
    if augmentation is None:
        return create_transform(size, is_training=False, crop_pct=seen.crop_fraction, **common)
    return create_transform(
        size,
        is_training=True,
        scale=augmentation.crop_scale,
        hflip=augmentation.horizontal_flip,
        color_jitter=augmentation.color_jitter,
        auto_augment=augmentation.auto_augment,
        re_prob=augmentation.random_erasing,
        re_mode=augmentation.erasing_mode,
        **common,
    )


def evaluation_pixels(arrays: Arrays) -> Callable[[Image.Image], np.ndarray]:
    """Return a function from a PIL image to its uint8 pixels [H, W, C] as an evaluation sees them: resized, cropped."""
    side = arrays.image_size
    transform = create_transform(
        (arrays.channels, side, side),
        is_training=False,
        crop_pct=arrays.crop_fraction,
        interpolation=arrays.interpolation,
        normalize=False,
    )

    def pixels(picture: Image.Image) -> np.ndarray:
        if arrays.crop_fraction == 1 and picture.size == (side, side):
            return np.asarray(picture).reshape(side, side, -1)  # As timm would leave it, in less time.
        return transform(picture).permute(1, 2, 0).numpy()

    return pixels


class Listed(NamedTuple):
    """The images of a source in order: labels [N], names, (offset, bytes) in a file of many ((-1, -1) elsewhere).

    `classes` are the numbers of the classes by name, where they have names.
    """

    labels: np.ndarray
    names: np.ndarray
    offsets: np.ndarray
    classes: dict[str, int] | None = None


def pack(files: tuple[str, ...], path: Path, arrays: Arrays | None) -> Listed:
    """Copy the encoded images of Parquet files into `path`.bin, one after the other, and list them.

    With `arrays` they are decoded into `path`.npy, too. No more than some rows are in memory at a time. Raises
    StudyError when a file or an image in it is damaged.
    """
    labels, names, sizes = [], [], []
    with ExitStack() as stack:
        packed = stack.enter_context(open(stack.enter_context(replacing(path.with_suffix(".bin"))), "wb"))
        if arrays is not None:
            side = arrays.image_size
            shape = (shards.count(files), side, side, arrays.channels)
            append = stack.enter_context(npy_writer(path.with_suffix(".npy"), shape, np.uint8))
            pixels = evaluation_pixels(arrays)
        for file, rows in shards.read(files):
            for row, encoded in enumerate(rows.images, rows.first):
                try:
                    # Where nothing is decoded, a look at it tells at least whether it is an image.
                    picture = _decode(io.BytesIO(encoded), arrays.channels) if arrays else _open(io.BytesIO(encoded))
                except Exception as error:
                    raise StudyError(f"{file}: image of row {row} cannot be decoded ({error}); replace it") from error
                if arrays is not None:
                    append(pixels(picture))
                names.append(f"{os.path.basename(file)}, row {row}")
                sizes.append(len(encoded))
            packed.write(b"".join(rows.images))
            labels.append(rows.labels.astype(np.int64))
    offsets = np.cumsum([0, *sizes[:-1]])
    return Listed(np.concatenate(labels), np.array(names), np.stack([offsets, sizes], axis=1))


def open_folder(root: str, key: str):
    """Open a folder (one subfolder a class) or .tar of images with timm's reader.

    Raises StudyError naming the configuration's key when it holds no images, or none in subfolders.
    """
    try:
        if os.path.isfile(root):
            with tarfile.open(root, "r:") as tar:
                if any(member.name.endswith(".cls") for member in islice(tar, MEMBERS_OF_A_SAMPLE)):
                    raise StudyError(
                        f"data.{key}: {root} is a WebDataset, whose labels (.cls) are not read; unpack it into one "
                        "subfolder a class"
                    )
        # No list of a .tar's members beside it: that would be a pickle.
        return create_reader("", root=root, **({"cache_tarinfo": False} if os.path.isfile(root) else {}))
    except (RuntimeError, AssertionError, OSError, ValueError, tarfile.TarError) as error:
        raise StudyError(
            f"data.{key}: {root} cannot be read ({error}); give a folder, or a .tar, with one subfolder a class"
        ) from error


def list_folder(root: str, key: str) -> Listed:
    """List the images of a folder or .tar with timm's reader; see `open_folder` for the errors."""
    reader = open_folder(root, key)
    # timm's tar reader keeps labels apart from its samples, the folder reader beside them.
    targets = getattr(reader, "targets", None)
    if targets is None:
        names = [os.path.relpath(path, root) for path, _ in reader.samples]
        labels, places = [label for _, label in reader.samples], [(-1, -1)] * len(names)
    else:
        # A .tar is not compressed: its images are read from their place, without a list of them in every process.
        labels, names, places = targets, [], []
        for member, _, parent in reader.samples:
            inside = 0 if parent is None else parent.offset_data
            names.append(os.path.join(*([] if parent is None else [os.path.splitext(parent.path)[0]]), member.path))
            places.append((inside + member.offset_data, member.size))
    offsets = np.array(places, dtype=np.int64).reshape(-1, 2)
    classes = reader.class_to_idx if targets is None else reader.class_name_to_idx
    return Listed(np.array(labels, dtype=np.int64), np.array(names), offsets, classes)


def check_classes(listed: dict[str, Listed], job: DataJob) -> None:
    """Raise StudyError where the subfolders of a source are not the classes of the study, or not those of the other."""
    for key, source in listed.items():
        (root,) = getattr(job, key)
        if "" in source.classes:
            raise StudyError(f"data.{key}: images lie in {root} itself; put each into the subfolder of its class")
        if len(source.classes) != job.classes:
            empty = [folder for folder, below, names in os.walk(root) if not below and not any(map(_is_image, names))]
            raise StudyError(
                f"data.classes: {job.classes} is given, but {root} has images in {len(source.classes)} subfolders"
                + (f"; {min(empty)} holds none" if empty else f" ({_some(source.classes)})")
            )
    for key, other in (("train", "test"), ("test", "train")):
        if lacking := listed[other].classes.keys() - listed[key].classes.keys():
            raise StudyError(
                f"data.{key}: {getattr(job, key)[0]} has no images of {_some(lacking)}, but data.{other} has; the two "
                "must have the same classes (subfolders)"
            )


def _is_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in get_img_extensions(as_set=True)


def _some(names: Iterable[str], most: int = 5) -> str:
    names = sorted(names)
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def make_splits(listed: dict[str, Listed], job: DataJob) -> dict[str, np.ndarray]:
    """Return the columns of `splits.parquet` for the images of the train and test sources.

    Raises StudyError when a label is out of range or a class has too few images to hold some out.
    """
    labels = {key: source.labels for key, source in listed.items()}
    for key, values in labels.items():
        shards.check_labels(values, job.classes, f"data.{key}")
    counts = {key: np.bincount(values, minlength=job.classes) for key, values in labels.items()}
    if 0 in counts["train"]:
        name = _class(listed["train"], int(counts["train"].argmin()))
        raise StudyError(f"data.classes: {job.classes} is given, but data.train has no image of {name}")
    held, count = job.validation.taken_from, job.validation.per_class
    scarce = int(counts[held].argmin())
    if counts[held][scarce] <= count:
        raise StudyError(
            f"data.validation.per_class: {count} images of {_class(listed[held], scarce)} cannot be held out: "
            f"data.{held} has only {counts[held][scarce]} of it"
        )
    validation = balanced(labels[held], count * job.classes)
    rows = []
    for key in ("train", "test"):
        rest = np.setdiff1d(np.arange(len(labels[key])), validation if key == held else [])
        rows.append((key, key, rest))
    rows.insert(1, ("validation", held, validation))
    return {
        "split": np.concatenate([np.full(len(index), split) for split, _, index in rows]),
        "file": np.concatenate([np.full(len(index), file) for _, file, index in rows]),
        "index": np.concatenate([index for *_, index in rows]),
        "label": np.concatenate([labels[file][index] for _, file, index in rows]),
        "name": np.concatenate([listed[file].names[index] for _, file, index in rows]),
        "offset": np.concatenate([listed[file].offsets[index, 0] for _, file, index in rows]),
        "bytes": np.concatenate([listed[file].offsets[index, 1] for _, file, index in rows]),
    }


def _class(source: Listed, number: int) -> str:
    """Name a class as the user knows it."""
    return f"class {next((name for name, value in (source.classes or {}).items() if value == number), number)}"


def main(job: DataJob, gpus: int = 0) -> None:
    """Pack (Parquet) or list (folder) the images of the two sources, and write the splits."""
    out, listed = Path(job.out), {}
    for key in ("train", "test"):
        files = getattr(job, key)
        listed[key] = pack(files, out / key, job.arrays) if job.packed else list_folder(files[0], key)
    if not job.packed:
        check_classes(listed, job)
    write_table(out / "splits.parquet", make_splits(listed, job), SPLIT_COLUMNS)
