"""The exceptions whose messages are written for the person who runs the study, and how these are worded."""

import difflib
import os
import sys
from collections.abc import Collection
from functools import cache


class StudyError(Exception):
    """Something the user can mend: the message names the file or key and the remedy, in one sentence."""


class Interrupted(Exception):
    """A stage was asked to stop and saved its state: nothing is wrong, but it is not finished."""


def nearest(name: str, known: Collection[str]) -> str:
    """Return the known name that is meant, where one is near, and all that are allowed."""
    return did_you_mean(name, known) + f"allowed: {', '.join(known)}"


def did_you_mean(name: str, known: Collection[str]) -> str:
    """Return a question that names the known name nearest to this one; nothing where none is near."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}? " if near else ""


def unreadable(path: str, error: OSError) -> StudyError:
    """Return the error that says why a file or folder cannot be read."""
    reason = "a link to nothing" if os.path.islink(path) else error.strerror
    return StudyError(f"{path}: cannot be read ({reason}); mend or remove it")


@cache
def say_once(text: str) -> None:
    """Print a sentence on stderr, the first time that this process comes to say it."""
    print(text, file=sys.stderr, flush=True)
