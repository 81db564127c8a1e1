"""Describes how a task's job differs from the job in a record."""

from collections.abc import Iterable
from typing import Any

from ..spec.base import counted
from .task import Task

# Maximum number of differing keys listed.
MOST_KEYS = 5


def difference(task: Task, known: dict[str, Any]) -> str | None:
    """Return which keys of a job, or which code, differ from its record; None if only inputs do."""
    old, new = ({**_flat(job), **_code(code)} for job, code in (
        (known["job"], known["code"]), (counted(task.job), task.code)
    ))  # fmt: skip
    changed = [key for key in sorted(old | new) if old.get(key) != new.get(key)]
    own = [key for key in changed if key.rpartition(".")[2] != "key"]
    if not own:
        return None
    said = [f"{key}: {old.get(key, 'none')} -> {new.get(key, 'none')}" for key in own[:MOST_KEYS]]
    more = [f"and {len(own) - MOST_KEYS} more"] if len(own) > MOST_KEYS else []
    return "; ".join([*said, *more])


def _flat(value: Any, key: str = "") -> dict[str, str]:
    """Return dotted key -> value of a job; items of a list go by their name if they have one, else by position."""
    if not (isinstance(value, dict | list) and value):
        return {key: str(value)}
    flat: dict[str, str] = {}
    for name, part in value.items() if isinstance(value, dict) else enumerate(value):
        label, said = name, part
        if isinstance(value, list) and isinstance(part, str):
            label, said = part, "listed"
        elif isinstance(value, list) and isinstance(part, dict):
            label = part.get("name") or " ".join(str(part[k]) for k in ("network", "seed") if k in part) or name
        flat |= _flat(said, f"{key}.{label}" if key else str(label))
    return flat


def _code(code: Iterable[str]) -> dict[str, str]:
    return {f"code of {name}": digest for name, _, digest in (entry.partition(":") for entry in code)}
