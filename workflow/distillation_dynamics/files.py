"""Writes files whole or not at all, and tables that carry their own documentation.

Every writer writes a hidden temporary file first and renames it: a killed job or a full disk leaves the old file or
none. Tables are Parquet; unit and meaning of each column are in the file as field metadata.
"""

import errno
import hashlib
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .errors import StudyError

# Imported only where used: a job sets its threads before numpy is imported.
if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Column(NamedTuple):
    """Documentation of a table's column: unit ("" for none) and one sentence."""

    unit: str
    description: str


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path next to `path`; rename it to `path` if the block succeeds, remove it otherwise.

    Raises StudyError if the disk or the user's quota is full.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        # Synced before it is renamed, so that a node that goes down leaves no empty file.
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        if path.is_dir():
            remove(path)
        os.replace(temporary, path)
    except OSError as error:
        if error.errno in NO_ROOM:
            reason = os.strerror(error.errno)
            raise StudyError(f"{path}: {reason}; free some space and run the same command again") from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def remove(path: Path) -> None:
    """Remove a file, if it exists, or an empty folder in its place; raise StudyError for a folder with files."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    try:
        path.rmdir()
    except OSError as error:
        raise StudyError(f"{path}: is a folder, where a file of the study belongs; move it away") from error


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as readable JSON; refuses NaN and infinity, which JSON lacks."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read a JSON file; raise StudyError if it is missing or damaged."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StudyError(f"{path} does not exist; run snakemake to make it") from error
    except (ValueError, RecursionError) as error:
        raise StudyError(f"{path} is not valid JSON ({error}); delete it and run snakemake again") from error


def write_npy(path: str | Path, array: "np.ndarray") -> None:
    """Write one array as .npy, readable with `numpy.load(path, mmap_mode="r")`."""
    with npy_writer(path, array.shape, array.dtype) as append:
        append(array)


@contextmanager
def npy_writer(path: str | Path, shape: tuple[int, ...], dtype: Any) -> Iterator[Callable[["np.ndarray"], None]]:
    """Yield a function that appends arrays to an .npy file of the given total shape and type.

    Uses plain writes, not a memory map: a full disk is then an error, not a killed process. Raises ValueError if the
    parts do not add up to `shape`.
    """
    import numpy as np

    with replacing(path) as temporary, open(temporary, "wb") as file:
        dtype, written = np.dtype(dtype), 0
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": tuple(shape)}
        np.lib.format.write_array_header_1_0(file, header)

        def append(part: "np.ndarray") -> None:
            nonlocal written
            written += part.size
            file.write(np.ascontiguousarray(part, dtype=dtype).data)

        yield append
        if written != math.prod(shape):
            raise ValueError(f"{path}: {written} values were written for shape {shape}")


def read_npy(path: str | Path) -> "np.ndarray":
    """Map an .npy file read-only; raise StudyError if it is missing or damaged."""
    import numpy as np

    try:
        return np.load(path, mmap_mode="r")
    except FileNotFoundError as error:
        raise StudyError(f"{path} does not exist; run snakemake to make it") from error
    except (ValueError, EOFError) as error:
        raise StudyError(f"{path} is damaged ({error}); delete it and run snakemake again") from error


def write_table(path: str | Path, columns: Mapping[str, Any], documentation: Mapping[str, Column]) -> None:
    """Write a Parquet table of `columns` (name -> values), with every column's unit and meaning in its metadata.

    Raises KeyError if `columns` and `documentation` differ in names.
    """
    write_arrow(path, table_of(columns, documentation))


def table_of(columns: Mapping[str, Any], documentation: Mapping[str, Column]) -> "pa.Table":
    """Return `columns` (name -> values) as a documented Arrow table; raise KeyError if the names differ."""
    import pyarrow as pa

    if set(columns) != set(documentation):
        raise KeyError(f"columns and documentation differ in {sorted(set(columns) ^ set(documentation))}")
    arrays = [pa.array(columns[name]) for name in documentation]
    fields = [
        field_of(name, array.type, column) for (name, column), array in zip(documentation.items(), arrays, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def field_of(name: str, kind: "pa.DataType", column: Column) -> "pa.Field":
    """Return the Arrow field of a column with unit and meaning in its metadata."""
    import pyarrow as pa

    return pa.field(name, kind, metadata={"unit": column.unit, "description": column.description})


def write_arrow(path: str | Path, table: "pa.Table") -> None:
    """Write an Arrow table as Parquet, whole or not at all."""
    import pyarrow.parquet as pq

    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def write_joined(
    folder: Path, tables: Mapping[str, Sequence[Mapping[str, Any]]], documentation: Mapping[str, Mapping[str, Column]]
) -> None:
    """Write `<name>.parquet` for each table from its parts (name -> arrays), concatenated; see `write_table`."""
    for name, parts in tables.items():
        columns = {column: _joined([part[column] for part in parts]) for column in documentation[name]}
        write_table(folder / f"{name}.parquet", columns, documentation[name])


def _joined(parts: Sequence[Any]) -> Any:
    import numpy as np
    import pandas as pd

    if any(isinstance(part, pd.api.extensions.ExtensionArray) for part in parts):
        return pd.concat([pd.Series(part) for part in parts]).array
    return np.concatenate(parts)


def whole_numbers(values: Iterable[int | None]) -> Any:
    """Return integers, some of which may be missing (None), as a column; missing ones are null in the file."""
    import pandas as pd

    return pd.array(list(values), dtype="Int64")


def columns_to_write(table: "pd.DataFrame", names: Iterable[str]) -> dict[str, Any]:
    """Return the columns of a frame for `write_table`: a missing integer is null, NaN stays NaN."""
    import pandas as pd

    return {
        name: table[name].array if isinstance(table[name].dtype, pd.Int64Dtype) else table[name].to_numpy()
        for name in names
    }


def read_table(path: str | Path) -> "pd.DataFrame":
    """Read a Parquet table as a DataFrame; raise StudyError if it is missing or damaged. See `frame_of`."""
    return frame_of(read_arrow(path))


def frame_of(table: "pa.Table") -> "pd.DataFrame":
    """Return an Arrow table as a DataFrame; integers with missing values become Int64, not pandas' float default.

    So a missing seed stays distinct from every seed; group such a column with `dropna=False`.
    """
    import pandas as pd
    import pyarrow as pa

    frame = table.to_pandas()
    for field in table.schema:
        if pa.types.is_integer(field.type) and table[field.name].null_count:
            frame[field.name] = pd.Int64Dtype().__from_arrow__(table[field.name].cast(pa.int64()))
    return frame


def read_arrow(path: str | Path):
    """Read a Parquet table with its columns' metadata; raise StudyError if it is missing or damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path)
    except FileNotFoundError as error:
        raise StudyError(f"{path} does not exist; run snakemake to make it") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise StudyError(f"{path} is not readable Parquet ({error}); delete it and run snakemake again") from error


def columns_of(schema) -> dict[str, Column]:
    """Return unit and meaning of each column from a table's schema as `write_table` stored them, "" if absent."""
    said = {field.name: field.metadata or {} for field in schema}
    return {
        name: Column(*(about.get(key, b"").decode() for key in (b"unit", b"description")))
        for name, about in said.items()
    }


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file's content as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
