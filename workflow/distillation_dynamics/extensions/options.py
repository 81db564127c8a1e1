"""Options of an extension file, `OPTIONS` in JSON schema vocabulary, and options shared by several files.

Options shared in a folder are declared once, in `OPTIONS` of its `_shared.py`. A file lists those it takes in `SHARED`;
an entry of the same name in its own `OPTIONS` overrides parts of it (such as the default).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from ..errors import StudyError
from ..spec.keys import Key
from .file import File


@dataclass(frozen=True)
class Option:
    """An option of an objective or architecture, in JSON schema vocabulary."""

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
    """Return the options of a file by name; raise StudyError if one is invalid, or its name is `taken`.

    `whose` names the owner of taken options.
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
