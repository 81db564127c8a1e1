"""Stage `data`: split the images of a study, once.

It writes `splits.parquet`, which assigns each image, by name, to a split. For readers (`sources/`) with packed images
it copies the encoded images into one file per source, addressed by offset as in a .tar. If there are few enough, it
also decodes them as in evaluation into one uint8 array [image, row, column, channel], which every job maps.
"""

import io
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from ..data.groups import groups_of, held_out, in_both, not_of
from ..data.pictures import Told, read, why
from ..data.reading import Seen, check_broken, in_order, looked_at, opened
from ..data.source import Source, check_labels, options_of, some
from ..errors import StudyError
from ..files import Column, npy_writer, replacing, write_json, write_table
from ..spec.data import PICTURES, DataJob

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
    """List and read the images of the sources, copy packed ones, and write the splits."""
    reader = import_module(f"..data.sources.{job.source}", __package__)
    told = options_of(reader, job)
    sources = {key: reader.Source(files, job.classes, f"{job.key}.{key}", **told) for key, files in job.sources.items()}
    check_classes(sources, job)
    groups = groups_of({key: source.names for key, source in sources.items()}, job.groups, job.key)
    # Errors of the splits are reported before all images are read.
    splits_of(sources, groups, job)
    found = {key: (pack if job.packed else look)(source, key, job) for key, source in sources.items()}
    seen, places = {key: one for key, (one, _) in found.items()}, {key: one for key, (_, one) in found.items()}
    try:
        broken = {key: one.why_broken() for key, one in seen.items()}
        check_broken(broken, {key: len(one.names) for key, one in seen.items()}, job.broken_images, job.key)
    except StudyError:
        for name in job.files:
            Path(job.out, name).unlink(missing_ok=True)
        raise
    splits = splits_of(sources, groups, job, {key: list(one.broken) for key, one in seen.items()})
    shared = [] if job.groups is None else in_both(splits, groups, {key: one.names for key, one in sources.items()})
    # The test images are listed, and reported, by themselves.
    notes = {key: [*one.notes(), *(shared if key == "test" else [])] for key, one in seen.items()}
    said = {key: _said(key, sources[key], one.record(), notes[key], job) for key, one in seen.items()}
    write_json(Path(job.out) / PICTURES, said)
    write_table(Path(job.out) / "splits.parquet", columns_of(splits, sources, places, groups), SPLIT_COLUMNS)


def _said(key: str, source: Source, seen: dict[str, Any], notes: list[str], job: DataJob) -> dict[str, Any]:
    """Return the facts about the images of a source, and print what a user may not expect."""
    left_out = getattr(source, "left_out", None)
    if left_out is not None and left_out.counts:
        notes.append(f"beside the images, and left out: {left_out}")
    notes = [f"{job.key}.{key}: {note}" for note in notes]
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    counts = {} if left_out is None else dict(left_out.counts)
    return seen | {"left_out": counts, "notes": notes}


def check_classes(sources: dict[str, Source], job: DataJob) -> None:
    """Number named classes the same in all sources.

    Raises StudyError if labels are outside the classes, or a source has classes that the training source lacks.
    """
    named = {key: source for key, source in sources.items() if source.classes is not None}
    if job.classes is None:
        return
    for key, source in sources.items():
        if source.labels is not None and key not in named:
            check_labels(source.labels, job.classes, f"{job.key}.{key}")
    if not named:
        return
    # Every class needs training images; some may have no test images.
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
        # One number per class over all sources.
        source.labels = np.array([whole.classes[name] for name in own])[source.labels]
        source.classes = whole.classes


def splits_of(
    sources: dict[str, Source],
    groups: dict[str, np.ndarray],
    job: DataJob,
    broken: Mapping[str, Sequence[int]] | None = None,
) -> list[tuple[str, str, np.ndarray]]:
    """Return (split, source, positions) of each split: one per source, and the held-out images of one of them.

    Positions `broken` are in no split. If some images of a group (`groups` [N] by source) are held out, its other
    images are in no split. Raises StudyError if a class has no training image, or too few to hold some out.
    """
    there = {
        key: np.setdiff1d(np.arange(len(source.names)), np.array((broken or {}).get(key, []), dtype=np.int64))
        for key, source in sources.items()
    }
    splits = [(key, key, rows) for key, rows in there.items()]
    if job.classes is None and job.validation is not None:
        raise StudyError("data.validation: images are held out by class; give data.classes, or hold none out")
    if job.classes is None:
        return splits
    labels = {key: source.labels[there[key]] for key, source in sources.items() if source.labels is not None}
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
    of_held = groups[held][there[held]]
    validation = held_out(labels[held], of_held, count)
    rest = not_of(validation, of_held)
    left = np.bincount(labels[held][rest], minlength=job.classes)
    if not left.all():
        raise StudyError(
            f"data.validation.per_class: where {count} images of {_class(sources[held], int(left.argmin()))} are held "
            f"out with all of their groups (data.groups), data.{held} has no other of it; hold out fewer, or none"
        )
    validation, rest = there[held][validation], there[held][rest]
    splits = [(key, key, rest if key == held else rows) for key, _, rows in splits]
    return [*splits[:-1], ("validation", held, validation), splits[-1]]


