"""Progress reports of a stage: per job if it runs several, at intervals if it is long. Imports no torch."""

import re
import sys
import time
from collections.abc import Callable

from .errors import StudyError

# Seconds between two progress lines; short jobs print none.
INTERVAL = 60
SO_FAR = re.compile(r"^so far: (.*)$", re.MULTILINE)


class Progress:
    """Receives events of every job by number; this base class is silent and re-raises errors."""

    def state_key(self, job: int) -> str:
        """Return the name of a job's saved training states."""
        return f"member{job}"

    def begin(self, job: int) -> None:
        """A job's files are about to be written."""

    def end(self, job: int, seconds: float) -> None:
        """A job's files are complete; its share of the time was `seconds`."""

    def fail(self, job: int, error: StudyError) -> None:
        """A job failed."""
        raise error


class Pace:
    """Logs at intervals how many images a job has processed, and the time left."""

    def __init__(self, images: int, clock: Callable[[], float] = time.monotonic):
        self.images, self.clock, self.done = images, clock, 0
        self.begun = self.last = clock()

    def add(self, images: int) -> None:
        """Count `images` more images as processed."""
        self.done, now = self.done + images, self.clock()
        if now - self.last >= INTERVAL and self.done < self.images:
            self.last, left = now, (now - self.begun) * (self.images - self.done) / self.done
            said = f"so far: {self.done} of {self.images} images, about {duration(left)} left"
            print(said, file=sys.stderr, flush=True)


def so_far(log: str) -> str:
    """Return the last progress line in the text of a job's log; "" if there is none."""
    found = SO_FAR.findall(log)
    return found[-1] if found else ""


def duration(seconds: float) -> str:
    """Return a duration in readable form: 42 s, 12 min, 3.4 h, 2.1 days."""
    for unit, size, places, limit in (("s", 1, 0, 99.5), ("min", 60, 0, 99.5 * 60), ("h", 3600, 1, 48 * 3600)):
        if seconds < limit:
            return f"{seconds / size:.{places}f} {unit}"
    return f"{seconds / 86400:.1f} days"
