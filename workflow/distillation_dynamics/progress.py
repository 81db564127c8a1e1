"""What a stage says while it works: of several jobs together each, of a long one how far it is. Imports no torch."""

import re
import sys
import time
from collections.abc import Callable

from .errors import StudyError

# Seconds between two lines that say how far a job is: a short one says nothing.
INTERVAL = 60
SO_FAR = re.compile(r"^so far: (.*)$", re.MULTILINE)


class Progress:
    """Is told of every job, by its number; this one is silent, and raises what went wrong."""

    def state_key(self, job: int) -> str:
        """Return the name of the states of a job's unfinished training."""
        return f"member{job}"

    def begin(self, job: int) -> None:
        """The files of a job are about to be written."""

    def end(self, job: int, seconds: float) -> None:
        """The files of a job are written; its part of the time took so many seconds."""

    def fail(self, job: int, error: StudyError) -> None:
        """A job ended with an error."""
        raise error


class Pace:
    """Says at intervals, in a line of the job's log, how many of its images a job is done with, and the time left."""

    def __init__(self, images: int, clock: Callable[[], float] = time.monotonic):
        self.images, self.clock, self.done = images, clock, 0
        self.begun = self.last = clock()

    def add(self, images: int) -> None:
        """So many images more are done with."""
        self.done, now = self.done + images, self.clock()
        if now - self.last >= INTERVAL and self.done < self.images:
            self.last, left = now, (now - self.begun) * (self.images - self.done) / self.done
            said = f"so far: {self.done} of {self.images} images, about {duration(left)} left"
            print(said, file=sys.stderr, flush=True)


def so_far(log: str) -> str:
    """Return how far the job is whose log holds `log`, by its last line that says so; '' for none."""
    found = SO_FAR.findall(log)
    return found[-1] if found else ""


def duration(seconds: float) -> str:
    """Return a time as a person says it: 42 s, 12 min, 3.4 h, 2.1 days."""
    for unit, size, places, limit in (("s", 1, 0, 99.5), ("min", 60, 0, 99.5 * 60), ("h", 3600, 1, 48 * 3600)):
        if seconds < limit:
            return f"{seconds / size:.{places}f} {unit}"
    return f"{seconds / 86400:.1f} days"
