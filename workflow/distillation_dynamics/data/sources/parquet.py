"""Parquet files of images, as Hugging Face ships them: found, checked by their footers, read a few rows at a time.

A source is one file or several (its shards), read in the order given. Column `image` holds encoded images, as structs
{bytes, path} or as bytes; column `label` holds whole numbers from 0, and is not looked at where there are no classes.
Imports no torch.
"""

import glob
import json
import os
import re
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ...errors import StudyError
from ..source import check_labels

PACKED = True
IMAGES_AT_A_TIME, LABELS_AT_A_TIME = 64, 2**16
# Bytes of a column that are read ahead; left alone, pyarrow reads all of a group of rows.
READ_AHEAD = 2**20


def find(value: str | list[str], key: str) -> list[str]:
    """Return the files that a path, a pattern (its files by name) or a list of them means.

    Raises StudyError naming the configuration's `key` where there is none, one twice, or not every shard.
    """
    files: list[str] = []
    for path in [value] if isinstance(value, str) else value:
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
    return files


def _check_all_there(pattern: str, files: list[str], key: str) -> None:
    """Raise StudyError where files named `-00003-of-00294` are not all there: a download that was not finished."""
    totals = {int(match[1]) for path in files if (match := re.search(r"-of-(\d+)\.\w+$", path))}
    if len(totals) == 1 and (total := totals.pop()) != len(files):
        raise StudyError(
            f"{key}: {pattern} matches {len(files)} of {total} shards; fetch the others, or list the files to be used"
        )


def contents(paths: Iterable[str], key: str) -> list[str]:
    """Return the files."""
    return list(paths)


def class_names(paths: Iterable[str]) -> tuple[str, ...]:
    """Return what the footer of the first file says in Hugging Face's way; nothing where it does not."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        said = json.loads((pq.read_schema(next(iter(paths))).metadata or {}).get(b"huggingface", b"{}"))
        return tuple(map(str, said["info"]["features"]["label"]["names"]))
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError):
        # What is wrong with a file is said where it is read; one without names is none the worse.
        return ()


def count(paths: Iterable[str], classes: int | None, key: str) -> int:
    """Return the number of images of all files, from their footers.

    Raises StudyError naming the configuration's `key` where a footer tells that its file cannot be used.
    """
    return sum(_images_in(path, classes, key) for path in paths)


def _images_in(path: str, classes: int | None, key: str) -> int:
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
    if missing := ({"image"} if classes is None else {"image", "label"}) - set(schema.names):
        without = ", or leave out data.classes where images have no labels" if missing == {"label"} else ""
        raise StudyError(
            f"{key}: {path} has no column {' and '.join(sorted(missing))}, only {', '.join(schema.names)}; rename them"
            + without
        )
    kind = schema.field("image").type
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        kind = kind.field("bytes").type
    if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        raise StudyError(
            f"{key}: column image of {path} holds {schema.field('image').type}; it must hold encoded images (PNG, "
            "JPEG), as bytes or as Hugging Face's structs of bytes and path"
        )
    if metadata.num_rows == 0:
        raise StudyError(f"{key}: {path} holds no images; leave it out or fetch it again")
    if classes is not None:
        _check_label_column(path, metadata, schema, classes, key)
    return metadata.num_rows


def _check_label_column(path: str, metadata: Any, schema: Any, classes: int, key: str) -> None:
    import pyarrow as pa

    if not pa.types.is_integer(schema.field("label").type):
        raise StudyError(
            f"{key}: column label of {path} holds {schema.field('label').type}; it must hold whole numbers from 0 to "
            f"{classes - 1} (data.classes)"
        )
    for facts in _statistics(metadata, "label"):
        if facts.has_null_count and facts.null_count:
            raise StudyError(
                f"{key}: {facts.null_count} rows of {path} have no label (null); give them one, or leave them out"
            )
        if facts.has_min_max:
            check_labels(np.array([facts.min, facts.max]), classes, f"{key}: {path}")


def _statistics(metadata: Any, column: str) -> Iterator[Any]:
    """Yield what a footer says of a column in each group of rows that it says anything of."""
    (number,) = (n for n in range(metadata.num_columns) if metadata.schema.column(n).path == column)
    for group in range(metadata.num_row_groups):
        facts = metadata.row_group(group).column(number).statistics
        if facts is not None:
            yield facts


class Source:
    """The images of Parquet files, each named by its file and row; see `data.source`.

    Raises StudyError where a file is damaged or a row lacks its label, and, while they are read, its image.
    """

    classes = None

    def __init__(self, paths: Iterable[str], classes: int | None, key: str):
        self.paths = list(paths)
        # Files of one name in several folders are told apart by theirs.
        above = os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in self.paths])
        names, labels = [], []
        for path in self.paths:
            short = os.path.relpath(os.path.abspath(path), above)
            names += [f"{short}, row {row}" for row in range(_images_in(path, classes, key))]
            if classes is not None:
                labels += [part.to_numpy().astype(np.int64) for part in _read(path, "label", LABELS_AT_A_TIME)]
        self.names = np.array(names)
        self.labels = None if classes is None else np.concatenate(labels)

    def encoded(self) -> Iterator[bytes]:
        """Yield the encoded images in order, with no more than some rows in memory at a time."""
        for path in self.paths:
            for images in _read(path, "image", IMAGES_AT_A_TIME):
                yield from images.to_pylist()


def _read(path: str, column: str, rows_at_a_time: int) -> Iterator[Any]:
    """Yield a column of a file, some rows at a time; raise StudyError where it is damaged or a row has none."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    first = 0
    try:
        with pq.ParquetFile(path, buffer_size=READ_AHEAD, pre_buffer=False) as file:
            for batch in file.iter_batches(rows_at_a_time, columns=[column]):
                values = batch[column]
                if pa.types.is_struct(values.type):
                    # Unlike `field`, this knows of structs that are null themselves.
                    values = pc.struct_field(values, "bytes")
                if values.null_count:
                    row = first + int(np.flatnonzero(values.is_null().to_numpy(zero_copy_only=False))[0])
                    what = "encoded image" if column == "image" else column
                    raise StudyError(f"{path}: row {row} has no {what} (null); give it one, or leave it out")
                yield values
                first += len(batch)
    except (pa.ArrowException, OSError) as error:
        raise StudyError(f"{path}: not a readable Parquet file of images and labels ({error})") from error
