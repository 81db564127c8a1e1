"""Reads Python files without running them, so that nothing is imported."""

import ast
import os
from functools import cache
from pathlib import Path

from .errors import StudyError


def parsed(content: bytes, path: Path) -> ast.Module:
    """Return a file's syntax tree; raise StudyError with file and line if it is not Python."""
    try:
        return ast.parse(content, str(path))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        where, what = f"{os.path.relpath(path)}{f', line {line}' if line else ''}", getattr(error, "msg", error)
        raise StudyError(f"{where}: not valid Python ({what})") from error


def defined(path: Path) -> dict[str, ast.AST]:
    """Return name -> value, class, function or import at the top of a module; `__doc__` is its docstring."""
    status = path.stat()
    return _defined(path, status.st_mtime_ns, status.st_size)


@cache
def _defined(path: Path, *_: int) -> dict[str, ast.AST]:
    names: dict[str, ast.AST] = {}
    for node in parsed(path.read_bytes(), path).body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id: node.value for target in targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.ClassDef | ast.FunctionDef):
            names[node.name] = node
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name: node for alias in node.names}
        elif isinstance(node, ast.Expr):
            names.setdefault("__doc__", node.value)
    return names
