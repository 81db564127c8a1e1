"""Stage `data`: split the images of a study, once.

It writes `splits.parquet`: which image, by its name, belongs to which split. What a reader (`sources/`) hands out it
copies, encoded, into one file a source, in which each image is found by its place, as in a .tar; where they are few
enough it decodes them, too, as an evaluation sees them, into one uint8 array [image, row, column, channel] that every
job maps.
"""

import io
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path

import numpy as np

from ..data.groups import groups_of, held_out, not_of
from ..data.pictures import decode, why
from ..data.source import Source, check_labels, options_of, some
from ..data.views import evaluation_pixels
from ..errors import StudyError
from ..files import Column, npy_writer, replacing, write_table
from ..spec.data import Arrays, DataJob
from ..spec.images import WHITE

SPLIT_COLUMNS = {
    "split": Column("", "train, validation or test"),
    "file": Column("", "the source that holds the image: train or test"),
    "index": Column("", "0-based position in that source"),
    "label": Column("", "class, 0-based; -1 where images have none"),
    "group": Column("", "number of its group: images of one photograph; other images are alone in theirs"),
    "name": Column("", "file of the image in its folder or .tar; Parquet file and row of the image"),
    "offset": Column("bytes", "place of the image in its .tar or packed file; -1 in a folder"),
    "bytes": Column("bytes", "its size there; -1 in a folder"),
}


def main(job: DataJob, gpus: int = 0) -> None:
    """List the images of the sources, copy them where the reader hands them out, and write the splits."""
    reader = import_module(f"..data.sources.{job.source}", __package__)
    told = options_of(reader, job)
    sources = {key: reader.Source(files, job.classes, f"{job.key}.{key}", **told) for key, files in job.sources.items()}
    check_classes(sources, job)
    groups = groups_of({key: source.names for key, source in sources.items()}, job.groups, job.key)
    splits = splits_of(sources, groups, job)
    places = {
        key: pack(source, Path(job.out) / key, job.arrays, f"{job.key}.{key}") if job.packed else source.places
        for key, source in sources.items()
    }
    write_table(Path(job.out) / "splits.parquet", columns_of(splits, sources, places, groups), SPLIT_COLUMNS)


def check_classes(sources: dict[str, Source], job: DataJob) -> None:
    """Number named classes alike in all sources.

    Raises StudyError where labels are none of the classes, or a source has images of others than that which is trained
    on.
    """
    named = {key: source for key, source in sources.items() if source.classes is not None}
    if job.classes is None:
        return
    for key, source in sources.items():
        if source.labels is not None and key not in named:
            check_labels(source.labels, job.classes, f"{job.key}.{key}")
    if not named:
        return
    # The images that are trained on are of all classes; of some there may be none to test.
    whole = named.get("train", named.get("test"))
    assert whole is not None and whole.classes is not None
    if len(whole.classes) != job.classes:
        raise StudyError(whole.not_of(job.classes))
    for source in named.values():
        own = source.classes
        assert own is not None and source.labels is not None
        if lacking := own.keys() - whole.classes.keys():
            raise StudyError(
                f"{job.key}.train: {job.train[0]} has no images of {some(lacking)}, but {job.key}.test has; the two "
                "must have the same classes"
            )
        # One number a class, whatever source has images of it.
        source.labels = np.array([whole.classes[name] for name in own])[source.labels]
        source.classes = whole.classes


