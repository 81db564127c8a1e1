"""`python -m distillation_dynamics FILE`: carry out a task."""

import os
import signal
import time
from typing import Any

START = time.time()


def say_stopped(number: int, frame: Any) -> None:
    """Leave in the log why the job ends, which a process that dies of a signal does not, and end of it.

    A training that has begun its updates has a handler of its own, with which it saves its state.
    """
    name = signal.Signals(number).name
    os.write(2, f"not finished: stopped by {name}; run the same command again\n".encode())
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


if __name__ == "__main__":
    # Before anything else: a scheduler may ask while torch is imported.
    signal.signal(signal.SIGTERM, say_stopped)
    from .jobs.run import main

    main(START)
