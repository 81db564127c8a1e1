"""What a study says of pictures that somebody names: which reader they have, and how many classes."""

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
    """Return what a study says of pictures: their reader, classes where folders or labels tell, and their groups.

    Raises StudyError where there are none.
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
    """Return how many pictures there are and what lies beside them, as their reader says; None: of a .tar."""
    if "test" in data.rows:
        return data.rows["test"], ""
    if not os.path.isdir(data.test[0]):
        # It is only listed when it is read.
        return None, ""
    left_out = LeftOut()
    return len(list(files_below(data.test[0], left_out=left_out))), str(left_out)


def _reader(source: str) -> Any:
    return import_module(f"..data.sources.{source}", __package__)


def _parquet(path: Path) -> tuple[dict[str, Any], int | None]:
    """Return what a study says of a Parquet file, or of those in a folder, and how many classes their labels tell."""
    reader = _reader("parquet")
    files = reader.find(str(path / "*.parquet" if path.is_dir() else path), KEY)
    columns, classes = reader.looked_at(files, KEY)
    said = {"source": "parquet", "test": files}
    return said | ({} if columns == COLUMNS else {"columns": vars(columns)}), classes


def _folders(root: Path) -> int | None:
    """Return how many classes the folders of pictures are; None where a picture lies in none of them, or all in one."""
    reader = _reader("folder")
    files = reader.contents([str(root)], KEY)
    classes = {reader.class_of(os.path.relpath(file, root), Data.label_depth) for file in files}
    return None if None in classes or len(classes) == 1 else len(classes)
