"""Parquet files of images, as Hugging Face ships them: found, checked by their footers, read a few rows at a time.

A source is one file or several (its shards), read in the order given. Column `image` holds encoded images, as structs
{bytes, path} or as bytes; column `label` holds whole numbers from 0. Imports no torch.
"""

import glob
import os
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from .errors import StudyError

ROWS_AT_A_TIME = 64
# Bytes of a column that are read ahead; left alone, pyarrow reads all of a group of rows.
READ_AHEAD = 2**20


class Rows(NamedTuple):
    """Rows of a file: the number of the first of them, encoded images, and labels [N]."""

    first: int
    images: list[bytes]
    labels: np.ndarray


def find(said: str | list[str], key: str) -> tuple[str, ...]:
    """Return the files that a path, a pattern (its files by name) or a list of them means.

    Raises StudyError naming the configuration's `key` where there is none, one twice, or not every shard.
    """
    files: list[str] = []
    for path in [said] if isinstance(said, str) else said:
        path = os.path.normpath(path)
        if os.path.isdir(path):
            raise StudyError(f"{key}: {path} is a folder; name the files in it, such as {path}/train-*.parquet")
        if os.path.isfile(path):
            files.append(path)
            continue
        found = sorted(name for name in glob.glob(path) if os.path.isfile(name))
        if not found:
            missing = f"no file matches {path}" if glob.has_magic(path) else f"the file {path} does not exist"
            raise StudyError(f"{key}: {missing}; give Parquet files of images: a path, a pattern or a list")
        _check_all_there(path, found, key)
        files += found
    if twice := {path for path in files if files.count(path) > 1}:
        raise StudyError(f"{key}: {min(twice)} is given twice; name each file once")
    return tuple(files)


def _check_all_there(pattern: str, files: list[str], key: str) -> None:
    """Raise StudyError where files named `-00003-of-00294` are not all there: a download that was not finished."""
    totals = {int(match[1]) for path in files if (match := re.search(r"-of-(\d+)\.\w+$", path))}
    if len(totals) == 1 and (total := totals.pop()) != len(files):
        raise StudyError(
            f"{key}: {pattern} matches {len(files)} of {total} shards; fetch the others, or list the files to be used"
        )


def images_in(path: str, classes: int, key: str) -> int:
    """Return the number of images of a file, from its footer.

    Raises StudyError naming the configuration's `key` where the footer tells that file or columns cannot be used.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(path)
        schema = metadata.schema.to_arrow_schema()
    except (pa.ArrowException, OSError) as error:
        raise StudyError(f"{key}: {path} is not a readable Parquet file ({error}); fetch it again") from error
    if missing := {"image", "label"} - set(schema.names):
        raise StudyError(
            f"{key}: {path} has no column {' and '.join(sorted(missing))}, only {', '.join(schema.names)}; rename them"
        )
    kind = schema.field("image").type
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        kind = kind.field("bytes").type
    if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        raise StudyError(
            f"{key}: column image of {path} holds {schema.field('image').type}; it must hold encoded images (PNG, "
            "JPEG), as bytes or as Hugging Face's structs of bytes and path"
        )
    if not pa.types.is_integer(schema.field("label").type):
        raise StudyError(
            f"{key}: column label of {path} holds {schema.field('label').type}; it must hold whole numbers from 0 to "
            f"{classes - 1} (data.classes)"
        )
    if metadata.num_rows == 0:
        raise StudyError(f"{key}: {path} holds no images; leave it out or fetch it again")
    for facts in _statistics(metadata, "label"):
        if facts.has_null_count and facts.null_count:
            raise StudyError(
                f"{key}: {facts.null_count} rows of {path} have no label (null); give them one, or leave them out"
            )
        if facts.has_min_max:
            check_labels(np.array([facts.min, facts.max]), classes, f"{key}: {path}")
    return metadata.num_rows


def count(files: Iterable[str]) -> int:
    """Return the number of images in all files; they were looked at by `images_in` before."""
    import pyarrow.parquet as pq

    return sum(pq.read_metadata(path).num_rows for path in files)


def _statistics(metadata: Any, column: str) -> Iterator[Any]:
    """Yield what a footer says of a column in each group of rows that it says anything of."""
    (number,) = (n for n in range(metadata.num_columns) if metadata.schema.column(n).path == column)
    for group in range(metadata.num_row_groups):
        facts = metadata.row_group(group).column(number).statistics
        if facts is not None:
            yield facts


def check_labels(labels: np.ndarray, classes: int, where: str) -> None:
    """Raise StudyError where a label is none of the classes."""
    wrong = labels[(labels < 0) | (labels >= classes)]
    if len(wrong):
        raise StudyError(
            f"{where}: has label {wrong[0]}; labels must lie in 0 to {classes - 1} (data.classes); leave out images "
            "without one"
        )


def read(files: Iterable[str]) -> Iterator[tuple[str, Rows]]:
    """Yield (file, rows of it) of all files, in order.

    Raises StudyError where a file is damaged or a row lacks its image or label.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    for path in files:
        first = 0
        try:
            with pq.ParquetFile(path, buffer_size=READ_AHEAD, pre_buffer=False) as file:
                for batch in file.iter_batches(ROWS_AT_A_TIME, columns=["image", "label"]):
                    images, labels = batch["image"], batch["label"]
                    if pa.types.is_struct(images.type):
                        # Unlike `field`, this knows of structs that are null themselves.
                        images = pc.struct_field(images, "bytes")
                    for name, column in (("encoded image (null)", images), ("label (null)", labels)):
                        if column.null_count:
                            row = first + int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
                            raise StudyError(f"{path}: row {row} has no {name}; give it one, or leave it out")
                    yield path, Rows(first, images.to_pylist(), labels.to_numpy())
                    first += len(batch)
        except (pa.ArrowException, OSError) as error:
            raise StudyError(f"{path}: not a readable Parquet file of images and labels ({error})") from error
