"""Links the finished run of a student into its study: `python -m distillation_dynamics.jobs.publish STUDENT RUN`.

In: the files of two tasks with one key, the student and its run in the store. Out: links to the run's files under the
study's names (copies if the file system has no links), and their record. Reports the error of a failed training; trains
nothing. Imports no torch.
"""

import os
import shutil
import sys
from pathlib import Path

from ..errors import StudyError
from ..files import replacing, write_json
from . import record
from .hashes import IDENTITY, Hashes, identity
from .run import failure, said_by
from .task import Task

# Key in a run's record: records of the students linked to its files.
LINKED = "linked"


def main(student: Task, run: Task) -> None:
    """Publish a run as a student of a study; raise StudyError if it is unfinished or incomplete."""
    if record.read(run.record) is None and failure(run).is_file():
        raise StudyError(failure(run).read_text(encoding="utf-8", errors="replace").strip().removeprefix("error: "))
    publish(run, student)
    print(f"{student}: published from {run.folder}", file=sys.stderr)


def publish(made: Task, to: Task) -> None:
    """Link the files of one task under the names of another with the same key; raise StudyError if any is damaged."""
    known = record.read(made.record)
    said = record.fault(made, known, Hashes())
    if known is None or said is not None:
        raise StudyError(f"{made}: {said}; run the same command again")
    record.remove(to)
    files = {}
    for path, theirs in zip(to.writes, made.writes, strict=True):
        with replacing(path) as temporary:
            _link(theirs, temporary)
        name = os.path.relpath(theirs, made.job.out)
        files[name] = known["files"][name] | {IDENTITY: identity(os.stat(path))}
    own = {name: value for name, value in known.items() if name != LINKED}
    record.put(to, own | {"name": to.name, "files": files})
    # Linking changes the ctime of every hard link, so records must be refreshed.
    names = {*known.get(LINKED, ()), made.record, to.record}
    for path in names - {to.record}:
        _know_again(Path(path), files, Path(made.record).parent)
    renewed = record.read(made.record)
    assert renewed is not None
    record.put(made, renewed | {LINKED: sorted(names - {made.record})})


def _know_again(path: Path, files: dict[str, dict], folder: Path) -> None:
    """Update the identities in a record if its files are those in `folder`, which were just verified."""
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


if __name__ == "__main__":
    given = [Task.read(path) for path in sys.argv[1:]]
    sys.exit(said_by(lambda: main(*given)))
