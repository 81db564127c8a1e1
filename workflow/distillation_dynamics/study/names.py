"""Names of files of the library, as values of a configuration. Imports no torch."""

from typing import Any

from .. import extensions


class OneOf:
    """The name of a file of the library, of a kind that `extensions` finds."""

    def __init__(self, kind: str):
        self.kind = kind

    def names(self) -> tuple[str, ...]:
        """Return all of them."""
        return tuple(getattr(extensions, self.kind)())

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """Return pydantic's schema of one of the names."""
        from pydantic_core import core_schema

        return core_schema.literal_schema(list(self.names()))
