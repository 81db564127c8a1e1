"""Every key of a study's configuration, as Markdown: `python -m distillation_dynamics.options`.

Made from the schema and from what files of the library add to it. docs/configuration.md holds what this prints of those
that come with the project.
"""

import json
from collections.abc import Iterator
from typing import Any

from .study.schema import load_schema

HEAD = """# Configuration

Every key of a study's file (`config.yaml`, `studies/*.yaml`), printed by `make options`. What is misspelt is said
before anything runs. A default is what a study has that leaves the key out; keys in **bold** must be given where their
part is. `<name>` stands for any name.
"""
BOUNDS = {
    "minimum": "at least {}", "exclusiveMinimum": "above {}", "maximum": "at most {}", "exclusiveMaximum": "below {}"
}  # fmt: skip
# What the lengths of lists and texts are bounded by.
COUNTS = {"minItems": "at least {} of them", "maxItems": "at most {} of them"}
MOST_VALUES = 8


def page() -> str:
    """Return the whole page: a section for each part of the configuration, a table of its keys."""
    schema = load_schema()
    parts = {key: part for key, part in schema["properties"].items() if _has_keys(_resolved(part, schema))}
    alone = {"properties": {k: v for k, v in schema["properties"].items() if k not in parts}} | {
        "required": schema["required"]
    }
    sections = [HEAD, *_section("The study itself", _rows(alone, "", schema))]
    for name, part in parts.items():
        resolved = _resolved(part, schema)
        sections += _section(f"`{name}`", _rows(resolved, name, schema), resolved.get("description", ""))
    return "\n".join(sections)


def _section(title: str, rows: Iterator[tuple[str, str, str, str]], said: str = "") -> list[str]:
    text = f"{said[0].upper()}{said[1:]}.\n" if said else None
    table = [f"| {' | '.join(row)} |" for row in rows]
    head = ["| key | value | default | meaning |", "|---|---|---|---|"]
    return [f"## {title}\n", *([text] if text else []), *head, *table, ""]


def _has_keys(part: dict[str, Any]) -> bool:
    return bool(part.get("properties")) or isinstance(part.get("additionalProperties"), dict)


def _resolved(part: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    """Return a part of the schema without its reference to another."""
    if "$ref" not in part:
        return part
    return root["$defs"][part["$ref"].rpartition("/")[2]] | {k: v for k, v in part.items() if k != "$ref"}


def _rows(part: dict[str, Any], above: str, root: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Yield key, possible values, default and meaning of everything below a part."""
    below = dict(part.get("properties", {}))
    if isinstance(part.get("additionalProperties"), dict):
        below["<name>"] = part["additionalProperties"]
    for key, value in below.items():
        value, name = _resolved(value, root), f"{above}.{key}" if above else key
        if _has_keys(value) and value.get("type") == "object":
            yield from _rows(value, name, root)
            continue
        shown = f"**`{name}`**" if key in part.get("required", ()) else f"`{name}`"
        yield shown, _values(value, root), _default(value), value.get("description", "").replace("|", "\\|")


def _values(value: dict[str, Any], root: dict[str, Any]) -> str:
    """Return what a key may be."""
    if "enum" in value:
        return _names(value["enum"])
    kinds = value.get("type", "any")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    kind = " or ".join({"array": "list", "object": "mapping", "integer": "whole number"}.get(k, k) for k in kinds)
    if kinds == ["array"] and (items := _resolved(value.get("items", {}), root)):
        kind += f" of {_values(items, root)}" if "enum" in items else f" ({_values(items, root)})"
    bounds = [text.format(value[name]) for name, text in (BOUNDS | COUNTS).items() if name in value]
    return ", ".join([kind, *bounds])


def _names(values: list[Any]) -> str:
    return ", ".join(f"`{v}`" for v in values) if len(values) <= MOST_VALUES else f"one of {len(values)} names"


def _default(value: dict[str, Any]) -> str:
    if "default" not in value:
        return ""
    default = value["default"]
    return "all of them" if isinstance(default, list) and len(default) > MOST_VALUES else f"`{json.dumps(default)}`"


if __name__ == "__main__":
    print(page(), end="")
