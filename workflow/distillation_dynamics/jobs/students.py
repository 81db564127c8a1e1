"""Link the finished run of a student into the study: `python -m distillation_dynamics.jobs.students ORDER RUN`.

In: the order of the student and that of its run in the store, which have one key. Out: the run's files under the
study's own names, and their record. Files are links to those in the store (copies where the file system has none). Says
the sentence of a training that failed, and trains nothing. Imports no torch.
"""

import os
import sys

from ..errors import StudyError
from . import order as orders
from . import record
from .links import link
from .order import Order
from .run import failure, said_by


def main(student: Order, run: Order) -> None:
    """Link a run into a study; raise StudyError where it is not finished or not whole."""
    if record.read(run.record) is None and failure(run).is_file():
        raise StudyError(failure(run).read_text(encoding="utf-8").strip().removeprefix("error: "))
    link(student, run)
    print(f"{student}: linked from {os.path.dirname(run.record)}", file=sys.stderr)


if __name__ == "__main__":
    given = [orders.read(path) for path in sys.argv[1:]]
    sys.exit(said_by(lambda: main(*given)))
