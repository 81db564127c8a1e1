"""Checks the return values of metrics: an error names file, line, and what was expected."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import StudyError, place_of, said_of


def columns(function: Callable[..., Any], returned: Any, wanted: Collection[str]) -> Mapping[str, Any]:
    """Return a function's columns by name; raise StudyError if they are not the wanted ones."""
    if not isinstance(returned, Mapping):
        raise _fault(function, said_of(returned), f"a mapping of {', '.join(wanted)}")
    more, lacking = ([str(one) for one in a if one not in b] for a, b in ((returned, wanted), (wanted, returned)))
    said = [f"{', '.join(more)}, which its file does not document"] if more else []
    said += [f"nothing of {', '.join(lacking)}, which its file documents"] if lacking else []
    if said:
        raise StudyError(f"{place_of(function)}: {function.__name__} returned {' and '.join(said)}")
    return returned


def listed(function: Callable[..., Any], name: str, values: Any, count: int, what: str = "block") -> Sequence[Any]:
    """Return a column's entries; raise StudyError unless there is one for each of `count` blocks."""
    if isinstance(values, str | bytes | Mapping) or not hasattr(values, "__len__") or len(values) != count:
        raise _fault(function, f"{said_of(values)} as {name}", f"one entry a {what}, {count} here")
    return values


def numbers(function: Callable[..., Any], name: str, value: Any, shape: tuple[int, ...], what: str) -> np.ndarray:
    """Return an entry of a column as an array of numbers; raise StudyError for another type or shape."""
    try:
        array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    except (TypeError, ValueError) as error:
        raise _fault(function, f"{said_of(value)} as {name}", f"{what}, {list(shape)}") from error
    if array.dtype.kind not in "fiub" or array.shape != shape:
        raise _fault(function, f"{said_of(value)} as {name}", f"{what}, {list(shape)}" if shape else what)
    return array


def rows(function: Callable[..., Any], returned: Any, tables: Mapping[str, Iterable[str]]) -> Mapping[str, list]:
    """Return the rows of each table; raise StudyError if they are not as the metric's file documents."""
    for table, names in tables.items():
        listing = returned.get(table) if isinstance(returned, Mapping) else None
        if not isinstance(listing, list | tuple):
            what = said_of(listing) if isinstance(returned, Mapping) else said_of(returned)
            raise _fault(function, f"{what} for {table}", "a list of rows by table")
        for row in listing:
            columns(function, row, list(names))
    return returned


def _fault(function: Callable[..., Any], what: str, wanted: str) -> StudyError:
    return StudyError(f"{place_of(function)}: {function.__name__} returned {what}; wanted is {wanted}")
