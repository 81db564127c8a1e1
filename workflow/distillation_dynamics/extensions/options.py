"""The options that a file of the library has: `OPTIONS`, by the words of a JSON schema, and those that files share.

What several files of a folder have is declared once, in the `OPTIONS` of `_shared.py` there. A file names those that it
takes in `SHARED`; where its own `OPTIONS` have one of that name, they say what is otherwise there (another default).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from ..errors import StudyError
from ..spec.keys import Key
from .file import File


@dataclass(frozen=True)
class Option:
    """An option of an objective or architecture, by the words of a JSON schema."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (as pydantic reads it)

    type: Annotated[Literal["number", "integer", "boolean", "string"], Key()]
    default: Any = None
    description: Annotated[str, Key()] = ""
    enum: Annotated[tuple[str, ...], Key()] = ()
    minimum: Annotated[float | None, Key()] = None
    exclusiveMinimum: Annotated[float | None, Key()] = None
    maximum: Annotated[float | None, Key()] = None
    exclusiveMaximum: Annotated[float | None, Key()] = None


def options_of(file: File, taken: Iterable[str] = (), whose: str = "") -> dict[str, Option]:
    """Return the options of a file by name; raise StudyError where one cannot be read, or has a name that is `taken`.

    `whose` says what has such an option already.
    """
    from pydantic import TypeAdapter

    from ..spec.faults import read

    sharing = "SHARED" in file.names
    given = file.value("OPTIONS", *([{}] if sharing else []))
    if sharing and isinstance(given, dict):
        shared = file.beside("_shared.py").value("OPTIONS")
        for name in file.texts("SHARED", shared):
            own = given.get(name, {})
            given[name] = shared[name] | own if isinstance(own, dict) else own
    try:
        options = read(TypeAdapter(dict[str, Option]), given, "OPTIONS")
    except StudyError as error:
        raise StudyError("\n".join(f"{file.path}: {line}" for line in str(error).splitlines())) from error
    for name in set(options).intersection(taken):
        raise file.fault("OPTIONS", f"{name} is an option of {whose}; choose another name")
    return options
