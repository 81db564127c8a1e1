"""`python -m distillation_dynamics FILE`: carry out a task."""

import os
import signal
import time
from typing import Any

START = time.time()


def say_stopped(number: int, frame: Any) -> None:
    """Log why the job ends, which a process killed by a signal does not, and exit.

    A training that has begun its updates installs its own handler, which saves its state.
    """
    name = signal.Signals(number).name
    os.write(2, f"not finished: stopped by {name}; run the same command again\n".encode())
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


if __name__ == "__main__":
    # First of all, since a scheduler may stop the job while torch is imported.
    signal.signal(signal.SIGTERM, say_stopped)
    from .jobs.run import main

    main(START)
