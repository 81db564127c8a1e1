r"""`numbers.tex`: a name for every number of the report, so that a paper cannot quote a different one.

In: the tables of summary and statistics with their documentation. Out: LaTeX that defines `\studynumber{name}`. A name
consists of table, row and column, such as `variants/last2/mean_difference`; rows with equal keys are numbered. A
missing value has no name, and a text that uses it does not compile. Each question lists its tables in NUMBERS of its
`paper.py`.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..files import Column
from ..spec.tables import Names
from ..statistics.westfall_young import p_said
from .latex import POWER, comment
from .tables import Tables, parts

HEAD = r"""% Every number that the report of this study states. Made by the workflow: changes are lost.
% \input{numbers} in the preamble; \studynumber{variants/last2/mean_difference} in a sentence is that number.
% Not here: single seeds, epochs, blocks and checkpoints, curves of single students, and the words of claims;
% all of it is in statistics/numbers.json.
\newcommand{\studynumber}[1]{\ifcsname studynumber/#1\endcsname\csname studynumber/#1\endcsname
  \else\errmessage{this study has no number #1}\fi}
\newcommand{\definenumber}[2]{\expandafter\newcommand\csname studynumber/#1\endcsname{#2}}"""


@dataclass(frozen=True)
class Stated:
    """Numbers of a table in the report; `keys`: columns that identify a row.

    `rows`: function that selects rows, if not all of the table; `columns`: documentation of a table that the study
    itself lacks.
    """

    keys: tuple[str, ...]
    rows: Callable[[Tables, Names], pd.DataFrame] | None = None
    columns: Mapping[str, Column] | None = None


def document(tables: Tables, columns: Mapping[str, Mapping[str, Column]], names: Names) -> str:
    """Return numbers.tex: for each question the tables in its NUMBERS; `columns`: their documentation."""
    found = [HEAD]
    for part in parts():
        for name, stated in getattr(part, "NUMBERS", {}).items():
            table = tables[name] if stated.rows is None else stated.rows(tables, names)
            found += _section(name, stated.keys, table, stated.columns or columns[name])
    return "\n".join(found) + "\n"


def _section(name: str, keys: tuple[str, ...], table: pd.DataFrame, columns: Mapping[str, Column]) -> Iterator[str]:
    """Yield the lines for one table: its columns, and the names of its numbers."""
    numbers = [
        column
        for column in columns
        if column not in keys and column in table and pd.api.types.is_numeric_dtype(table[column])
        and not pd.api.types.is_bool_dtype(table[column])
    ]  # fmt: skip
    if table.empty or not numbers:
        return
    yield f"\n%%% {name}"
    for column in numbers:
        unit, description = columns[column]
        yield comment(f"{column}{f' [{unit}]' if unit else ''}: {description}")
    seen: Counter = Counter()
    for row in table.to_dict("records"):
        of = "/".join((name, *(str(row[key]) for key in keys)))
        seen[of] += 1
        place = f"/{seen[of]}" if seen[of] > 1 else ""
        for column in numbers:
            value, unit = row[column], columns[column].unit
            if pd.notna(value) and np.isfinite(value):
                full = comment(f"{value!r} {unit}")
                yield rf"\definenumber{{{of}{place}/{column}}}{{{shown(value, unit, column)}}} {full}"


def shown(value: float, unit: str, column: str) -> str:
    """Return a number as text: points and percent with two decimals, p with two digits, others with three."""
    if isinstance(value, int) or abs(value) >= 1000:
        text = f"{value:,.0f}"
    elif column == "p" or column.startswith("p_") or column.endswith("_p"):
        text = p_said(value).replace("<= ", r"\leq ")
    elif unit == "points" or unit.startswith("%"):
        text = f"{value:.2f}"
    else:
        text = f"{value:.3g}"
    if found := POWER.search(text):
        return rf"\ensuremath{{{text[: found.start()]}{found[1]}\times10^{{{int(found[2])}}}}}"
    return rf"\ensuremath{{{text}}}" if text.startswith(("-", "\\")) else text
