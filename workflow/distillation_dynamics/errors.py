"""Exceptions with messages for the person who runs a study, and helpers to word them."""

import difflib
import os
import sys
import traceback
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

LIBRARY = os.path.dirname(__file__)
# Packages whose files users add.
EXTENSIONS = (
    *("objectives", "targets", "networks/architectures", "metrics", "figures", "questions", "data/sources"),
    *("page/panels",),
)
LONGEST, LONGEST_VALUE = 300, 60


class StudyError(Exception):
    """An error the user can fix: one sentence that names the file or key, and the remedy."""


class Interrupted(Exception):
    """A stage was asked to stop and saved its state: nothing is wrong, but it is unfinished."""


def nearest(name: str, known: Collection[str]) -> str:
    """Return the known name nearest to `name`, if any is near, and all that are allowed."""
    return did_you_mean(name, known) + f"allowed: {', '.join(known)}"


def did_you_mean(name: str, known: Collection[str]) -> str:
    """Return "did you mean ...?" with the nearest known name; "" if none is near."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}? " if near else ""


def place_of(function: Callable[..., Any]) -> str:
    """Return file and line of a function as messages name them."""
    code = getattr(function, "__wrapped__", function).__code__
    return f"{os.path.relpath(code.co_filename)}, line {code.co_firstlineno}"


def said_of(value: Any) -> str:
    """Return a short description of a value: type and shape, or its text."""
    shape = getattr(value, "shape", None)
    if shape is not None:
        return f"{type(value).__name__} {getattr(value, 'dtype', '')} {list(shape)}"
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}... ({type(value).__name__})"


def unreadable(path: str, error: OSError) -> StudyError:
    """Return the error for an unreadable file or folder."""
    reason = "a link to nothing" if os.path.islink(path) else error.strerror
    return StudyError(f"{path}: cannot be read ({reason}); fix or remove it")


def is_memory(error: BaseException) -> bool:
    """Return whether an error means out of memory, on a GPU or not."""
    out = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return out or "DefaultCPUAllocator" in str(error)


def at_fault(error: Exception, path: str | None = None) -> StudyError:
    """Return the sentence for an unexpected error: file, line and message.

    The location is the innermost one in `path`; failing that, in an extension; failing that, in the library. The
    traceback goes to the log.
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
    """Return whether a file of the library is in a folder that users add files to."""
    below = os.path.relpath(path, LIBRARY)
    return below.startswith(tuple(os.path.join(*folder.split("/"), "") for folder in EXTENSIONS))


@contextmanager
def extensions_named() -> Iterator[None]:
    """Turn errors from extensions into a sentence with file and line; other errors pass."""
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
    """Print a sentence on stderr once per process."""
    print(text, file=sys.stderr, flush=True)
