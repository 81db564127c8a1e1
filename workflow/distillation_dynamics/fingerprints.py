"""Which code a stage really uses, as hashes: part of the key of every job.

The hash of a module is that of its meaning: comments, layout, docstrings, the words of errors, what is only printed,
what `Annotated` says beside a type and what OPTIONS say that one means do not count. A fingerprint lists a stage's
module and all modules of the library that it imports, transitively, read from the syntax tree. Objectives, metrics and
figures are imported by name at run time, which the syntax tree does not show; whoever asks for a fingerprint names
them.
"""

import ast
import hashlib
import os
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

from .errors import StudyError

ROOT = Path(__file__).parents[1]
PACKAGE = __package__
# Modules that cannot change what a stage writes: which GPU it takes, what is planned, which names functions go by.
WITHOUT_EFFECT = {
    f"{PACKAGE}.{name}"
    for name in (
        "errors",
        "fingerprints",
        "gpus",
        "jobs",
        "metrics",
        "networks.acceptance",
        "spec.keys",
        "spec.machine",
    )
}
# Calls whose arguments are words for a person.
WORDS = {"StudyError", "Interrupted", "print", "say_once"}


def fingerprint(*modules: str) -> list[str]:
    """Return sorted 'module:hash' of `modules` (names inside the library) and all they import from it."""
    names = set().union(*(_imports(f"{PACKAGE}.{module}") for module in modules))
    return sorted(f"{name.removeprefix(PACKAGE + '.')}:{_code(name, _path(name)).meaning}" for name in names)


def defined(path: Path) -> dict[str, ast.AST]:
    """Return name -> assigned value, class, function or import at the top of a module, which is read and not run.

    Raises StudyError, with file and line, where it is not Python.
    """
    status = path.stat()
    return _defined(path, status.st_mtime_ns, status.st_size)


@cache
def _defined(path: Path, *_: int) -> dict[str, ast.AST]:
    names: dict[str, ast.AST] = {}
    for node in _tree(path).body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id: node.value for target in targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.ClassDef | ast.FunctionDef):
            names[node.name] = node
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name: node for alias in node.names}
    return names


def _tree(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes(), str(path))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        where, what = f"{os.path.relpath(path)}{f', line {line}' if line else ''}", getattr(error, "msg", error)
        raise StudyError(f"{where}: not valid Python ({what})") from error


class Code(NamedTuple):
    """What is known of a module's code: a hash of its meaning, and what its import statements may mean."""

    meaning: str
    named: tuple[str, ...]


# Module file -> [what the file is known again by, meaning, names]: of an earlier process, for the next one.
known: dict[str, list] = {}


@cache
def _imports(module: str) -> frozenset[str]:
    seen, queue = set(), [module]
    while queue:
        name = queue.pop()
        path = _path(name)
        if name in seen or path is None or not name.startswith(PACKAGE) or name in WITHOUT_EFFECT:
            continue
        seen.add(name)
        queue += [name.rpartition(".")[0], *_code(name, path).named]
    return frozenset(seen)


@cache
def _path(name: str) -> Path | None:
    base = ROOT.joinpath(*name.split("."))
    candidates = base.with_suffix(".py"), base / "__init__.py"
    return next((path for path in candidates if name and path.is_file()), None)


@cache
def _code(module: str, path: Path) -> Code:
    """Return what is known of a module, read only where its file is another than when it was last read."""
    status = path.stat()
    seen = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, *sys.version_info[:2]]
    if str(path) not in known or known[str(path)][0] != seen:
        tree = _tree(path)
        named = _named_by(module, path, tree)
        meaning = hashlib.sha256(ast.unparse(_WithoutWords().visit(tree)).encode()).hexdigest()[:12]
        known[str(path)] = [seen, meaning, named]
    _, meaning, named = known[str(path)]
    return Code(meaning, tuple(named))


def _named_by(module: str, path: Path, tree: ast.Module) -> list[str]:
    """Return what the import statements of a module may mean: modules, and names in them that may be modules."""
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = module if path.name == "__init__.py" else module.rpartition(".")[0]
            for _ in range(node.level - 1):
                package = package.rpartition(".")[0]
            base = ".".join(filter(None, [package if node.level else "", node.module]))
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return names


class _WithoutWords(ast.NodeTransformer):
    """Leaves out docstrings, what is said of types and options, and the words of errors and of what is printed.

    What those words are computed from stays.
    """

    def visit(self, node: ast.AST) -> ast.AST:
        """Return a node without its words."""
        node = self.generic_visit(node)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and _docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) in WORDS:
            if any(isinstance(part, ast.NamedExpr) for part in ast.walk(node)):
                return node
            node.args, node.keywords = [], []
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "OPTIONS":
            for option in (part for part in ast.walk(node.value) if isinstance(part, ast.Dict)):
                said = [getattr(key, "value", None) == "description" for key in option.keys]
                option.keys = [key for key, words in zip(option.keys, said, strict=True) if not words]
                option.values = [value for value, words in zip(option.values, said, strict=True) if not words]
        if isinstance(node, ast.Subscript) and getattr(node.value, "id", None) == "Annotated":
            return node.slice.elts[0] if isinstance(node.slice, ast.Tuple) else node.slice
        return node


def _docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return ast.get_docstring(node, clean=False) is not None
