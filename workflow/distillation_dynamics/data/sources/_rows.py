"""Reads rows of Parquet files in parts: encoded images, paths, labels. Imports no torch."""

from collections.abc import Iterator
from itertools import islice, repeat
from typing import Any

import numpy as np

from ...errors import StudyError
from ._columns import BYTES, PATH, Footer

IMAGES_AT_A_TIME, LABELS_AT_A_TIME = 64, 2**16
# Bytes of a column to read ahead; by default pyarrow reads whole row groups.
READ_AHEAD = 2**20


class NoLabelError(StudyError):
    """A row has no label."""


def labels_of(footer: Footer, column: str) -> Iterator[np.ndarray | list[str]]:
    """Yield a file's labels in parts, as numbers or a list of words; raise if a row has none."""
    first = 0
    for values in _read(footer.path, column, LABELS_AT_A_TIME):
        if values.null_count:
            row = first + int(np.flatnonzero(values.is_null().to_numpy(zero_copy_only=False))[0])
            raise NoLabelError(f"{footer.path}: row {row} has no {column} (null); give it one, or leave it out")
        if len(values):
            yield _listed(footer.path, values) if footer.is_word(column) else values.to_numpy(zero_copy_only=False)
        first += len(values)


def by_path(footer: Footer, column: str) -> bool:
    """Return whether a file's images are separate files: they have a path and no bytes.

    If the footer does not say, the first rows decide.
    """
    if not (footer.has_bytes(column) and footer.has_paths(column)):
        return footer.has_paths(column)
    lacking = footer.nulls(f"{column}.{BYTES}")
    return (
        any(one is None for one in islice(bytes_of(footer, column), IMAGES_AT_A_TIME))
        if lacking is None
        else lacking > 0
    )


def bytes_of(footer: Footer, column: str) -> Iterator[bytes | None]:
    """Yield a file's encoded images, None for those in separate files."""
    if footer.has_bytes(column):
        yield from _values(footer, column, BYTES if footer.is_struct(column) else None)
    else:
        yield from repeat(None, footer.metadata.num_rows)


def paths_of(footer: Footer, column: str) -> Iterator[str | None]:
    """Yield the paths of a file's images, None for those without."""
    if footer.has_paths(column):
        yield from _values(footer, column, PATH if footer.is_struct(column) else None)
    else:
        yield from repeat(None, footer.metadata.num_rows)


def _values(footer: Footer, column: str, part: str | None) -> Iterator[Any]:
    """Yield the values of a column or struct field, with only a few in memory at a time."""
    import pyarrow.compute as pc

    for values in _read(footer.path, column if part is None else f"{column}.{part}", IMAGES_AT_A_TIME):
        # Unlike `field`, this handles null structs.
        yield from _listed(footer.path, values if part is None else pc.struct_field(values, part))


def _listed(path: str, values: Any) -> list[Any]:
    try:
        return values.to_pylist()
    except UnicodeDecodeError as error:
        raise StudyError(f"{path}: a path or label in it is not UTF-8 ({error}); write the file again") from error


def _read(path: str, column: str, rows_at_a_time: int) -> Iterator[Any]:
    """Yield a file's column or field in parts; raise StudyError if it is damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, buffer_size=READ_AHEAD, pre_buffer=False) as file:
            for batch in file.iter_batches(rows_at_a_time, columns=[column]):
                if len(batch.columns) != 1:
                    raise StudyError(f"{path}: has {len(batch.columns)} columns {column}; give files with one each")
                (values,) = batch.columns
                if isinstance(values, pa.ExtensionArray):
                    values = values.storage
                yield values.dictionary_decode() if isinstance(values, pa.DictionaryArray) else values
    except (pa.ArrowException, OSError) as error:
        raise StudyError(f"{path}: not a readable Parquet file of images and labels ({error})") from error
