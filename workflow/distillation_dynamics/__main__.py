"""`python -m distillation_dynamics FILE`: carry out a task."""

import time

START = time.time()

from .jobs.run import main  # noqa: E402 (what is imported counts as start-up)

if __name__ == "__main__":
    main(START)
