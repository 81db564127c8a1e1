"""What we keep for ourselves: files that are read as what they should be, or count as not there and are made anew.

Hashes, records, tasks, what is known of networks and of earlier costs: none of them is worth a word more than that it
could not be read.
"""

import os
import stat
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from ..errors import say_once

Kind = TypeVar("Kind")


def read(path: str | Path, kind: type[Kind]) -> Kind | None:
    """Return what a file of ours holds, a `kind` (a type whose parts pydantic knows); None where it is not there.

    One that cannot be read, or holds something else, counts as not there, which is said once.
    """
    try:
        # Of what is no file a read may never end.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise OSError(f"{path}: is no file")
        # A type may be one of several, of which type checkers know no hash.
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