def splits_of(
    sources: dict[str, Source], groups: dict[str, np.ndarray], job: DataJob
) -> list[tuple[str, str, np.ndarray]]:
    """Return (split, source, positions in it) of each split: one a source, and what is held out of one of them.

    Images of whose group (`groups` [N] by source) some are held out are in no other split. Raises StudyError when a
    class has no image to train on, or too few to hold some out.
    """
    splits = [(key, key, np.arange(len(source.names))) for key, source in sources.items()]
    if job.classes is None and job.validation is not None:
        raise StudyError("data.validation: images are held out by class; give data.classes, or hold none out")
    if job.classes is None:
        return splits
    labels = {key: source.labels for key, source in sources.items() if source.labels is not None}
    counts = {key: np.bincount(own, minlength=job.classes) for key, own in labels.items()}
    if "train" in counts and 0 in counts["train"]:
        name = _class(sources["train"], int(counts["train"].argmin()))
        raise StudyError(f"data.classes: {job.classes} is given, but data.train has no image of {name}")
    if job.validation is None:
        return splits
    held, count = job.validation.taken_from, job.validation.per_class
    if held not in sources:
        raise StudyError(f"data.validation.taken_from: there is no data.{held}; give it, or hold none out")
    scarce = int(counts[held].argmin())
    if counts[held][scarce] <= count:
        raise StudyError(
            f"data.validation.per_class: {count} images of {_class(sources[held], scarce)} cannot be held out: "
            f"data.{held} has only {counts[held][scarce]} of it"
        )
    validation = held_out(labels[held], groups[held], count)
    rest = not_of(validation, groups[held])
    left = np.bincount(labels[held][rest], minlength=job.classes)
    if not left.all():
        raise StudyError(
            f"data.validation.per_class: where {count} images of {_class(sources[held], int(left.argmin()))} are held "
            f"out with all of their groups (data.groups), data.{held} has no other of it; hold out fewer, or none"
        )
    splits = [(key, key, rest if key == held else rows) for key, _, rows in splits]
    return [*splits[:-1], ("validation", held, validation), splits[-1]]


def _class(source: Source, number: int) -> str:
    """Name a class as the user knows it."""
    return f"class {next((name for name, value in (source.classes or {}).items() if value == number), number)}"


def columns_of(
    splits: list[tuple[str, str, np.ndarray]],
    sources: dict[str, Source],
    places: dict[str, np.ndarray],
    groups: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Return the columns of `splits.parquet`; `places` [N, 2] of a source's images: offset and bytes."""
    parts: dict[str, list[np.ndarray]] = {name: [] for name in SPLIT_COLUMNS}
    for split, file, index in splits:
        source = sources[file]
        labels = np.full(len(source.names), -1) if source.labels is None else source.labels
        own = np.full(len(index), split), np.full(len(index), file), index
        chosen = labels[index], groups[file][index], source.names[index], *places[file][index].T
        for name, values in zip(parts, (*own, *chosen), strict=True):
            parts[name].append(values)
    return {name: np.concatenate(values) for name, values in parts.items()}


def pack(source: Source, path: Path, arrays: Arrays | None, key: str) -> np.ndarray:
    """Copy the encoded images of a source into `path`.bin, one after the other; return their places [N, 2] there.

    With `arrays` they are decoded into `path`.npy, too. Raises StudyError, naming the configuration's `key` and the
    image, where one is none.
    """
    sizes = []
    with ExitStack() as stack:
        packed = stack.enter_context(open(stack.enter_context(replacing(path.with_suffix(".bin"))), "wb"))
        if arrays is not None:
            side = arrays.image_size
            shape = (len(source.names), side, side, arrays.channels)
            append = stack.enter_context(npy_writer(path.with_suffix(".npy"), shape, np.uint8))
            pixels = evaluation_pixels(arrays)
        for name, encoded in zip(source.names, source.encoded(), strict=True):
            try:
                # Where no array is made of it, to see that it can be.
                channels, background = (3, WHITE) if arrays is None else (arrays.channels, arrays.background)
                picture = decode(io.BytesIO(encoded), channels, background)
            except Exception as error:
                raise StudyError(f"{key}: {name}: cannot be decoded as an image ({why(error)}); replace it") from error
            if arrays is not None:
                append(pixels(picture))
            packed.write(encoded)
            sizes.append(len(encoded))
    return np.stack([np.cumsum([0, *sizes[:-1]]), sizes], axis=1)
