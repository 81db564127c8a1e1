"""The modules of the library as their definitions: what each means, without its words, and what it refers to.

Of a definition its meaning counts: comments, layout, docstrings, the words of errors, of asserts and of what is
printed, captions, what `Annotated` says beside a type and what OPTIONS say that one means do not; what columns say of
themselves (`Column`) counts only where it is shown. Types count where code reads them, which are those of fields in the
rooms of `TYPED`; elsewhere they only tell which classes are used. All is read from the syntax tree.
"""

import ast
import hashlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from ..syntax import parsed

PACKAGE = __package__.partition(".")[0]
# Calls and names whose words are for a person, and calls whose words are shown in tables.
WORDS, CAPTIONS, TEXTS = {"Interrupted", "NotFinite", "print", "say_once"}, {"CAPTION"}, {"Column"}
# Errors whose words a figure shows.
SHOWN = {"NoValue"}
# Decorators that do nothing but return a function, by their last name; what others do is done by importing a module.
PURE = {"abstractmethod", "cache", "contextmanager", "dataclass", "inference_mode", "lru_cache", "no_grad"}
# By these a module looks into itself: whatever uses one needs all of it.
REFLECTION = {"__import__", "eval", "exec", "globals"}
# Rooms of classes whose types of fields are read (`spec.base.build`, pydantic), and what dataclasses read of a type.
TYPED, OF_DATACLASSES = ("spec", "study", "extensions"), ("ClassVar", "InitVar", "KW_ONLY")
# In the place of a definition: all of a module's, and what it does by being imported.
ALL, IMPORT = "*", ""

# A module of the library, and in it a name, a name of that name's, or ALL.
Reference = tuple[str, ...]


class Definition(NamedTuple):
    """Hashes of what it means and of what its columns say ('' for nothing), and the references in it."""

    meaning: str
    texts: str
    references: list[Reference]


class Module(NamedTuple):
    """Definitions by name, with what is done by importing it as IMPORT; references by the names that it imports."""

    definitions: dict[str, Definition]
    imports: dict[str, list[Reference]]


# Module -> [hash of what it was read from, Module]: of an earlier process, for the next one.
known: dict[str, list] = {}


def hash_of(*parts: str | bytes) -> str:
    """Return 12 hexadecimal digits that stand for some parts."""
    total = hashlib.sha256()
    for part in parts:
        total.update((part if isinstance(part, bytes) else part.encode()) + b"\0")
    return total.hexdigest()[:12]


# How modules are read, which is part of what they are known again by.
HOW = hash_of(Path(__file__).read_bytes(), sys.version)


def read(name: str, path: Path) -> Module:
    """Return a module of the library by its name and file; it is parsed only where it is new."""
    content = path.read_bytes()
    seen = hash_of(HOW, path.name, content)
    if name not in known or known[name][0] != seen:
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        known[name] = [seen, _module(name, package, parsed(content, path))]
    definitions, imports = known[name][1]
    if not isinstance(known[name][1], Module):
        # As JSON gives it back.
        definitions = {
            one: Definition(said[0], said[1], list(map(tuple, said[2]))) for one, said in definitions.items()
        }
        imports = {one: list(map(tuple, said)) for one, said in imports.items()}
        known[name][1] = Module(definitions, imports)
    return known[name][1]


def _module(name: str, package: str, tree: ast.Module) -> Module:
    """Return what a module defines and imports."""
    imports: dict[str, list[Reference]] = {}
    for node in ast.walk(tree):
        for bound, reference in _imported(node, package):
            imports.setdefault(bound, []).append(reference)
    statements: dict[str, list[ast.stmt]] = {IMPORT: []}
    for statement in tree.body:
        for defined in _names_of(statement):
            statements.setdefault(defined, []).append(statement)
    for part in statements[IMPORT]:
        # What is defined by being imported is there wherever the module is.
        stored = (one.id for one in ast.walk(part) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store))
        for defined in stored:
            statements.setdefault(defined, [])
    definitions = {}
    for defined, parts in statements.items():
        reader = _Reader(name, statements.keys(), imports)
        meanings = [reader.meaning(defined, part) for part in parts]
        references = dict.fromkeys(reader.references)
        if defined == IMPORT:
            references |= dict.fromkeys(
                reference if reference[-1] == ALL else (*reference, IMPORT)
                for one in imports.values()
                for reference in one
            )
        definitions[defined] = Definition(
            hash_of(*meanings) if meanings else "", hash_of(*reader.texts) if reader.texts else "", list(references)
        )
    return Module(definitions, imports)


def _imported(node: ast.AST, package: str) -> Iterator[tuple[str, Reference]]:
    """Yield the names that a statement imports from the library, with what they are."""
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


