"""The meaning of a definition: its syntax tree without words for people, and the names it uses.

Not counted: comments, docstrings, texts of errors, asserts and prints, captions, metadata in `Annotated`, descriptions
in OPTIONS. Texts of columns (`Column`) count only where they are shown. Types count where code reads them (fields of
classes in packages in `TYPED`); elsewhere they only show which classes are used.
"""

import ast
from collections.abc import Iterable

# Calls whose texts are for people, names of captions, and calls whose texts are shown in tables.
WORDS, CAPTIONS, TEXTS = {"Interrupted", "NotFinite", "print", "say_once"}, {"CAPTION"}, {"Column"}
# Errors whose texts a figure shows.
SHOWN = {"NoValue"}
# Packages that compute or draw results: import name -> distribution name.
COUNTED = {"PIL": "pillow"} | {
    name: name
    for name in [
        "captum",
        "matplotlib",
        "numpy",
        "pandas",
        "pyarrow",
        "scipy",
        "seaborn",
        "timm",
        "torch",
        "torchvision",
    ]
}
# Names that let a module inspect itself: code that uses one depends on the whole module.
REFLECTION = {"__import__", "eval", "exec", "globals"}
# Packages whose field types are read (`spec.base.build`, pydantic), and what dataclasses read of a type.
TYPED, OF_DATACLASSES = ("spec", "study", "extensions"), ("ClassVar", "InitVar", "KW_ONLY")
# Stand-ins for a definition: everything in a module, and what it does on import.
ALL, IMPORT = "*", ""

# A module of the library, followed by a name, an attribute of that name, or ALL.
Reference = tuple[str, ...]


def last_name(node: ast.AST) -> str | None:
    """Return the last name of a call or attribute: `cache` of `functools.cache`."""
    node = node.func if isinstance(node, ast.Call) else node
    return getattr(node, "attr", getattr(node, "id", None))


class Reader:
    """Strips words from a module's statements; collects the texts of columns and all references."""

    def __init__(self, module: str, own: Iterable[str], imports: dict[str, list[Reference]], others: dict[str, str]):
        self.module, self.own, self.imports, self.others = module, set(own), imports, others
        self.packages: set[str] = set()
        self.texts: list[str] = []
        self.references: list[Reference] = []

    def meaning(self, name: str, statement: ast.stmt) -> str:
        """Return the source of a statement that defines `name`, without words for people."""
        if name in CAPTIONS:
            return ""
        for option in (part for part in ast.walk(statement) if name == "OPTIONS" and isinstance(part, ast.Dict)):
            pairs = zip(option.keys, option.values, strict=True)
            kept = [pair for pair in pairs if getattr(pair[0], "value", None) != "description"]
            option.keys, option.values = [key for key, _ in kept], [value for _, value in kept]
        plain = self._without_type(statement, field=False) or ast.Pass()
        left: list[ast.AST] = [plain]
        while left:
            node = left.pop()
            left += self._parts_of(node)
        return "" if self._is_type(name, plain) else ast.unparse(plain)

    def _is_type(self, name: str, statement: ast.stmt) -> bool:
        """Return whether a statement only names a type that no code reads, such as `Said = Mapping[Part, Tensor]`."""
        named = isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Subscript | ast.BinOp)
        return named and name[:1].isupper() and not name.isupper() and not self._typed

    @property
    def _typed(self) -> bool:
        return self.module.partition(".")[0] in TYPED

    def _parts_of(self, node: ast.AST) -> Iterable[ast.AST]:
        """Strip the words from a node, note its references, and return its parts to read next."""
        if isinstance(node, ast.Name):
            self._refer(node.id)
            self.packages |= {self.others[node.id]} & COUNTED.keys() if node.id in self.others else set()
        elif isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and node.value.id in self.imports:
                self._refer(node.value.id, node.attr)
                return ()
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "id", None)
            if name in TEXTS:
                self.texts.append(ast.unparse(node))
            if name in WORDS | TEXTS or str(last_name(node)).endswith("Error"):
                _without_words(node)
        elif isinstance(node, ast.Raise):
            if isinstance(node.exc, ast.Call) and last_name(node.exc) not in SHOWN:
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
                field = isinstance(node, ast.ClassDef)
                left = [self._without_type(one, field) for one in statements if not is_docstring(one)]
                setattr(node, name, [one for one in left if one is not None] or ([ast.Pass()] if statements else []))
        return ast.iter_child_nodes(node)

    def _without_type(self, statement: ast.stmt, field: bool) -> ast.stmt | None:
        """Return an assignment without its type; a class `field` keeps its name, and its type if code reads it.

        Other statements are returned unchanged; None for a bare declaration.
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
        """Note the names in a type annotation: methods of such values may be called without naming their class."""
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
            # A module imported as a whole counts as a whole.
            self.references.append(reference if reference[-1] == ALL else (*reference, *rest))


def _without_words(node: ast.Call) -> None:
    """Remove the arguments of a call unless they also assign a name."""
    if not _assigns(node):
        node.args, node.keywords = [], []


def _assigns(node: ast.AST) -> bool:
    return any(isinstance(one, ast.NamedExpr) for one in ast.walk(node))


def _is_text(node: ast.expr) -> bool:
    """Return whether an argument is a text that assigns nothing: a literal, an f-string, or a sum of these."""
    if isinstance(node, ast.BinOp):
        return _is_text(node.left) or _is_text(node.right)
    written = isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))
    return written and not _assigns(node)


def is_docstring(statement: ast.stmt) -> bool:
    """Return whether a statement is a bare string."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
