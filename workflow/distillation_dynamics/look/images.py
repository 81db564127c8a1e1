"""What a study says of pictures that somebody names: which reader they have, and how many classes."""

import os
from importlib import import_module
from pathlib import Path
from typing import Any

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


def count_of(data: Data) -> int | None:
    """Return how many pictures there are, as their reader counts them; None of a .tar, which is only listed later."""
    if "test" in data.rows:
        return data.rows["test"]
    if not os.path.isdir(data.test[0]):
        return None
    return len(_reader(data.source).contents(data.test, KEY))


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
    """Return how many folders below one hold pictures; None where some lie in none of them, or all in one."""
    files = _reader("folder").contents([str(root)], KEY)
    first, *others = {Path(file).relative_to(root).parts[:-1][:1] for file in files}
    return None if not others or () in (first, *others) else 1 + len(others)
