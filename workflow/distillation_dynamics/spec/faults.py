"""Errors in values from outside, one sentence each: the key, what is allowed, the nearest valid name.

`read` returns a class whose keys are declared (`spec.keys`), or raises with all sentences. Imports no torch.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..errors import StudyError, nearest
from .keys import KIND, LARGEST

# JSON schema types in words.
KINDS = {
    "object": "a mapping (keys with values)",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
}
# pydantic's error types: wrong kinds, and values beyond a bound.
WANTED = {
    "dataclass_type": "object", "dict_type": "object", "tuple_type": "array", "list_type": "array",
    "string_type": "string", "int_type": "integer", "float_type": "number", "bool_type": "boolean",
}  # fmt: skip
BEYOND = {
    "greater_than_equal": ("ge", "less than the minimum of"),
    "less_than_equal": ("le", "greater than the maximum of"),
    "greater_than": ("gt", "not greater than"),
    "less_than": ("lt", "not less than"),
}
# Numbers beyond these are mistakes: in float32 they overflow or vanish.
SMALLEST_MEANT, LARGEST_MEANT = 1e-12, 1e12
WHOLE = "the configuration"
# Patterns of keys, and what they ask for in words.
SHA256, PLAIN = "^[0-9a-f]{64}$", "^[A-Za-z0-9_.-]+$"
FORMS = {SHA256: "64 hexadecimal digits in lower case", PLAIN: "letters, digits, _, - and dots"}
NAME = "at most 64 letters, digits, _, - and dots, the first a letter or digit, the last no dot"


def read(kind: Any, value: Any, name: str = "") -> Any:
    """Return a value (mappings, lists, texts and numbers) as `kind`, a class or an adapter, with defaults.

    Raises StudyError with one line per fault; `name` is prepended to the keys.
    """
    from pydantic import TypeAdapter, ValidationError

    refuse(of_values(value, name))
    adapter = kind if isinstance(kind, TypeAdapter) else TypeAdapter(kind)
    try:
        return adapter.validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        faults = sorted(error.errors(include_url=False), key=lambda fault: [str(part) for part in fault["loc"]])
    refuse(_sentences(faults, adapter.json_schema(), name))


def refuse(found: Iterable[str]) -> None:
    """Raise StudyError with all sentences, if there are any."""
    if sentences := list(dict.fromkeys(found)):
        raise StudyError("\n".join(sentences))


def of_values(value: Any, key: str = "", inside: tuple[int, ...] = ()) -> Iterator[str]:
    """Yield a sentence for each value in a configuration that no key can have."""
    name = key or WHOLE
    if id(value) in inside:
        yield f"{name}: contains itself; write it out"
    elif isinstance(value, Mapping):
        for own, part in value.items():
            if not isinstance(own, str):
                yield f"{name}: the key {own!r} is not text; write it in quotes"
            else:
                yield from of_values(part, f"{key}.{own}".removeprefix("."), (*inside, id(value)))
    elif isinstance(value, list | tuple):
        for number, part in enumerate(value):
            yield from of_values(part, f"{key}.{number}", (*inside, id(value)))
    elif isinstance(value, str):
        if not value.isprintable():
            yield f"{name}: {said(value)} holds a line break or another character that cannot be printed; remove it"
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield f"{name}: {value} is not a finite number; write one"
        else:
            yield from _not_meant(name, value)
    elif isinstance(value, int):
        if not -LARGEST <= value < LARGEST:
            yield f"{name}: the number has {math.ceil(value.bit_length() / 3.3219)} digits; write one below 9.2e18"
        else:
            yield from _not_meant(name, value)
    elif value is not None:
        yield f"{name}: {value} is a {type(value).__name__}, not text or a number; write it in quotes"


def _not_meant(name: str, value: float) -> Iterator[str]:
    """Yield a sentence on an implausibly large or small number."""
    if value and not SMALLEST_MEANT <= abs(value) <= LARGEST_MEANT:
        what = "large" if abs(value) > 1 else "small"
        allowed = f"0, or one between {SMALLEST_MEANT:g} and {LARGEST_MEANT:g}"
        yield f"{name}: {value:g} is implausibly {what}; give {allowed}"


def _sentences(faults: list[Any], schema: dict[str, Any], name: str) -> Iterator[str]:
    """Yield a sentence for each fault that pydantic found, and one for all missing keys of a part."""

    def named(place: Iterable[Any]) -> str:
        parts = [str(part) for part in (name, *place)]
        return ".".join(part for part in parts if part and not part.startswith(KIND)) or WHOLE

    for fault in faults:
        place, value, limits = fault["loc"], fault["input"], fault.get("ctx", {})
        key, above = named(place), place[:-1]
        match fault["type"]:
            case "unexpected_keyword_argument" | "extra_forbidden":
                yield f"{key}: unknown key; {nearest(place[-1], sorted(_part(schema, above)['properties']))}"
            case "missing" if isinstance(place[-1], int):
                yield f"{named(above)}: give at least {_part(schema, above)['minItems']} values"
            case "missing":
                beside = [other["loc"] for other in faults if other["type"] == "missing"]
                yield f"{named(above)}: {', '.join(one[-1] for one in beside if one[:-1] == above)} must be given"
            case "literal_error":
                part = _part(schema, place)
                allowed = [str(one) for one in part.get("enum", [part.get("const")])]
                yield f"{key}: {said(value)} is not valid; {nearest(str(value), allowed)}"
            case "string_pattern_mismatch" if place[-1] == "[key]":
                yield f"{named(above[:-1])}: {said(value)} is not valid; it must be {NAME}"
            case "string_pattern_mismatch":
                wanted = FORMS.get(limits["pattern"], NAME)
                yield f"{key}: {said(value)} is not valid; it must be {wanted}"
            case "twice":
                yield f"{key}: {said(limits['item'])} is given twice; remove one"
            case "too_short" if len(value) >= limits["min_length"]:
                pass  # Some items are wrong, which is said of each.
            case "too_short" | "string_too_short" if not value:
                yield f"{key}: is empty; give a value"
            case "too_short":
                yield f"{key}: give at least {limits['min_length']} values"
            case "too_long":
                yield f"{key}: {len(value)} values are given; give at most {limits['max_length']}"
            case "union_tag_not_found":
                allowed = sorted(_part(schema, above)["properties"])
                yield f"{key}: is not the name of an objective; {nearest(place[-1], allowed)}; or say its objective"
            case "union_tag_invalid" if isinstance(value, dict) and "objective" in value:
                given, allowed = value["objective"], sorted(_part(schema, above)["properties"])
                yield f"{key}.objective: {said(given)} is not valid; {nearest(str(given), allowed)}"
            case "union_tag_invalid":
                kinds = [resolved(one, schema)["type"] for one in _part(schema, place)["oneOf"]]
                yield f"{key}: {_wrong_kind(value, kinds)}"
            case kind if kind in WANTED:
                yield f"{key}: {_wrong_kind(value, [WANTED[kind]])}"
            case kind if kind in BEYOND:
                bound, what = BEYOND[kind]
                yield f"{key}: {value} is {what} {limits[bound]:g}"
            case _:
                yield f"{key}: {said(value)} is not valid ({fault['msg']}); give another value"


def resolved(part: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Return a part of a JSON schema with its reference resolved."""
    return schema["$defs"][part["$ref"].rpartition("/")[2]] | part if "$ref" in part else part


