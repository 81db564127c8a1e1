"""The rooms of the library and who imports whom, read from the code: `python tests/rooms.py` prints the picture.

A room is a package below `distillation_dynamics`; the modules beside the packages stand alone, and those that import
none of the library together as `ground`. Imports inside functions count, too. docs/architecture.md holds the picture.
"""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

LIBRARY = Path(__file__).parents[1] / "workflow/distillation_dynamics"
GROUND = "ground"


def imports() -> dict[str, set[str]]:
    """Return room -> the rooms that it imports."""
    found: dict[str, set[str]] = {}
    for path in sorted(LIBRARY.rglob("*.py")):
        found.setdefault(_room(path), set()).update(_imported(path))
    ground = {name for name, others in found.items() if not others - {name} and not (LIBRARY / name).is_dir()}
    named = {name: GROUND if name in ground else name for name in found}
    rooms: dict[str, set[str]] = {}
    for name, others in found.items():
        rooms.setdefault(named[name], set()).update(named[other] for other in others)
    return {name: others - {name} for name, others in rooms.items() if name != LIBRARY.name}


def drawn() -> str:
    """Return the picture as Mermaid: an arrow from a room to each that it imports and that no other arrow implies."""
    rooms = imports()
    behind: dict[str, set[str]] = {}
    for name in TopologicalSorter(rooms).static_order():
        behind[name] = rooms[name].union(*(behind[other] for other in rooms[name]))
    arrows = [
        f"    {name} --> {other}"
        for name in sorted(rooms)
        for other in sorted(rooms[name])
        if not any(other in behind[between] for between in rooms[name])
    ]
    return "\n".join(["flowchart TD", *arrows])


def _room(path: Path) -> str:
    """Return the package of a module, or its own name where it stands beside the packages."""
    parts = path.relative_to(LIBRARY).with_suffix("").parts
    return LIBRARY.name if parts[0].startswith("__") else parts[0]


def _imported(path: Path) -> Iterator[str]:
    """Yield the rooms that a module imports."""
    package = (LIBRARY.name, *path.relative_to(LIBRARY).parent.parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            whole = (*above, *(node.module.split(".") if node.module else ()))
            names = [whole] if len(whole) > 1 else [(*whole, alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [tuple(alias.name.split(".")) for alias in node.names]
        else:
            continue
        yield from (name[1] for name in names if name[0] == LIBRARY.name and len(name) > 1)


if __name__ == "__main__":
    print(drawn())
