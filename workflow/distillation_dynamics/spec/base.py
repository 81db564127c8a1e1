"""Jobs and slices of a study as values: conversion to and from JSON, and the part that enters a job's key."""

import json
from dataclasses import MISSING, Field, asdict, dataclass, field, fields, is_dataclass
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

ASIDE, LATER = "aside", "later"


def aside(**options: Any) -> Any:
    """Return a field that is not part of the key, because it says where or how a job works, not what it writes."""
    return field(metadata={ASIDE: True}, kw_only=True, **options)


def later(**options: Any) -> Any:
    """Return a field added after the first keys were made: its default is not in the key, so old keys stay valid."""
    return field(metadata={LATER: True}, **options)


@dataclass(frozen=True)
class From:
    """Input files of a job: `key` identifies their content, the paths their present location."""

    key: str
    files: tuple[str, ...] = aside()


def to_json(part: Any) -> str:
    """Return a job or slice as canonical JSON: equal values give equal text, independent of the order of keys."""
    return json.dumps(part, sort_keys=True, default=asdict)


def counted(part: Any) -> Any:
    """Return the fields of a job that enter its key, as dictionaries and lists; 1.0 becomes 1."""
    if is_dataclass(part):
        return {f.name: counted(getattr(part, f.name)) for f in fields(part) if _counts(f, getattr(part, f.name))}
    if isinstance(part, dict):
        return {key: counted(value) for key, value in part.items()}
    if isinstance(part, list | tuple):
        return [counted(value) for value in part]
    return int(part) if isinstance(part, float) and part.is_integer() else part


def _counts(one: Field, value: Any) -> bool:
    if LATER in one.metadata:
        return value != (one.default if one.default_factory is MISSING else one.default_factory())
    return ASIDE not in one.metadata


def from_json(kind: Any, text: str) -> Any:
    """Read a value back: the inverse of `to_json` for the dataclass (or tuple of dataclasses) `kind`."""
    return build(kind, json.loads(text))


def build(kind: Any, value: Any) -> Any:
    """Return `value` (dictionaries, lists and numbers) as the dataclass or tuple `kind`."""
    if isinstance(kind, UnionType):
        kind = get_args(kind)[0]
        return None if value is None else build(kind, value)
    if isinstance(kind, type) and is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(**{f.name: build(hints[f.name], value[f.name]) for f in fields(kind) if f.name in value})
    if get_origin(kind) is tuple:
        inner = get_args(kind)
        kinds = [inner[0]] * len(value) if inner[-1] is Ellipsis else inner
        return tuple(build(k, v) for k, v in zip(kinds, value, strict=True))
    if get_origin(kind) is dict:
        return {name: build(get_args(kind)[1], part) for name, part in value.items()}
    return float(value) if kind is float else value
