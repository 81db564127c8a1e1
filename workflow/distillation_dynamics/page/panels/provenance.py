"""How a study was made: configuration, code, versions, machine, hours of each stage, and the graph of the stages."""

from collections.abc import Sequence

import yaml

from ..html import Html, details, joined, table, tag
from ..panel import PageData, Panel, named

# Pixels of the graph: a box, and what lies between.
WIDE, HIGH, RIGHT, DOWN = 128, 30, 44, 14


def panels(data: PageData) -> list[Panel]:
    """Return the panel on provenance, which every study has."""
    about = "What made this page: everything that decides a number, and what it cost."
    made = data.made
    parts = [graph(data.edges), _hours(data)]
    if made is None:
        parts.append(tag("p", "study.json is missing: configuration, code and versions were not recorded."))
    else:
        commit, machine = made.get("commit"), made.get("machine", {})
        rows = [
            ("commit", _commit(commit)),
            *((f"version of {name}", said) for name, said in made.get("versions", {}).items()),
            *((f"machine: {name}", said) for name, said in machine.items()),
            ("begun (the last time that something was due)", made.get("date", "-")),
        ]
        said = yaml.safe_dump(made.get("configuration", {}), sort_keys=False, allow_unicode=True)
        whole = tag("pre", said, tabindex="0", role="region", aria_label="Configuration with all defaults")
        parts += [
            details("Versions and machine", table(["What", "Value"], rows, "Versions and machine")),
            details("Configuration, with all defaults", whole),
            details("Hashes of images and weights", _hashes(made)),
            details(
                "Hashes of code", _pairs(made.get("code", {}), ["Module", "Hash of its meaning"], "Hashes of code")
            ),
        ]
    return [Panel("provenance", "How this was made", about, body=joined(parts))]


def _commit(commit: dict | None) -> str:
    if commit is None:
        return "not known (no repository)"
    return commit["hash"] + ("" if commit["clean"] else ", with changes that are not committed")


def _hours(data: PageData) -> Html:
    rows = [(named(stage), jobs, f"{hours:.2f}") for stage, (jobs, hours) in data.hours.items()]
    total = sum(hours for _, hours in data.hours.values())
    rows.append(("together", sum(jobs for jobs, _ in data.hours.values()), f"{total:.2f}"))
    caption = "Hours of each stage, of the jobs that this page rests on, whenever they ran; jobs run side by side"
    return table(["Stage", "Jobs", "Hours"], rows, caption)


def _pairs(found: dict, heads: list[str], caption: str) -> Html:
    return table(heads, [(name, str(value)) for name, value in found.items()], caption)


def _hashes(made: dict) -> Html:
    rows = [
        (f"images {name} {part}", str(said))
        for name, one in made.get("images", {}).items()
        for part, said in _items(one)
    ]
    rows += [(f"weights {name}", str(said)) for name, said in made.get("weights", {}).items()]
    rows += [(f"shared folder of {name}", path) for name, path in made.get("shared_folders", {}).items()]
    return table(["Of", "Hash or folder"], rows, "Hashes of images and weights, and shared folders")


def _items(one: object) -> list[tuple[str, object]]:
    return list(one.items()) if isinstance(one, dict) else [("", one)]


def layers(edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Return how many stages at most lie before each; edges are (stage that is read, stage that reads)."""
    found = dict.fromkeys((stage for edge in edges for stage in edge), 0)
    for _ in found:
        for before, after in edges:
            if before != after:
                found[after] = max(found[after], found[before] + 1)
    return found


def graph(edges: Sequence[tuple[str, str]]) -> Html:
    """Return the graph of the stages as a drawing, with the same in words."""
    places = layers(edges)
    columns: dict[int, list[str]] = {}
    for stage, layer in places.items():
        columns.setdefault(layer, []).append(stage)
    corner = {
        stage: (layer * (WIDE + RIGHT) + 2, row * (HIGH + DOWN) + 2)
        for layer, stages in columns.items()
        for row, stage in enumerate(stages)
    }
    if not corner:
        return Html("")
    lines = [_line(corner[before], corner[after]) for before, after in edges if before != after]
    boxes = [
        joined([
            tag("rect", x=x, y=y, width=WIDE, height=HIGH, rx=5),
            tag("text", named(stage), x=x + WIDE / 2, y=y + HIGH / 2 + 4, text_anchor="middle"),
        ])
        for stage, (x, y) in corner.items()
    ]  # fmt: skip
    right, down = (max(at[axis] for at in corner.values()) + size + 4 for axis, size in ((0, WIDE), (1, HIGH)))
    said = "; ".join(f"{named(after)} reads {named(before)}" for before, after in edges if before != after)
    drawing = tag(
        "svg", *lines, *boxes, viewBox=f"0 0 {right} {down}", width=right, height=down, role="img", class_="graph",
        aria_label=f"Graph of the stages: {said}",
    )  # fmt: skip
    return tag("div", drawing, class_="scroll", tabindex="0", role="region", aria_label="Graph of the stages")


def _line(start: tuple[float, float], end: tuple[float, float]) -> Html:
    (x1, y1), (x2, y2) = (start[0] + WIDE, start[1] + HIGH / 2), (end[0], end[1] + HIGH / 2)
    bend = f"M{x1} {y1} C{x1 + RIGHT / 2} {y1} {x2 - RIGHT / 2} {y2} {x2} {y2}"
    return tag("path", d=bend, marker_end=None)
