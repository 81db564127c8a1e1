"""The images of a study: split once, decoded once, then read as batches.

The stage writes `splits.parquet` (which image belongs to which split) and, for Parquet sources, the decoded images of
each file as one uint8 array [image, row, column, channel] that every job maps. Training and evaluation read batches
through `Split`. A view of an image is a function of (seed, image, view number) alone, whatever process draws it.
"""

import io
import random
import signal
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps
from timm.data import create_transform
from timm.data.readers import create_reader
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from . import distributed
from .errors import StudyError
from .files import Column, read_npy, read_table, write_npy, write_table
from .spec import Augmentation, Data, from_json
from .stage import run_stage

SPLIT_COLUMNS = {
    "split": Column("", "train, validation or test"),
    "file": Column("", "the source that holds the image: train or test"),
    "index": Column("", "0-based position in that source"),
    "label": Column("", "class, 0-based"),
}
# Which images are held out must not change with a study's seeds.
SPLIT_SEED = 0
SECONDS_AFTER_STOP = 120


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
    """One split of a study's images (or the `positions` of it), read as evaluation or training batches."""

    def __init__(self, folder: str | Path, data: Data, name: str, count: int | None = None):
        table = read_table(Path(folder) / "splits.parquet")
        table = table[table["split"] == name]
        if count is not None:
            table = table.iloc[balanced(table["label"].to_numpy(), count)]
        self._take(folder, data, table)

    @classmethod
    def first(cls, folder: str | Path, data: Data, file: str, count: int) -> "Split":
        """Return the first `count` images of a source (train or test) in file order, whatever their split."""
        table = read_table(Path(folder) / "splits.parquet")
        split = cls.__new__(cls)
        split._take(folder, data, table[table["file"] == file].sort_values("index").head(count))
        return split

    def _take(self, folder: str | Path, data: Data, table) -> None:
        self.data = data
        self.file = table["file"].iloc[0]
        self.index = table["index"].to_numpy(copy=True)
        self.labels = table["label"].to_numpy(copy=True)
        self.array_path = Path(folder) / f"{self.file}.npy" if data.source == "parquet" else None

    def __len__(self) -> int:
        return len(self.index)

    @cached_property
    def array(self) -> np.ndarray:
        """The decoded images of the source file, mapped read-only."""
        return read_npy(self.array_path)

    @cached_property
    def reader(self):
        """The timm reader of the source folder."""
        return open_folder(getattr(self.data, self.file), self.file)

    def image(self, position: int) -> Image.Image:
        """Return one image; raise StudyError naming the file when it cannot be decoded."""
        index = int(self.index[position])
        if self.array_path is not None:
            return Image.fromarray(self.array[index].squeeze())
        try:
            with self.reader[index][0] as file:
                return Image.open(file).convert("L" if self.data.channels == 1 else "RGB")
        except Exception as error:
            raise StudyError(
                f"{self.reader.filename(index, absolute=True)}: cannot be decoded as an image ({error}); replace it"
            ) from error

    def evaluation(self, batch_size: int, workers: int = 0) -> Iterator[Batch]:
        """Yield all images in order, as they are evaluated (resized, cropped, normalised).

        Of several processes each sees its share.
        """
        yield from self.view(0, None, batch_size, workers, distributed.share(np.arange(len(self))))

    def training(
        self,
        batch_size: int,
        augmentation: Augmentation | None,
        seed: int,
        epoch: int,
        workers: int = 0,
        first: int = 0,
    ) -> Iterator[Batch]:
        """Yield the shuffled batches of one epoch (0-based) from batch `first`; an incomplete last one is left out.

        Of several processes each sees its share of every batch.

        The order is a function of (seed, epoch), the view of (seed, image, epoch) or, with a fixed number of views, of
        (image, epoch modulo views), so that the teacher's outputs on it can be shared by all seeds.
        """
        order = np.random.default_rng([seed, epoch]).permutation(len(self))
        steps = len(order) // batch_size
        view, seed = view_of(augmentation, seed, epoch)
        parts = [distributed.share(part) for part in np.split(order[: steps * batch_size], steps)[first:]]
        yield from self._batches(parts, augmentation, seed, view, workers)

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
        parts = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
        yield from self._batches(parts, augmentation, 0, number, workers)

    def _batches(self, parts, augmentation, seed: int, view: int, workers: int) -> Iterator[Batch]:
        if self.array_path is not None and augmentation is None:
            for positions in parts:
                yield Batch(positions, self._from_array(positions), torch.from_numpy(self.labels[positions]))
            return
        views = _Views(self, augmentation, seed, view)
        loader = DataLoader(
            views,
            batch_sampler=[part.tolist() for part in parts],
            num_workers=workers,
            collate_fn=_collate,
            worker_init_fn=_outlive_a_request_to_stop,
            # Without one of its own the loader would draw from the training process's stream.
            generator=torch.Generator(),
        )
        for positions, images in loader:
            if isinstance(images, StudyError):
                raise images
            yield Batch(positions, images, torch.from_numpy(self.labels[positions]))

    def _from_array(self, positions: np.ndarray) -> Tensor:
        pixels = torch.from_numpy(self.array[self.index[positions]]).permute(0, 3, 1, 2)
        mean = torch.tensor(self.data.mean).view(1, -1, 1, 1)
        std = torch.tensor(self.data.std).view(1, -1, 1, 1)
        return (pixels.float() / 255 - mean) / std


