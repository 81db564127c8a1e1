"""Which code a stage really uses, as hashes: part of the key of every job.

What counts of a module are its definitions (functions, classes, what is assigned at its top) that can be reached by
names from those that a stage begins with, through whatever modules. A class counts whole, and so does a module that is
handed on itself. What a module does by being imported counts for all that import it; that is nothing where it only
imports, defines and assigns, as the library's modules do.

Of a definition its meaning counts, as `meaning` says. All is read from the syntax tree. Objectives, metrics and
figures are imported by name at run time, which the tree does not show; whoever asks for a fingerprint names them.
"""

from functools import cache
from pathlib import Path

from .definitions import PACKAGE, Module, hash_of, read
from .meaning import ALL, COUNTED, IMPORT, Reference

ROOT = Path(__file__).parents[2]
# Modules that cannot change what a stage writes: which GPU it takes, who hears of it, what is planned, which names
# functions go by.
WITHOUT_EFFECT = {"errors", "gpus", "jobs", "metrics", "networks.acceptance", "progress", "spec.keys", "spec.machine"}


def fingerprint(*entries: str, texts: bool = False) -> list[str]:
    """Return sorted 'module:hash' of all that `entries` reach, each a module of the library or `module:definition`.

    With `texts` what columns say of themselves counts, too.
    """
    return list(library_at(ROOT).fingerprint(entries, texts))


def packages(*entries: str) -> tuple[str, ...]:
    """Return the packages of `meaning.COUNTED` that what `entries` reach uses, as they are installed, sorted."""
    return library_at(ROOT).packages(entries)


class Library:
    """The modules of the library under `root`, each read once."""

    def __init__(self, root: Path):
        self.root = root / PACKAGE
        self._modules: dict[str, Module | None] = {}
        self._steps: dict[Reference, tuple[set[tuple[str, str]], list[Reference]]] = {}
        self._reached: dict[str, frozenset[tuple[str, str]]] = {}
        self._packages: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._fingerprints: dict[tuple[tuple[str, ...], bool], list[str]] = {}

    def fingerprint(self, entries: tuple[str, ...], texts: bool) -> list[str]:
        """Return the `fingerprint` of entries. Hundreds of tasks have the same ones."""
        asked = entries, texts
        if asked not in self._fingerprints:
            by_module: dict[str, list[str]] = {}
            for name, definition in set().union(*(self.reached(entry) for entry in entries)):
                found = self.module(name).definitions[definition]
                if found.meaning:
                    parts = [definition, found.meaning, found.texts if texts else ""]
                    by_module.setdefault(name, []).append(":".join(parts))
            self._fingerprints[asked] = sorted(f"{name}:{hash_of(*sorted(parts))}" for name, parts in by_module.items())
        return self._fingerprints[asked]

    def packages(self, entries: tuple[str, ...]) -> tuple[str, ...]:
        """Return the `packages` of entries."""
        if entries not in self._packages:
            reached = set().union(*(self.reached(entry) for entry in entries))
            used = (self.module(name).definitions[definition].packages for name, definition in reached)
            self._packages[entries] = tuple(sorted({COUNTED[name] for names in used for name in names}))
        return self._packages[entries]

    def module(self, name: str) -> Module:
        """Return a module that is there."""
        found = self._module(name)
        assert found is not None, f"{name} is a module of the library"
        return found

    def _module(self, name: str) -> Module | None:
        """Return a module; None where there is none of that name. It is parsed only where it is new."""
        if name not in self._modules:
            base = self.root.joinpath(*name.split(".")) if name else self.root
            paths = base / "__init__.py", base.with_suffix(".py")
            path = next((path for path in paths if path.is_file()), None)
            self._modules[name] = None if path is None else read(name, path)
        return self._modules[name]

    def reached(self, entry: str) -> frozenset[tuple[str, str]]:
        """Return (module, definition) of all that an entry reaches."""
        if entry not in self._reached:
            name, _, definition = entry.partition(":")
            self.module(name)
            found, seen, queue = set(), set(), list[Reference]([(name, definition or ALL)])
            while queue:
                reference = queue.pop()
                if reference not in seen:
                    seen.add(reference)
                    if reference not in self._steps:
                        self._steps[reference] = self._followed(*reference)
                    target, further = self._steps[reference]
                    found |= target
                    queue += further
            self._reached[entry] = frozenset(found)
        return self._reached[entry]

    def _followed(self, name: str, first: str, *rest: str) -> tuple[set[tuple[str, str]], list[Reference]]:
        """Return the definition that a reference names, if it names one, and what else it leads to."""
        module = None if name in WITHOUT_EFFECT else self._module(name)
        below = f"{name}.{first}".lstrip(".")
        if first not in (ALL, IMPORT) and self._module(below) is not None:
            return set(), [(below, *rest) if rest else (below, ALL)]
        if module is None or rest == (IMPORT,):
            return set(), []
        # Whoever uses a part of a module imports all of it, and the packages around it.
        always: list[Reference] = [(name, IMPORT)]
        if name:
            always.append((name.rpartition(".")[0], IMPORT))
        if first == ALL:
            inside: list[Reference] = [(name, one) for one in module.definitions]
            return set(), [*always, *inside]
        if first in module.definitions:
            return {(name, first)}, [*always, *module.definitions[first].references]
        if first in module.imports:
            return set(), [*always, *((*reference, *rest) for reference in module.imports[first])]
        # A name that is made in a way that is not followed.
        return set(), [(name, ALL)]


@cache
def library_at(root: Path) -> Library:
    """Return the library under `root`, as it is when it is first asked for."""
    return Library(root)