def _part(schema: dict[str, Any], place: Iterable[Any]) -> dict[str, Any]:
    """Return the part of a JSON schema at a location."""
    part = schema
    for name in place:
        if isinstance(name, int):
            part = part["items"]
        elif name.startswith(KIND):
            part = next(one for one in part["oneOf"] if name in _names_of(resolved(one, schema)))
        else:
            (others,) = part.get("patternProperties", {"": part.get("additionalProperties")}).values()
            part = part.get("properties", {}).get(name, others)
        part = resolved(part, schema)
    return part


def _names_of(kind: dict[str, Any]) -> tuple[str, str]:
    """Return the names that identify one of several kinds of values: its type, or the objective of a term."""
    return KIND + kind["type"], KIND + str(kind.get("properties", {}).get("objective", {}).get("const"))


def said(value: Any) -> str:
    """Return a value for a sentence: text shortened and quoted, lists and mappings by their kind."""
    if isinstance(value, dict | list):
        return KINDS["object" if isinstance(value, dict) else "array"]
    if isinstance(value, bool):
        return str(value).lower()
    return "nothing" if value is None else repr(value) if len(repr(value)) <= 60 else f"{repr(value)[:56]}...'"


def _wrong_kind(value: Any, kinds: list[str]) -> str:
    hint = ""
    if value is None:
        hint = "; give it, or leave the key out"
    elif "string" in kinds and not isinstance(value, dict | list):
        hint = "; write it in quotes"
    elif isinstance(value, str) and (
        _is_number(value) if {"integer", "number"} & set(kinds) else value.lower() in ("true", "false")
    ):
        hint = "; write it without quotes"
    return f"{said(value)} is given, but {' or '.join(KINDS[kind] for kind in kinds)} is expected{hint}"


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
