"""How every stage is started: its arguments, its threads, and one sentence when it fails."""

import argparse
import os
import sys
import traceback
from collections.abc import Callable

from .errors import Interrupted, StudyError
from .records import Recorder


def run_stage(main: Callable[[argparse.Namespace], None], *names: str, **lists: str) -> None:
    """Parse `--name VALUE` for each of `names` (and `--name VALUE ...` for `lists`), then call `main`.

    `--threads` is always there and sets the threads of torch's operations; so are `--record` and `--outputs`, the
    record of the job (left out: none) and the files that it speaks of. A StudyError, or a stop that was asked for, ends
    the process with its message and status 1.
    """
    parser = argparse.ArgumentParser(description=main.__doc__, allow_abbrev=False)
    for name in names:
        parser.add_argument(f"--{name}", required=True)
    for name, help_text in lists.items():
        parser.add_argument(f"--{name}", nargs="*", default=[], help=help_text)
    parser.add_argument("--threads", type=int, default=1, help="threads of this job")
    parser.add_argument("--record", help="file for the record of this job")
    parser.add_argument("--outputs", nargs="*", default=[], help="files that the record speaks of")
    arguments = parser.parse_args()
    # Of the processes that torchrun started on this machine each takes its part.
    arguments.threads = max(1, arguments.threads // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    first = os.environ.get("RANK", "0") == "0"
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(arguments.threads)
    recorder = Recorder(arguments.record) if arguments.record and first else None
    said = None
    try:
        main(arguments)
        if recorder:
            # "distillation_dynamics.students" or "distillation_dynamics.figures.__main__"
            stage = sys.modules["__main__"].__spec__.name.split(".")[1]
            gpus = int(getattr(arguments, "gpus", 0))
            recorder.finish(stage, arguments.outputs, threads=arguments.threads, gpus=gpus)
    except StudyError as error:
        said = f"error: {error}"
    except Interrupted as error:
        said = f"not finished: {error}"
    except OSError as error:
        said = f"error: {error.filename}: {error.strerror}" if error.filename else traceback.format_exc()
    except Exception:
        said = traceback.format_exc()
    # Left outside the handlers, where the failed stage's objects are gone: at exit Python waits for loader processes.
    sys.exit(said)
