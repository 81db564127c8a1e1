"""Documents every key of a study's configuration in Markdown: `python -m distillation_dynamics.options`.

Built from the declarations of the keys and the options of library files. docs/configuration.md holds the output for the
project's own files.
"""

import json
from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter

from .extensions import TERM_OPTIONS
from .spec.faults import resolved
from .study.keys import Configuration

HEAD = """# Configuration

Every key of a study's file (`config.yaml`, `studies/*.yaml`), printed by `make options`. Typos are reported before
anything runs. Keys in **bold** are required wherever the mapping around them is given; all others have a default.
`<name>` is any name that you choose.
"""
KINDS = {"array": "list", "object": "mapping", "integer": "whole number", "string": "text", "boolean": "true or false"}
BOUNDS = {
    "minimum": "at least {}", "exclusiveMinimum": "above {}", "maximum": "at most {}", "exclusiveMaximum": "below {}",
    "minItems": "at least {} of them", "maxItems": "at most {} of them",
}  # fmt: skip
MOST_VALUES = 8

# Key, possible values, default and meaning.
Row = tuple[str, str, str, str]


def page() -> str:
    """Return the whole page: a section for each part of the configuration, a table of its keys."""
    schema = TypeAdapter(Configuration).json_schema()
    parts = {key: part for key, part in schema["properties"].items() if _has_keys(resolved(part, schema))}
    alone = {"properties": {k: v for k, v in schema["properties"].items() if k not in parts}} | {
        "required": schema["required"]
    }
    sections = [HEAD, *_section("The study itself", _rows(alone, "", schema))]
    for name, part in parts.items():
        part = resolved(part, schema)
        rows = _rows(part, name, schema)
        sections += _section(f"`{name}`", _terms(rows) if name == "variants" else rows, _sentence(part))
    return "\n".join(sections)


def _terms(rows: Iterator[Row]) -> Iterator[Row]:
    """Yield the rows of variants: keys common to all terms once, as `<term>`, then the options of objectives."""
    common, own = {}, []
    for key, values, default, meaning in rows:
        objective, *options = key.strip("*`").split(".")[2:]
        if not options:
            yield key, values, default, meaning
            continue
        option = options[0]
        if option not in TERM_OPTIONS:
            own.append((key, values, default, meaning))
        elif option == "objective":
            common["objective"] = (key.replace(f".{objective}.", ".<term>."), "a name", "", meaning)
        else:
            key = key.replace(f".{objective}.", ".<term>.")
            common[key] = (key, values, default, meaning)
    yield from (*common.values(), *own)


def _section(title: str, rows: Iterator[Row], said: str = "") -> list[str]:
    table = [f"| {' | '.join(row)} |" for row in rows]
    head = ["| key | value | default | meaning |", "|---|---|---|---|"]
    return [f"## {title}\n", *([f"{said}\n"] if said else []), *head, *table, ""]


def _has_keys(part: dict[str, Any]) -> bool:
    return part.get("type") == "object" and bool(_below(part))


def _below(part: dict[str, Any]) -> dict[str, Any]:
    """Return the parts below a part: its keys, or the one for all names."""
    named = list(part.get("patternProperties", {}).values())
    return part.get("properties", {}) | ({"<name>": named[0]} if named else {})


def _rows(part: dict[str, Any], above: str, root: dict[str, Any]) -> Iterator[Row]:
    """Yield key, possible values, default and meaning of everything below a part."""
    for key, value in _below(part).items():
        value, name = resolved(value, root), f"{above}.{key}" if above else key
        if _has_keys(value):
            optional = key in part.get("properties", ()) and key not in part.get("required", ())
            if optional and value.get("default") is None and "description" in value:
                yield f"`{name}`", KINDS["object"], "", _sentence(value)
            yield from _rows(value, name, root)
            continue
        shown = f"**`{name}`**" if key in part.get("required", ()) else f"`{name}`"
        default = "" if value.get("default") is None else f"`{json.dumps(value['default'])}`"
        yield shown, _values(value, root), default, _sentence(value)


def _sentence(value: dict[str, Any]) -> str:
    """Return the meaning of a key as a sentence of a table."""
    meaning = value["description"].replace("|", "\\|").rstrip(".")
    return f"{meaning[0].upper()}{meaning[1:]}."


def _values(value: dict[str, Any], root: dict[str, Any]) -> str:
    """Return the possible values of a key."""
    if "oneOf" in value:
        return " or ".join(_values(resolved(one, root), root) for one in value["oneOf"])
    if "enum" in value or "const" in value:
        names = value.get("enum") or [value["const"]]
        return ", ".join(f"`{v}`" for v in names) if len(names) <= MOST_VALUES else f"one of {len(names)} names"
    kind = KINDS.get(value.get("type", "any"), value.get("type", "any"))
    if items := resolved(value.get("items", value.get("prefixItems", [{}])[0]), root):
        kind += f" of {_values(items, root)}" if "enum" in items else f" ({_values(items, root)})"
    bounds = [text.format(f"{value[name]:g}") for name, text in BOUNDS.items() if name in value]
    return ", ".join([kind, *bounds])


if __name__ == "__main__":
    print(page(), end="")
