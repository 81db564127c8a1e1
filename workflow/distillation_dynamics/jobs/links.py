"""One training under two names: its run in the store and the student of a study are the same files, linked."""

import os
import shutil
from pathlib import Path

from ..errors import StudyError
from ..files import replacing
from . import record
from .hashes import IDENTITY, Hashes, identity
from .order import Order


def link(to: Order, of: Order) -> None:
    """Give the files of one order the names of another of the same key; raise StudyError where they are not whole."""
    known = record.read(of.record)
    said = record.fault(of, known, Hashes())
    if said is not None:
        raise StudyError(f"{of}: {said}; run the same command again")
    record.remove(to)
    files = {}
    for path, theirs in zip(to.writes, of.writes, strict=True):
        with replacing(path) as temporary:
            _link(theirs, temporary)
        name = os.path.relpath(theirs, of.job.out)
        files[name] = known["files"][name] | {IDENTITY: identity(os.stat(path))}
    record.put(to, known | {"name": to.name, "files": files})


def _link(path: str, to: Path) -> None:
    try:
        os.link(path, to)
    except OSError:
        # Another file system, or one without links.
        shutil.copy2(path, to)
