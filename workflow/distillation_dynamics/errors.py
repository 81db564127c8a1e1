"""The exceptions whose messages are written for the person who runs the study, and how these are worded."""

import difflib
import os
import sys
import traceback
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

LIBRARY = os.path.dirname(__file__)
# Folders of the library whose files people add.
EXTENSIONS = (
    *("objectives", "targets", "networks/architectures", "metrics", "figures", "questions", "data/sources"),
    *("page/panels",),
)
LONGEST, LONGEST_VALUE = 300, 60


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


def said_of(value: Any) -> str:
    """Return in short what a value is: its type and shape, or what it says."""
    shape = getattr(value, "shape", None)
    if shape is not None:
        return f"{type(value).__name__} {getattr(value, 'dtype', '')} {list(shape)}"
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}... ({type(value).__name__})"


def unreadable(path: str, error: OSError) -> StudyError:
    """Return the error that says why a file or folder cannot be read."""
    reason = "a link to nothing" if os.path.islink(path) else error.strerror
    return StudyError(f"{path}: cannot be read ({reason}); fix or remove it")


def is_memory(error: BaseException) -> bool:
    """Return whether an error says that there is not enough memory, on a GPU or off it."""
    out = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return out or "DefaultCPUAllocator" in str(error)


def at_fault(error: Exception, path: str | None = None) -> StudyError:
    """Return the sentence on an error that nobody foresaw: in which file and line it arose, and what it says.

    That is where it came through `path`; without one, or where it did not, the innermost extension, and without one the
    innermost file of the library. The traceback goes to the log.
    """
    if isinstance(error, StudyError):
        return error
    traceback.print_exception(error)
    frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    of_library = [place for place in frames if place[0].startswith(os.path.join(LIBRARY, ""))]
    chosen = (
        [place for place in frames if place[0] == path]
        or ([(path, None)] if path else [place for place in of_library if _of_extension(place[0])])
        or of_library
    )
    said = " ".join(str(error).split())[:LONGEST]
    what = f"{type(error).__name__}{f': {said}' if said else ''}"
    if not chosen:
        return StudyError(what)
    file, line = chosen[-1]
    return StudyError(f"{os.path.relpath(file)}{f', line {line}' if line else ''}: {what}")


def _of_extension(path: str) -> bool:
    """Return whether a file of the library lies in a folder that people add files to."""
    below = os.path.relpath(path, LIBRARY)
    return below.startswith(tuple(os.path.join(*folder.split("/"), "") for folder in EXTENSIONS))


@contextmanager
def extensions_named() -> Iterator[None]:
    """Raise what an extension fails with as a sentence with its file and line; other errors stay what they are."""
    try:
        yield
    except (StudyError, Interrupted):
        raise
    except Exception as error:
        files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
        inside = any(file.startswith(os.path.join(LIBRARY, "")) and _of_extension(file) for file in files)
        if not inside or is_memory(error):
            raise
        raise at_fault(error) from error


@cache
def say_once(text: str) -> None:
    """Print a sentence on stderr, the first time that this process comes to say it."""
    print(text, file=sys.stderr, flush=True)
