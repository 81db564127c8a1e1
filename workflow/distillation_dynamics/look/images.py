"""Derives the configuration of an image set from the pictures a user names: reader and number of classes."""

import os
from importlib import import_module
from pathlib import Path
from typing import Any

from ..data.source import LeftOut, files_below
from ..errors import StudyError
from ..spec.configured import Data
from ..spec.data import COLUMNS

KEY = "IMAGES"


def data_of(images: str, groups: str | None = None) -> dict[str, Any]:
    """Return the configuration of an image set: reader, classes if folders or labels give them, and groups.

    Raises StudyError if there are no pictures.
    """
    if not images:
        raise StudyError(f"{KEY}: is not given; name a folder of pictures, a .tar or Parquet files")
    path = Path(os.path.expanduser(images))
    if (path.is_file() and path.suffix == ".parquet") or (path.is_dir() and any(path.glob("*.parquet"))):
        said, classes = _parquet(path)
    elif path.is_dir():
        said, classes = {"source": "folder", "test": str(path)}, _folders(path)
    elif path.is_file() and path.suffix == ".tar":
        said, classes = {"source": "folder", "test": str(path)}, None
    else:
        raise StudyError(f"{KEY}: {images} is no folder, .tar or .parquet file; give one with pictures in it")
    said |= {} if classes is None else {"classes": classes}
    return said | ({} if groups is None else {"groups": groups})


def count_of(data: Data) -> tuple[int | None, str]:
    """Return the number of pictures and the other files next to them, from their reader; None for a .tar."""
    if "test" in data.rows:
        return data.rows["test"], ""
    if not os.path.isdir(data.test[0]):
        # It is listed only when it is read.
        return None, ""
    left_out = LeftOut()
    return len(list(files_below(data.test[0], left_out=left_out))), str(left_out)


def _reader(source: str) -> Any:
    return import_module(f"..data.sources.{source}", __package__)


def _parquet(path: Path) -> tuple[dict[str, Any], int | None]:
    """Return the configuration of a Parquet file or a folder of them, and the number of classes in their labels."""
    reader = _reader("parquet")
    files = reader.find(str(path / "*.parquet" if path.is_dir() else path), KEY)
    columns, classes = reader.looked_at(files, KEY)
    said = {"source": "parquet", "test": files}
    return said | ({} if columns == COLUMNS else {"columns": vars(columns)}), classes


def _folders(root: Path) -> int | None:
    """Return the number of classes given by folders of pictures; None if a picture is in none of them, or all are in
    one.
    """
    reader = _reader("folder")
    files = reader.contents([str(root)], KEY)
    classes = {reader.class_of(os.path.relpath(file, root), Data.label_depth) for file in files}
    return None if None in classes or len(classes) == 1 else len(classes)
