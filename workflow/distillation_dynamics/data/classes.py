"""What the classes of an image set are called, for figures: by the set itself, without listing it. Imports no torch.

In: the files of a source. Parquet files of Hugging Face's name them in their footer, a folder by its subfolders in
natural order. Where nothing names them, or another number of classes than the study has, there are no names.
"""

import json
import os
import re
from pathlib import Path


def class_names(source: str, files: tuple[str, ...], classes: int | None) -> tuple[str, ...]:
    """Return the names of the classes in order of their numbers, or nothing."""
    named = {"parquet": _of_parquet, "folder": _of_folder}.get(source)
    if named is None or classes is None or not files or not os.path.exists(files[0]):
        return ()
    names = named(files[0])
    return names if len(names) == classes else ()


def _of_parquet(path: str) -> tuple[str, ...]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        said = json.loads((pq.read_schema(path).metadata or {}).get(b"huggingface", b"{}"))
        names = said["info"]["features"]["label"]["names"]
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError):
        # Its reader says what is wrong with a file; one without names is none the worse.
        return ()
    return tuple(map(str, names))


def _of_folder(path: str) -> tuple[str, ...]:
    folders = [part.name for part in Path(path).iterdir() if part.is_dir()] if os.path.isdir(path) else []
    return tuple(sorted(folders, key=lambda name: [int(part) if part.isdigit() else part for part in _parts(name)]))


def _parts(name: str) -> list[str]:
    return re.split(r"(\d+)", name.lower())