def _class(source: Source, number: int) -> str:
    """Return the name of a class as the user knows it."""
    return f"class {next((name for name, value in (source.classes or {}).items() if value == number), number)}"


def columns_of(
    splits: list[tuple[str, str, np.ndarray]],
    sources: dict[str, Source],
    places: dict[str, np.ndarray],
    groups: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Return the columns of `splits.parquet`; `places` [N, 2]: offset and size of each image in bytes."""
    parts: dict[str, list[np.ndarray]] = {name: [] for name in SPLIT_COLUMNS}
    for split, file, index in splits:
        source = sources[file]
        labels = np.full(len(source.names), -1) if source.labels is None else source.labels
        own = np.full(len(index), split), np.full(len(index), file), index
        chosen = labels[index], groups[file][index], source.names[index], *places[file][index].T
        for name, values in zip(parts, (*own, *chosen), strict=True):
            parts[name].append(values)
    return {name: np.concatenate(values) for name, values in parts.items()}


def look(source: Source, key: str, job: DataJob) -> tuple[Seen, np.ndarray]:
    """Read all images of a source in place; return facts about them and their places [N, 2]."""
    seen, (root,) = Seen(source.names), job.sources[key]

    def of_part(part: Sequence[tuple[str, np.ndarray]]) -> list[Told | str]:
        return [_looked_at(root, name, place) for name, place in part]

    for part in in_order(of_part, zip(source.names, source.places, strict=True), job.machine.threads):
        for told in part:
            seen.add(told)
    return seen, source.places


def _looked_at(root: str, name: str, place: np.ndarray) -> Told | str:
    try:
        with opened(root, name, *map(int, place)) as file:
            return looked_at(file)
    except OSError as error:
        return why(error)


def pack(source: Source, key: str, job: DataJob) -> tuple[Seen, np.ndarray]:
    """Copy the encoded images of a source into one file, and decode them if the job says so.

    Returns facts about them and their places [N, 2] in `<key>.bin`. Unreadable images are black in `<key>.npy`.
    """
    seen, sizes, arrays, path = Seen(source.names), [], job.arrays, Path(job.out) / key
    pixels = None
    if arrays is not None:
        # Imports timm and torch, which other sources do not need.
        from ..data.views import evaluation_pixels

        pixels = evaluation_pixels(arrays)

    def decoded(encoded: bytes) -> tuple[bytes, np.ndarray | None, Told | str]:
        if arrays is None or pixels is None:
            return encoded, None, looked_at(io.BytesIO(encoded))
        try:
            picture, told = read(io.BytesIO(encoded), arrays.channels, arrays.background)
            return encoded, pixels(picture), told
        except Exception as error:
            return encoded, np.zeros(shape[1:], np.uint8), why(error)

    with ExitStack() as stack:
        packed = stack.enter_context(open(stack.enter_context(replacing(path.with_suffix(".bin"))), "wb"))
        if arrays is not None:
            shape = len(source.names), arrays.image_size, arrays.image_size, arrays.channels
            append = stack.enter_context(npy_writer(path.with_suffix(".npy"), shape, np.uint8))
        for part in in_order(lambda part: list(map(decoded, part)), source.encoded(), job.machine.threads):
            for encoded, array, told in part:
                seen.add(told)
                packed.write(encoded)
                sizes.append(len(encoded))
                if array is not None:
                    append(array)
        if len(sizes) != len(source.names):
            raise ValueError(f"{len(sizes)} images were handed out of {len(source.names)}")
    return seen, np.stack([np.cumsum([0, *sizes[:-1]]), sizes], axis=1)
