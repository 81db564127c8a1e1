"""How many of many networks, variants or pairs a reader is shown: the one rule of the report and of the page.

Up to MOST all of them, in the study's order. Of more the first MOST by a value that the text names, with how many there
are and the table that holds all. Sentences name the first MOST, too, and count the others.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from . import words

if TYPE_CHECKING:
    import pandas as pd

MOST = 12
One = TypeVar("One")


def ordered(table: "pd.DataFrame", values: "Sequence[float] | pd.Series") -> "pd.DataFrame":
    """Return a table of up to MOST rows as it is, of more its rows by their `values`, the largest first.

    Missing values come last; rows of equal values stay in the order of the table.
    """
    if len(table) <= MOST:
        return table
    numbers = np.asarray(values, dtype=np.float64)
    return table.iloc[np.argsort(np.where(np.isnan(numbers), np.inf, -numbers), kind="stable")]


def ranked(table: "pd.DataFrame", values: "Sequence[float] | pd.Series") -> "pd.DataFrame":
    """Return the rows of a table that are shown: all of up to MOST, otherwise the MOST with the largest `values`."""
    return ordered(table, values).head(MOST)


def top(items: Sequence[One]) -> Sequence[One]:
    """Return the first MOST of items."""
    return items[:MOST]


def more(items: Sequence[object]) -> str:
    """Return what follows the first MOST of items in a sentence: ', and 3 more', or nothing."""
    return f", and {len(items) - MOST} more" if len(items) > MOST else ""


def listed(items: Iterable[str]) -> str:
    """Return 'a, b and c', or of more than MOST the first of them and how many more there are."""
    known = list(items)
    return ", ".join(top(known)) + more(known) if len(known) > MOST else words.listed(known)


def shown(count: int, what: str, by: str, file: str, where: str = "table") -> str:
    """Return the sentence that says how many of `count` are shown, by what they are ranked, and where all are.

    `what`: 'variants'; `by`: 'the largest differences', empty for the study's order; `file`: a path below the study's
    folder. Empty where all are shown.
    """
    if count <= MOST:
        return ""
    said = f"{MOST} of {count:,} {what}, {by} first" if by else f"the first {MOST} of {count:,} {what}"
    return f"The {where} shows {said}; `{file}` holds all."
