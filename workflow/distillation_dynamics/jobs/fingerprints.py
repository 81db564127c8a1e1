"""Hashes of the code that a stage actually uses: part of the key of every job.

A module counts by its definitions (functions, classes, top-level assignments) that are reachable by name from those a
stage begins with, through any module. A class counts as a whole, as does a module that is itself passed on. What a
module does on import counts for all that import it; modules of this library only import, define and assign, so that is
nothing.

A definition counts by its meaning, as in `meaning`. Everything is read from the syntax tree. Objectives, metrics and
figures are imported by name at run time, which the tree does not show; callers of `fingerprint` name them.
"""

from functools import cache
from pathlib import Path

from .definitions import PACKAGE, Module, hash_of, read
from .meaning import ALL, COUNTED, IMPORT, Reference

ROOT = Path(__file__).parents[2]
# Modules that cannot change what a stage writes: choice of GPU, notifications, planning, names of functions.
WITHOUT_EFFECT = {"errors", "gpus", "jobs", "metrics", "networks.acceptance", "progress", "spec.keys", "spec.machine"}


def fingerprint(*entries: str, texts: bool = False) -> list[str]:
    """Return sorted 'module:hash' of everything that `entries` reach; each is a module or `module:definition`.

    With `texts` the texts of columns count, too.
    """
    return list(library_at(ROOT).fingerprint(entries, texts))


def packages(*entries: str) -> tuple[str, ...]:
    """Return the sorted package names from `meaning.COUNTED` that the code reached from `entries` uses."""
    return library_at(ROOT).packages(entries)


class Library:
    """The library's modules under `root`, each read once."""

    def __init__(self, root: Path):
        self.root = root / PACKAGE
        self._modules: dict[str, Module | None] = {}
        self._steps: dict[Reference, tuple[set[tuple[str, str]], list[Reference]]] = {}
        self._reached: dict[str, frozenset[tuple[str, str]]] = {}
        self._packages: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._fingerprints: dict[tuple[tuple[str, ...], bool], list[str]] = {}

    def fingerprint(self, entries: tuple[str, ...], texts: bool) -> list[str]:
        """Return the `fingerprint` of entries; cached, since hundreds of tasks share theirs."""
        asked = entries, texts
        if asked not in self._fingerprints:
            by_module: dict[str, list[str]] = {}
            for name, definition in set().union(*(self.reached(entry) for entry in entries)):
                found = self.module(name).definitions[definition]
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
        """Return a module that must exist."""
        found = self._module(name)
        assert found is not None, f"{name} is a module of the library"
        return found

    def _module(self, name: str) -> Module | None:
        """Return a module, None if there is none of that name; it is parsed only if it changed."""
        if name not in self._modules:
            base = self.root.joinpath(*name.split(".")) if name else self.root
            paths = base / "__init__.py", base.with_suffix(".py")
            path = next((path for path in paths if path.is_file()), None)
            self._modules[name] = None if path is None else read(name, path)
        return self._modules[name]

    def reached(self, entry: str) -> frozenset[tuple[str, str]]:
        """Return (module, definition) of everything an entry reaches."""
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
        """Return the definition that a reference names, if any, and where else it leads."""
        module = None if name in WITHOUT_EFFECT else self._module(name)
        below = f"{name}.{first}".lstrip(".")
        if first not in (ALL, IMPORT) and self._module(below) is not None:
            return set(), [(below, *rest) if rest else (below, ALL)]
        if module is None or rest == (IMPORT,):
            return set(), []
        # Using part of a module imports all of it and its parent packages.
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
        # A name defined in a way that is not followed.
        return set(), [(name, ALL)]


@cache
def library_at(root: Path) -> Library:
    """Return the library under `root` as of the first call."""
    return Library(root)
