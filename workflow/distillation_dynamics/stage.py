"""How every stage is started: its arguments, its threads, and one sentence when it fails."""

import argparse
import os
import sys
from collections.abc import Callable

from .errors import StudyError


def run_stage(main: Callable[[argparse.Namespace], None], *names: str, **lists: str) -> None:
    """Parse `--name VALUE` for each of `names` (and `--name VALUE ...` for `lists`), then call `main`.

    `--threads` is always there and sets the threads of torch's operations. A StudyError ends the process with its
    message and status 1.
    """
    parser = argparse.ArgumentParser(description=main.__doc__)
    for name in names:
        parser.add_argument(f"--{name}", required=True)
    for name, help_text in lists.items():
        parser.add_argument(f"--{name}", nargs="*", default=[], help=help_text)
    parser.add_argument("--threads", type=int, default=1, help="threads of this job")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(arguments.threads)
    try:
        main(arguments)
    except StudyError as error:
        raise SystemExit(f"error: {error}") from error
    except OSError as error:
        if error.filename is None:
            raise
        raise SystemExit(f"error: {error.filename}: {error.strerror}") from error
