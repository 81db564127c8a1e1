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
    if known is None or said is not None:
        raise StudyError(f"{of}: {said}; run the same command again")
    record.remove(to)
    files = {}
    for path, theirs in zip(to.writes, of.writes, strict=True):
        with replacing(path) as temporary:
            _link(theirs, temporary)
        name = os.path.relpath(theirs, of.job.out)
        files[name] = known["files"][name] | {IDENTITY: identity(os.stat(path))}
    own = {name: value for name, value in known.items() if name != LINKED}
    record.put(to, own | {"name": to.name, "files": files})
    # A link changes the time of change of all names of a file, by which records know it.
    names = {*known.get(LINKED, ()), of.record, to.record}
    for path in names - {to.record}:
        _know_again(Path(path), files, Path(of.record).parent)
    renewed = record.read(of.record)
    assert renewed is not None
    record.put(of, renewed | {LINKED: sorted(names - {of.record})})


def _know_again(path: Path, files: dict[str, dict], folder: Path) -> None:
    """Renew what a record knows its files by, where they are those in `folder`, which were found whole just now."""
    known = record.read(path)
    if known is None:
        return
    for name, facts in known["files"].items():
        own, whole = path.parent / name, files.get(name)
        if whole and facts["sha256"] == whole["sha256"] and own.is_file() and own.samefile(folder / name):
            facts[IDENTITY] = identity(os.stat(own))
    write_json(path, known)


def _link(path: str, to: Path) -> None:
    try:
        os.link(path, to)
    except OSError:
        # Another file system, or one without links.
        shutil.copy2(path, to)