def _names_of(statement: ast.stmt) -> list[str]:
    """Return the names that a statement at the top of a module defines; IMPORT where it does anything else."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        pure = all(_last_name(decorator) in PURE for decorator in statement.decorator_list)
        return [statement.name] if pure else [statement.name, IMPORT]
    if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        parts = [part for target in targets for part in getattr(target, "elts", [target])]
        return [part.id if isinstance(part, ast.Name) else IMPORT for part in parts]
    if isinstance(statement, ast.Import | ast.ImportFrom) or _docstring(statement):
        star = isinstance(statement, ast.ImportFrom) and statement.names[0].name == ALL
        return [IMPORT] if star else []
    # What is read by type checkers alone, or done only where the module is a program.
    tests = {"TYPE_CHECKING", "__name__ == '__main__'"}
    return [] if isinstance(statement, ast.If) and ast.unparse(statement.test) in tests else [IMPORT]


def _last_name(node: ast.AST) -> str | None:
    """Return the last name of what is called or named: `cache` of `functools.cache`."""
    node = node.func if isinstance(node, ast.Call) else node
    return getattr(node, "attr", getattr(node, "id", None))


class _Reader:
    """Takes words and texts out of statements of a module, and collects the texts, and what else is referred to."""

    def __init__(self, module: str, own: Iterable[str], imports: dict[str, list[Reference]]):
        self.module, self.own, self.imports = module, set(own), imports
        self.texts: list[str] = []
        self.references: list[Reference] = []

    def meaning(self, name: str, statement: ast.stmt) -> str:
        """Return a statement, by which `name` is defined, without its words."""
        if name in CAPTIONS:
            return ""
        for option in (part for part in ast.walk(statement) if name == "OPTIONS" and isinstance(part, ast.Dict)):
            pairs = zip(option.keys, option.values, strict=True)
            told = [pair for pair in pairs if getattr(pair[0], "value", None) != "description"]
            option.keys, option.values = [key for key, _ in told], [value for _, value in told]
        plain = self._without_type(statement, field=False) or ast.Pass()
        left: list[ast.AST] = [plain]
        while left:
            node = left.pop()
            left += self._parts_of(node)
        return "" if self._is_type(name, plain) else ast.unparse(plain)

    def _is_type(self, name: str, statement: ast.stmt) -> bool:
        """Return whether a statement only gives a type a name, `Said = Mapping[Part, Tensor]`, that no code reads."""
        if self._typed or not isinstance(statement, ast.Assign) or not name[:1].isupper() or name.isupper():
            return False
        return isinstance(statement.value, ast.Subscript | ast.BinOp)

    @property
    def _typed(self) -> bool:
        return self.module.partition(".")[0] in TYPED

    def _parts_of(self, node: ast.AST) -> Iterable[ast.AST]:
        """Take the words out of a node and note what it refers to; return those of its parts that are to be read."""
        if isinstance(node, ast.Name):
            self._refer(node.id)
        elif isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and node.value.id in self.imports:
                self._refer(node.value.id, node.attr)
                return ()
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "id", None)
            if name in TEXTS:
                self.texts.append(ast.unparse(node))
            if name in WORDS | TEXTS or str(_last_name(node)).endswith("Error"):
                _without_words(node)
        elif isinstance(node, ast.Raise):
            if isinstance(node.exc, ast.Call) and _last_name(node.exc) not in SHOWN:
                node.exc.args = [one for one in node.exc.args if not _is_text(one)]
        elif isinstance(node, ast.Assert):
            node.msg = None if node.msg is not None and not _assigns(node.msg) else node.msg
        elif isinstance(node, ast.Subscript):
            if getattr(node.value, "id", None) == "Annotated" and isinstance(node.slice, ast.Tuple):
                node.slice = node.slice.elts[0]
        elif isinstance(node, ast.arg):
            self._refer_to_type(node.annotation)
            node.annotation = None
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            self._refer_to_type(node.returns)
            node.returns = None
        for name in ("body", "orelse", "finalbody"):
            if isinstance(statements := getattr(node, name, None), list):
                fields = isinstance(node, ast.ClassDef)
                left = [self._without_type(one, fields) for one in statements if not _docstring(one)]
                setattr(node, name, [one for one in left if one is not None] or ([ast.Pass()] if statements else []))
        return ast.iter_child_nodes(node)

    def _without_type(self, statement: ast.stmt, field: bool) -> ast.stmt | None:
        """Return an assignment without its type; of a `field` of a class its name stays, and the type where it is read.

        Anything else stays as it is; None of a variable that is declared alone.
        """
        if not isinstance(statement, ast.AnnAssign):
            return statement
        self._refer_to_type(statement.annotation)
        if field:
            said = ast.unparse(statement.annotation)
            if not (self._typed or any(word in said for word in OF_DATACLASSES)):
                statement.annotation = ast.Constant(value=None)
            return statement
        if statement.value is None:
            return None
        return ast.copy_location(ast.Assign([statement.target], statement.value), statement)

    def _refer_to_type(self, kind: ast.expr | None) -> None:
        """Note the names in a type: of what its values do is called only by them, with no other word of the class."""
        for part in ast.walk(kind) if kind else ():
            if isinstance(part, ast.Name):
                self._refer(part.id)
            elif isinstance(part, ast.Attribute):
                if isinstance(part.value, ast.Name) and part.value.id in self.imports:
                    self._refer(part.value.id, part.attr)
            elif isinstance(part, ast.Constant):
                self._refer(str(part.value))

    def _refer(self, name: str, *rest: str) -> None:
        if name in self.own:
            self.references.append((self.module, name))
        if name in REFLECTION:
            self.references.append((self.module, ALL))
        for reference in self.imports.get(name, []):
            # Of a module that is imported whole, all counts.
            self.references.append(reference if reference[-1] == ALL else (*reference, *rest))


def _without_words(node: ast.Call) -> None:
    """Take out what a call is given, unless that is also assigned to a name."""
    if not _assigns(node):
        node.args, node.keywords = [], []


def _assigns(node: ast.AST) -> bool:
    return any(isinstance(one, ast.NamedExpr) for one in ast.walk(node))


def _is_text(node: ast.expr) -> bool:
    """Return whether an argument is a text that assigns nothing: written down, filled in, or put together of such."""
    if isinstance(node, ast.BinOp):
        return _is_text(node.left) or _is_text(node.right)
    written = isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))
    return written and not _assigns(node)


def _docstring(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
