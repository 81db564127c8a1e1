"""Files that appear whole or not at all, and tables that carry their own documentation.

Every writer here writes a hidden neighbour first and renames it: a killed job or a full disk leaves the old file
or none. Tables are Parquet; each column's unit and meaning travel in the file as field metadata.
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

# Only where arrays are written and read: a job sets its threads before numpy is imported.
if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Column(NamedTuple):
    """What a table's column holds: its unit ('' for none) and one sentence."""

    unit: str
    description: str


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends well, remove it otherwise.

    Raises StudyError when the disk, or what this user may have of it, is full.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        # On the disk before it has its name: a node that goes down must not leave an empty file.
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
    """Remove a file, if it is there, or an empty folder in its place; raise StudyError where files are in that."""
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
    """Write `value` as readable JSON; NaN and infinity are refused (they are not JSON)."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read a JSON file; raise StudyError when it is missing or damaged."""
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

    Plain writes rather than a memory map: a full disk is then an error that can be reported, not a killed process.
    Raises ValueError when the parts do not add up to `shape`.
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
    """Map an .npy file read-only; raise StudyError when it is missing or damaged."""
    import numpy as np

    try:
        return np.load(path, mmap_mode="r")
    except FileNotFoundError as error:
        raise StudyError(f"{path} does not exist; run snakemake to make it") from error
    except (ValueError, EOFError) as error:
        raise StudyError(f"{path} is damaged ({error}); delete it and run snakemake again") from error


def write_table(path: str | Path, columns: Mapping[str, Any], documentation: Mapping[str, Column]) -> None:
    """Write a Parquet table of `columns` (name -> values), with every column's unit and meaning in its metadata.

    Raises KeyError when the columns and `documentation` do not name the same set.
    """
    write_arrow(path, table_of(columns, documentation))


def table_of(columns: Mapping[str, Any], documentation: Mapping[str, Column]) -> "pa.Table":
    """Return `columns` (name -> values) as an Arrow table, documented; raise KeyError where the two differ in names."""
    import pyarrow as pa

    if set(columns) != set(documentation):
        raise KeyError(f"columns and documentation differ in {sorted(set(columns) ^ set(documentation))}")
    arrays = [pa.array(columns[name]) for name in documentation]
    fields = [
        field_of(name, array.type, column) for (name, column), array in zip(documentation.items(), arrays, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def field_of(name: str, kind: "pa.DataType", column: Column) -> "pa.Field":
    """Return the field of a column, its unit and meaning in the metadata."""
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
    """Write `<name>.parquet` for each table, its parts (name -> arrays) laid end to end; see `write_table`."""
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
    """Return whole numbers of which some may be missing (None), for a column of a table: null in the file."""
    import pandas as pd

    return pd.array(list(values), dtype="Int64")


def columns_to_write(table: "pd.DataFrame", names: Iterable[str]) -> dict[str, Any]:
    """Return columns of a frame as `write_table` takes them: a missing whole number is null, NaN stays NaN."""
    import pandas as pd

    return {
        name: table[name].array if isinstance(table[name].dtype, pd.Int64Dtype) else table[name].to_numpy()
        for name in names
    }


def read_table(path: str | Path) -> "pd.DataFrame":
    """Read a Parquet table as a pandas DataFrame; raise StudyError when it is missing or damaged. See `frame_of`."""
    return frame_of(read_arrow(path))


def frame_of(table: "pa.Table") -> "pd.DataFrame":
    """Return an Arrow table as a DataFrame: whole numbers of which some are missing are Int64, where pandas has floats.

    So a seed that is not there stays told from every seed; groups of such a column want `dropna=False`.
    """
    import pandas as pd
    import pyarrow as pa

    frame = table.to_pandas()
    for field in table.schema:
        if pa.types.is_integer(field.type) and table[field.name].null_count:
            frame[field.name] = pd.Int64Dtype().__from_arrow__(table[field.name].cast(pa.int64()))
    return frame


def read_arrow(path: str | Path):
    """Read a Parquet table with its columns' metadata; raise StudyError when it is missing or damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path)
    except FileNotFoundError as error:
        raise StudyError(f"{path} does not exist; run snakemake to make it") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise StudyError(f"{path} is not readable Parquet ({error}); delete it and run snakemake again") from error


def columns_of(schema) -> dict[str, Column]:
    """Return what `write_table` left in the schema of a table: unit and meaning of each column, '' where nothing."""
    said = {field.name: field.metadata or {} for field in schema}
    return {
        name: Column(*(about.get(key, b"").decode() for key in (b"unit", b"description")))
        for name, about in said.items()
    }


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file's content as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
