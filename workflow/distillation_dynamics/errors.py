"""The exceptions whose messages are written for the person who runs the study, and how these are worded."""

import difflib
import os
import sys
import traceback
from collections.abc import Callable, Collection
from functools import cache
from typing import Any

LIBRARY = os.path.dirname(__file__)
# Folders of the library whose files people add.
EXTENSIONS = (
    *("objectives", "targets", "networks/architectures", "metrics", "figures", "questions", "data/sources"),
    *("page/panels",),
)
LONGEST = 300


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


def place_of(function: Callable[..., Any]) -> str:
    """Return file and line of a function, as sentences name them."""
    code = getattr(function, "__wrapped__", function).__code__
    return f"{os.path.relpath(code.co_filename)}, line {code.co_firstlineno}"


def unreadable(path: str, error: OSError) -> StudyError:
    """Return the error that says why a file or folder cannot be read."""
    reason = "a link to nothing" if os.path.islink(path) else error.strerror
    return StudyError(f"{path}: cannot be read ({reason}); mend or remove it")


def is_memory(error: BaseException) -> bool:
    """Return whether an error says that there is not enough memory, on a GPU or off it."""
    out = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return out or "DefaultCPUAllocator" in str(error)


def at_fault(error: Exception) -> StudyError:
    """Return the sentence on an error that nobody foresaw: in which file and line it arose, and what it says.

    Of the files that it came through the innermost extension, or without one the innermost file of the library. The
    traceback goes to the log.
    """
    if isinstance(error, StudyError):
        return error
    traceback.print_exception(error)
    inside = os.path.join(LIBRARY, "")
    passed = [
        (frame.filename, frame.lineno)
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename.startswith(inside)
    ]
    of_people = [place for place in passed if place[0].removeprefix(inside).startswith(_FOLDERS)]
    said = " ".join(str(error).split())[:LONGEST]
    what = f"{type(error).__name__}{f': {said}' if said else ''}"
    if not passed:
        return StudyError(what)
    path, line = (of_people or passed)[-1]
    return StudyError(f"{os.path.relpath(path)}, line {line}: {what}; the traceback stands in the log")


_FOLDERS = tuple(os.path.join(*folder.split("/"), "") for folder in EXTENSIONS)


@cache
def say_once(text: str) -> None:
    """Print a sentence on stderr, the first time that this process comes to say it."""
    print(text, file=sys.stderr, flush=True)
