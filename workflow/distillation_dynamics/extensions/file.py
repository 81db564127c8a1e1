"""One extension file as written: its top-level names, or one sentence on its fault."""

import ast
import os
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import StudyError, did_you_mean, nearest
from ..syntax import defined

TYPES = {bool: "True or False", int: "a whole number", str: "a text"}


class File(NamedTuple):
    """A file with its top-level names as `syntax.defined` returns them; methods that read it raise StudyError.

    Assigned values must be literals; a name without a default is required.
    """

    path: str
    name: str
    names: dict[str, ast.AST]

    def has(self, name: str) -> bool:
        """Return whether its folder has another file of that name."""
        return Path(self.path).with_name(name).is_file()

    def beside(self, name: str) -> "File":
        """Return another file of its folder."""
        path = Path(self.path).with_name(name)
        return File(str(path), self.name, defined(path))

    def fault(self, name: str, what: str) -> StudyError:
        """Return the error for a fault of a name's value."""
        return StudyError(f"{self.path}: {name}: {what}")

    def value(self, name: str, *default: Any) -> Any:
        """Return the value of a name."""
        if name not in self.names:
            if default:
                return default[0]
            raise self.fault(name, f"is not given; {self._hint(name)}")
        try:
            return ast.literal_eval(self.names[name])
        except ValueError as error:
            raise self.fault(name, "must be written as a plain value, since the file is read and not run") from error

    def of_type(self, name: str, kind: type, *default: Any) -> Any:
        """Return the value of a name, of one of TYPES."""
        value = self.value(name, *default)
        if type(value) is not kind:
            raise self.fault(name, f"must be {TYPES[kind]}, and not {value!r}")
        return value

    def one(self, name: str, allowed: Collection[str], *default: Any) -> Any:
        """Return the value of a name, one of those allowed."""
        if name in self.names:
            self.allow(name, [self.value(name)], allowed)
        return self.value(name, *default)

    def texts(
        self, name: str, allowed: Collection[str] | None = None, default: tuple[str, ...] | None = None
    ) -> tuple[str, ...]:
        """Return the tuple of texts of a name, each one of those allowed."""
        value = self.value(name) if default is None else self.value(name, default)
        if not (isinstance(value, tuple | list) and all(isinstance(text, str) for text in value)):
            raise self.fault(name, f"must be a tuple of names, and not {value!r}")
        if allowed is not None:
            self.allow(name, value, allowed)
        return tuple(value)

    def first_sentence(self) -> str:
        """Return the first paragraph of its docstring in one line; its name without a docstring."""
        return " ".join(self.value("__doc__", self.name).split("\n\n")[0].split())

    def keys(self, name: str) -> tuple[str, ...]:
        """Return the keys of a name's dictionary without reading values; none without the name."""
        if name not in self.names:
            return ()
        written = self.names[name]
        keys = written.keys if isinstance(written, ast.Dict) else [None]
        constants: list[Any] = [key.value for key in keys if isinstance(key, ast.Constant)]
        if len(constants) < len(keys):
            raise self.fault(name, "must be a dictionary with its keys written out, since the file is read and not run")
        return tuple(constants)

    def allow(self, name: str, values: Iterable[Any], allowed: Collection[str]) -> None:
        """Raise unless all values of a name are allowed."""
        for value in values:
            if value not in allowed:
                raise self.fault(name, f"{value!r} is not valid; {nearest(str(value), tuple(allowed))}")

    def must_define(self, *names: str) -> None:
        """Raise unless the file defines these functions and classes."""
        for name in names:
            if name not in self.names:
                kind = "class" if name[0].isupper() else "function"
                raise StudyError(f"{self.path}: there is no {kind} {name}; {self._hint(name)}")

    def parameters(self, name: str, method: str) -> tuple[str, ...]:
        """Return the parameters of a class's method, without `self`."""
        self.must_define(name)
        body = getattr(self.names[name], "body", [])
        found = next((f for f in body if isinstance(f, ast.FunctionDef) and f.name == method), None)
        if found is None:
            raise StudyError(f"{self.path}: there is no method {method} of {name}; see the other files in its folder")
        written = found.args
        if written.vararg or written.kwarg or written.defaults or written.kwonlyargs:
            raise self.fault(method, "must name its parameters, each without a default")
        return tuple(argument.arg for argument in written.args[1:])

    def arguments(self, name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return a function's parameters, and those without a default."""
        self.must_define(name)
        function = self.names[name]
        if not isinstance(function, ast.FunctionDef):
            raise self.fault(name, "must be a function")
        given = function.args
        if not (given.posonlyargs or given.args) or given.vararg or given.kwarg:
            raise self.fault(name, "must name its parameters, and have one")
        placed = [one.arg for one in (*given.posonlyargs, *given.args)]
        without = placed[: len(placed) - len(given.defaults)]
        without += [
            one.arg for one, default in zip(given.kwonlyargs, given.kw_defaults, strict=True) if default is None
        ]
        return (*placed, *(one.arg for one in given.kwonlyargs)), tuple(without)

    @property
    def of_the_library(self) -> bool:
        """Return whether a top-level import comes from the library."""
        return any(isinstance(node, ast.ImportFrom) and node.level > 0 for node in self.names.values())

    def must_give_one_of(self, names: tuple[str, ...], what: str) -> None:
        """Raise unless one of the names is given; `what`: what they describe."""
        if not set(names) & self.names.keys():
            raise StudyError(f"{self.path}: none of {', '.join(names)} is given; it must say {what}")

    def _hint(self, name: str) -> str:
        return f"{did_you_mean(name, self.names)}see the other files of {os.path.dirname(self.path)}"
