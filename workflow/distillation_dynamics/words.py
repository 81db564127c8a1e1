"""Words shared by report, page and figures: counts, lists, numbers with intervals."""

from collections.abc import Iterable, Sequence

import numpy as np


def plural(count: int, noun: str) -> str:
    """Return '1 seed', '2 seeds'."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def listed(items: Iterable[str]) -> str:
    """Return 'a', 'a and b', 'a, b and c'."""
    items = list(items)
    return " and ".join(filter(None, [", ".join(items[:-1]), *items[-1:]]))


def of_each(what: str, names: Iterable[str]) -> str:
    """Return what all students share or, if it differs, `the baseline of each student (a, b)`."""
    different = list(dict.fromkeys(names))
    return different[0] if len(different) == 1 else f"the {what} of each student ({', '.join(different)})"


def of_one_or_each(what: str, names: Iterable[str]) -> str:
    """Return what all students share or, if it differs, `the baseline of each student`, where names have no room."""
    different = set(names)
    return different.pop() if len(different) == 1 else f"the {what} of each student"


def with_interval(value: float, low: float, high: float, sign: str = "") -> str:
    """Return '0.41 [0.35, 0.47]', or only the value without an interval."""
    text = number(value, f"{sign}.2f")
    return text if np.isnan(low) else f"{text} [{low:{sign}.2f}, {high:{sign}.2f}]"


def number(value: float, form: str = ".2f") -> str:
    """Return a number as text, '-' for NaN."""
    return "-" if np.isnan(value) else f"{value:{form}}"


def span(values: Sequence[float], form: str = ".2f") -> str:
    """Return '0.10 to 0.52', one number if both are equal, '-' without values."""
    known = [value for value in values if not np.isnan(value)]
    return " to ".join(dict.fromkeys(f"{end(known):{form}}" for end in (min, max))) if known else "-"


def spaced(name: str) -> str:
    """Return a column's name for a sentence."""
    return name.replace("_", " ")


def capital(text: str) -> str:
    """Return a text with a capital letter."""
    return text[:1].upper() + text[1:]


def over(seeds: Iterable[int]) -> str:
    """Return '6 seeds', or '2 to 6 seeds' if the numbers differ."""
    known = list(seeds)
    few, many = min(known), max(known)
    return plural(int(many), "seed") if few == many else f"{few} to {many} seeds"
