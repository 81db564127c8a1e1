"""One training under two names: its run in the store and the student of a study are the same files, linked."""

import os
import shutil
from pathlib import Path

from ..errors import StudyError
from ..files import replacing, write_json
from . import record
from .hashes import IDENTITY, Hashes, identity
from .order import Order

# In the record of a run: the records of the students that its files are linked to.
LINKED = "linked"


def link(to: Order, of: Order) -> None:
    """Give the files of one order the names of another of the same key; raise StudyError where they are not whole."""
    known = record.read(of.record)
    said = record.fault(of, known, Hashes())
    if said is not None:
        raise StudyError(f"{of}: {said}; run the same command again")
    record.remove(to)
    before = {path: identity(os.stat(path)) for path in of.writes}
    files = {}
    for path, theirs in zip(to.writes, of.writes, strict=True):
        with replacing(path) as temporary:
            _link(theirs, temporary)
        name = os.path.relpath(theirs, of.job.out)
        files[name] = known["files"][name] | {IDENTITY: identity(os.stat(path))}
    record.put(to, {name: value for name, value in known.items() if name != LINKED} | {"name": to.name, "files": files})
    # A link changes the time of change of all names of a file: those that were known by it are known by the new one.
    names = [path for path in (*known.get(LINKED, ()), of.record) if path != to.record]
    for path in dict.fromkeys(names):
        _know_again(Path(path), dict(zip(of.writes, before, strict=True)), Path(of.record).parent)
    if to.record != of.record:
        known = record.read(of.record)
        record.put(of, known | {LINKED: sorted({*known.get(LINKED, ()), to.record})})


def _know_again(path: Path, before: dict[str, list[int]], folder: Path) -> None:
    """Renew what the files of a record are known by, where they are those that were linked and known until then."""
    known = record.read(path)
    if known is None:
        return
    for name, facts in known["files"].items():
        own = path.parent / name
        if facts[IDENTITY] == before.get(str(folder / name)) and own.is_file() and own.samefile(folder / name):
            facts[IDENTITY] = identity(os.stat(own))
    write_json(path, known)


def _link(path: str, to: Path) -> None:
    try:
        os.link(path, to)
    except OSError:
        # Another file system, or one without links.
        shutil.copy2(path, to)