def view_of(augmentation: Augmentation | None, seed: int, epoch: int) -> tuple[int, int]:
    """Return the view number that epoch (0-based) shows, and the seed that draws it."""
    if augmentation is None:
        return 0, 0
    return (epoch, seed) if augmentation.views is None else (epoch % augmentation.views, 0)


class _Views(Dataset):
    """Images of a split through timm's transform, each drawn from its own random stream."""

    def __init__(self, split: Split, augmentation: Augmentation | None, seed: int, view: int):
        self.split, self.key = split, (seed, view)
        self.transform = make_transform(split.data, augmentation)
        self.random = augmentation is not None

    def __getitem__(self, position: int) -> tuple[int, Tensor | StudyError]:
        try:
            image = self.split.image(position)
        except StudyError as error:
            # Raised in a loader process it would arrive as the text of a traceback.
            return position, error
        if not self.random:
            return position, self.transform(image)
        with _random_stream(*self.key, position):
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


def make_transform(data: Data, augmentation: Augmentation | None):
    """Return timm's transform from a PIL image to a normalised float32 tensor [C, H, W]."""
    size = (data.channels, data.image_size, data.image_size)
    common = {"interpolation": data.interpolation, "mean": data.mean, "std": data.std}
    if augmentation is None:
        return create_transform(size, is_training=False, crop_pct=data.crop_fraction, **common)
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


def open_folder(root: str, key: str):
    """Open a folder (one subfolder a class) or .tar of images with timm's reader.

    Raises StudyError naming the configuration's key when it is missing or holds no images.
    """
    if not Path(root).exists():
        raise StudyError(f"data.{key}: the folder {root} does not exist; give a folder with one subfolder a class")
    try:
        return create_reader("", root=root)
    except (RuntimeError, AssertionError, OSError) as error:
        raise StudyError(f"data.{key}: {root} cannot be read as a folder of images ({error})") from error


def decode_parquet(path: str, data: Data) -> tuple[np.ndarray, np.ndarray]:
    """Decode a Parquet file in Hugging Face image layout: uint8 [N, H, W, C] and labels [N].

    An image of another size than the study's is resized to it (bicubic, centre crop). Raises StudyError when the file
    or an image in it is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    size = data.image_size
    try:
        file = pq.ParquetFile(path)
        images = np.empty((file.metadata.num_rows, size, size, data.channels), dtype=np.uint8)
        labels = np.empty(len(images), dtype=np.int64)
        position = 0
        for batch in file.iter_batches(batch_size=1024, columns=["image", "label"]):
            for image, label in zip(batch["image"].field("bytes"), batch["label"], strict=True):
                try:
                    picture = Image.open(io.BytesIO(image.as_py())).convert("L" if data.channels == 1 else "RGB")
                except Exception as error:
                    raise StudyError(f"{path}: image {position} cannot be decoded ({error}); replace it") from error
                if picture.size != (size, size):
                    picture = ImageOps.fit(picture, (size, size), Image.Resampling.BICUBIC)
                images[position] = np.asarray(picture).reshape(size, size, data.channels)
                labels[position] = label.as_py()
                position += 1
    except (pa.ArrowInvalid, pa.ArrowKeyError, KeyError, OSError) as error:
        raise StudyError(f"{path}: not a readable Parquet file of images and labels ({error})") from error
    return images, labels


def make_splits(labels: dict[str, np.ndarray], data: Data) -> dict[str, np.ndarray]:
    """Return the columns of `splits.parquet` for the labels of the train and test sources.

    Raises StudyError when a label is out of range or a class has too few images to hold some out.
    """
    for key, values in labels.items():
        if len(values) == 0 or values.min() < 0 or values.max() >= data.classes:
            raise StudyError(f"data.{key}: labels must lie in 0 to {data.classes - 1} (data.classes)")
    held, count = data.validation.taken_from, data.validation.per_class
    short = [c for c in range(data.classes) if (labels[held] == c).sum() <= count]
    if short:
        raise StudyError(
            f"data.validation.per_class: {count} images of class {short[0]} cannot be held out: data.{held} has only "
            f"{(labels[held] == short[0]).sum()} of it"
        )
    validation = balanced(labels[held], count * data.classes)
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
    }


def main(arguments) -> None:
    """Decode (Parquet) or list (folder) the two sources and write the splits."""
    data, out = from_json(Data, arguments.data_spec), Path(arguments.out)
    labels, classes = {}, {}
    for key in ("train", "test"):
        if data.source == "parquet":
            images, labels[key] = decode_parquet(getattr(data, key), data)
            write_npy(out / f"{key}.npy", images)
        else:
            reader = open_folder(getattr(data, key), key)
            # timm's tar reader keeps labels apart from its samples, the folder reader beside them.
            targets = getattr(reader, "targets", None)
            labels[key] = np.array([s[1] for s in reader.samples] if targets is None else targets, dtype=np.int64)
            classes[key] = getattr(reader, "class_to_idx", None)
    if len(classes) == 2 and classes["train"] != classes["test"]:
        raise StudyError(f"data: {data.train} and {data.test} do not have the same classes (subfolders)")
    write_table(out / "splits.parquet", make_splits(labels, data), SPLIT_COLUMNS)


if __name__ == "__main__":
    run_stage(main, "data-spec", "out")
