"""Link the finished run of a student into the study: `python -m distillation_dynamics.students ORDER RUN`.

In: the order of the student and that of its run in the store, which have one key. Out: the run's files under the study's
own names, and their record. Files are links to those in the store (copies where the file system has none). Says the
sentence of a training that failed, and trains nothing. Imports no torch.
"""

import os
import shutil
import sys
from pathlib import Path

from .errors import StudyError
from .files import replacing
from .jobs import order as orders
from .jobs import record
from .jobs.hashes import IDENTITY, Hashes, identity
from .jobs.order import Order
from .jobs.run import failure, said_by


def link(student: Order, run: Order) -> None:
    """Link the files of a run; raise StudyError where it is not finished or not whole."""
    known, hashes = record.read(run.record), Hashes()
    if known is None and failure(run).is_file():
        raise StudyError(failure(run).read_text(encoding="utf-8").strip().removeprefix("error: "))
    said = record.fault(run, known, hashes)
    if said is not None:
        raise StudyError(f"{run.job.label}: its run in {run.job.out} {said}; run the same command again")
    record.remove(student)
    files = {}
    for path, theirs in zip(student.writes, run.writes, strict=True):
        with replacing(path) as temporary:
            _link(theirs, temporary)
        name = os.path.relpath(theirs, run.job.out)
        files[name] = known["files"][name] | {IDENTITY: identity(os.stat(path))}
    record.put(student, known | {"name": student.name, "files": files})


def _link(path: str, to: Path) -> None:
    try:
        os.link(path, to)
    except OSError:
        # Another file system, or one without links.
        shutil.copy2(path, to)


def main() -> None:
    """Link a run into a study."""
    student, run = (orders.read(path) for path in sys.argv[1:])
    sys.exit(said_by(lambda: link(student, run)))


if __name__ == "__main__":
    main()
