"""The library's modules as definitions: the meaning of each, without words for people, and its references.

`meaning` says what counts of a definition. Everything is read from the syntax tree.
"""

import ast
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..syntax import parsed
from . import meaning
from .meaning import ALL, IMPORT, Reader, Reference, is_docstring, last_name

PACKAGE = __package__.partition(".")[0]
# Decorators that only wrap a function, by their last name; others count as work done on import.
PURE = {"abstractmethod", "cache", "contextmanager", "dataclass", "inference_mode", "lru_cache", "no_grad"}


class Definition(NamedTuple):
    """A definition: hashes of its meaning and its columns' texts ("" for none), references and other packages."""

    meaning: str
    texts: str
    references: list[Reference]
    packages: list[str]


class Module(NamedTuple):
    """Definitions by name, with import-time work under IMPORT; references by the names a module imports."""

    definitions: dict[str, Definition]
    imports: dict[str, list[Reference]]


# Module -> (hash of its source, Module), kept from an earlier process.
Known = dict[str, tuple[str, Module]]
known: Known = {}


def hash_of(*parts: str | bytes) -> str:
    """Return 12 hexadecimal digits that identify some parts."""
    total = hashlib.sha256()
    for part in parts:
        total.update((part if isinstance(part, bytes) else part.encode()) + b"\0")
    return total.hexdigest()[:12]


# Version of the reader, part of each module's identity.
HOW = hash_of(Path(__file__).read_bytes(), Path(meaning.__file__).read_bytes(), sys.version)


def read(name: str, path: Path) -> Module:
    """Return a module of the library by name and file; it is parsed only if it changed."""
    content = path.read_bytes()
    seen = hash_of(HOW, path.name, content)
    if name not in known or known[name][0] != seen:
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        known[name] = seen, _module(name, package, parsed(content, path))
    return known[name][1]


def _module(name: str, package: str, tree: ast.Module) -> Module:
    """Return the definitions and imports of a module."""
    imports: dict[str, list[Reference]] = {}
    others: dict[str, str] = {}
    for node in ast.walk(tree):
        for bound, reference in _imported(node, package):
            imports.setdefault(bound, []).append(reference)
        others |= _imported_from_others(node)
    statements: dict[str, list[ast.stmt]] = {IMPORT: []}
    for statement in tree.body:
        for defined in _names_of(statement):
            statements.setdefault(defined, []).append(statement)
    for part in statements[IMPORT]:
        # Definitions made by importing exist wherever the module does.
        stored = (one.id for one in ast.walk(part) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store))
        for defined in stored:
            statements.setdefault(defined, [])
    definitions = {}
    for defined, parts in statements.items():
        reader = Reader(name, statements.keys(), imports, others)
        meanings = [reader.meaning(defined, part) for part in parts]
        references = dict.fromkeys(reader.references)
        if defined == IMPORT:
            references |= dict.fromkeys(
                reference if reference[-1] == ALL else (*reference, IMPORT)
                for one in imports.values()
                for reference in one
            )
        definitions[defined] = Definition(
            hash_of(*meanings) if meanings else "",
            hash_of(*reader.texts) if reader.texts else "",
            list(references),
            sorted(reader.packages),
        )
    return Module(definitions, imports)


def _imported(node: ast.AST, package: str) -> Iterator[tuple[str, Reference]]:
    """Yield the names a statement imports from the library, with their references."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.name.partition(".")[0] == PACKAGE:
                yield alias.asname or PACKAGE, (alias.name.partition(".")[2], ALL)
    elif isinstance(node, ast.ImportFrom):
        if node.level:
            around = package.split(".") if package else []
            base = [*around[: len(around) - node.level + 1], *filter(None, [node.module])]
        else:
            first, *base = (node.module or "").split(".")
            if first != PACKAGE:
                return
        for alias in node.names:
            yield alias.asname or alias.name, (".".join(base), alias.name)


def _imported_from_others(node: ast.AST) -> dict[str, str]:
    """Return the names a statement imports from other packages, each with its package."""
    if isinstance(node, ast.Import):
        return {one.asname or one.name.partition(".")[0]: one.name.partition(".")[0] for one in node.names}
    if isinstance(node, ast.ImportFrom) and not node.level and node.module:
        return {one.asname or one.name: node.module.partition(".")[0] for one in node.names}
    return {}


def _names_of(statement: ast.stmt) -> list[str]:
    """Return the names that a module's top-level statement defines; IMPORT if it does anything else."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        pure = all(last_name(decorator) in PURE for decorator in statement.decorator_list)
        return [statement.name] if pure else [statement.name, IMPORT]
    if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        parts = [part for target in targets for part in getattr(target, "elts", [target])]
        return [part.id if isinstance(part, ast.Name) else IMPORT for part in parts]
    if isinstance(statement, ast.Import | ast.ImportFrom) or is_docstring(statement):
        star = isinstance(statement, ast.ImportFrom) and statement.names[0].name == ALL
        return [IMPORT] if star else []
    # Only for type checkers, or only when the module runs as a program.
    tests = {"TYPE_CHECKING", "__name__ == '__main__'"}
    return [] if isinstance(statement, ast.If) and ast.unparse(statement.test) in tests else [IMPORT]
