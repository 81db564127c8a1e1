"""Internal files (hashes, records, tasks, descriptions, costs): read as their declared type, or rewritten if damaged.

A damaged one is worth one warning and no more.
"""

import os
import stat
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from ..errors import say_once

Kind = TypeVar("Kind")


def read(path: str | Path, kind: type[Kind]) -> Kind | None:
    """Return the content of an internal file as `kind` (a type that pydantic knows); None if it does not exist.

    A file that is unreadable or has other content counts as missing, with one warning.
    """
    try:
        # Reading a pipe or device might never end.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise OSError(f"{path}: is no file")
        # Union types have no hash for type checkers.
        asked: Any = kind
        return _adapter(asked).validate_json(Path(path).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        say_once(f"{path}: has unexpected content; it is written again")
        return None


@cache
def _adapter(kind: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)
