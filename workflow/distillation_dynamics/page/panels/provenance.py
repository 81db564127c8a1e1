"""Panel: how a study was made: configuration, code, versions, machine, time by stage, and the graph of stages."""

import math
from collections.abc import Iterable
from typing import Any

import yaml

from ...words import spaced
from ..html import render
from ..panel import PageData, Panel

# Pixels of the graph: width and height of a box, and gaps between boxes.
BOX, BETWEEN = (128, 30), (44, 14)
Rows = list[tuple[str, Any]]


def panels(data: PageData) -> list[Panel]:
    """Return the panel on provenance; every study has one."""
    edges = [(before, after) for before, after in data.edges if before != after]
    count, total = (sum(parts[at] for parts in data.hours.values()) for at in (0, 1))
    unit, size = unit_of(total)
    times = [(spaced(stage), count, short(hours / size)) for stage, (count, hours) in data.hours.items()]
    recorded = {} if data.made is None else _recorded(data.made)
    body = render(
        "provenance.html.j2",
        edges=edges,
        places=places(edges),
        box=BOX,
        bend=BETWEEN[0] / 2,
        unit=unit,
        times=[*times, ("together", count, short(total / size))],
        recorded=recorded,
    )
    return [Panel("provenance", "How this was made", body=body, place=120)]


def _recorded(made: dict[str, Any]) -> dict[str, Any]:
    """Return the entries of study.json for the template."""
    commit = made.get("commit")
    versions: Rows = [("commit", "not known (no repository)")]
    if commit is not None:
        versions = [("commit", commit["hash"] + ("" if commit["clean"] else ", with changes that are not committed"))]
    versions += [(f"version of {name}", said) for name, said in made.get("versions", {}).items()]
    versions += [(f"machine: {name}", said) for name, said in made.get("machine", {}).items()]
    versions += [("begun (the last time that something was due)", made.get("date", "-"))]
    hashes: Rows = []
    for name, one in made.get("images", {}).items():
        parts = one.items() if isinstance(one, dict) else [("", one)]
        hashes += [(f"images {name} {part}", said) for part, said in parts]
    hashes += [(f"weights {name}", said) for name, said in made.get("weights", {}).items()]
    hashes += [(f"shared folder of {name}", path) for name, path in made.get("shared_folders", {}).items()]
    configuration = yaml.safe_dump(made.get("configuration", {}), sort_keys=False, allow_unicode=True)
    code = list(made.get("code", {}).items())
    return {"versions": versions, "hashes": hashes, "configuration": configuration, "code": code}


def unit_of(hours: float) -> tuple[str, float]:
    """Return the unit for displaying a total of hours, and its size in hours."""
    known = ("Hours", 1.0), ("Minutes", 1 / 60), ("Seconds", 1 / 3600)
    return next((one for one in known if hours >= 2 * one[1]), known[-1])


def short(value: float) -> str:
    """Return a time with two significant digits: 0.0043, 2.9, 154."""
    digits = 0 if value <= 0 else max(0, 1 - math.floor(math.log10(value)))
    return f"{value:,.{digits}f}"


def layers(edges: Iterable[tuple[str, str]]) -> dict[str, int]:
    """Return the depth of each stage: the longest path before it; edges are (stage read, reading stage)."""
    edges = list(edges)
    found = dict.fromkeys((stage for edge in edges for stage in edge), 0)
    for _ in found:
        for before, after in edges:
            found[after] = max(found[after], found[before] + 1)
    return found


def places(edges: Iterable[tuple[str, str]]) -> dict[str, tuple[int, int]]:
    """Return the position of each stage's box, in pixels from the left and top."""
    found: dict[str, tuple[int, int]] = {}
    columns: dict[int, int] = {}
    for stage, layer in layers(edges).items():
        row = columns.get(layer, 0)
        columns[layer] = row + 1
        found[stage] = layer * (BOX[0] + BETWEEN[0]) + 2, row * (BOX[1] + BETWEEN[1]) + 2
    return found
