r"""`numbers.tex`: a name for every number that the report states, so that a text cannot say another one.

In: the tables of summary and statistics with their documentation. Out: LaTeX that defines `\studynumber{name}`; names
are made of the table, what the row is of, and the column, such as `variants/last2/mean_difference`; where several rows
are of the same, their place is a part of the name. What has no value has no name, and a text that uses it does not
compile.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..files import Column
from ..spec.tables import MAIN_IMAGE_SET, Names
from ..statistics.u_shape import U_SHAPED, UNDECIDED
from .latex import POWER, comment

# Table -> the columns that say what a row is of.
KEYS = {
    "summary": ("network",),
    "shape": ("network", "metric"),
    "u_shaped": ("metric", "members"),
    "references": ("network", "block"),
    "networks": ("network", "other"),
    "differences": ("variant", "seed"),
    "variants": ("variant",),
    "mcnemar": ("variant", "seed"),
    "trajectory": ("variant", "epoch"),
    "effects": ("variant", "objective", "pairs"),
    "dose_and_place": ("contrast", "variant", "other"),
    "alignment": ("student_block", "teacher_block"),
    "nearest": ("student_block",),
    "published": ("variant", "run"),
    "published_entropy": ("variant", "published_epoch"),
}
# Tables of statistics whose numbers the report does not state: their shares are drawn, or stand in the words of claims.
NOT_STATED = ("minimum", "published_trajectory", "claims")
COUNT_COLUMNS = {
    "metric": Column("", "column of scalars.parquet"),
    "members": Column("", "networks, their controls, or students (every seed counts)"),
    "u_shaped": Column("", "how many of them are U-shaped"),
    "undecided": Column("", "how many are undecided"),
    "measured": Column("", "of how many"),
}
HEAD = r"""% Every number that the report of this study states. Made by the workflow: changes are lost.
% \input{numbers} in the preamble; \studynumber{variants/last2/mean_difference} in a sentence is that number.
% Not here: curves of single students (tables shape and references), shares of the lowest block (minimum), the published
% trajectory, and what stands in the words of claims; all of it is in statistics/numbers.json.
\newcommand{\studynumber}[1]{\ifcsname studynumber/#1\endcsname\csname studynumber/#1\endcsname
  \else\errmessage{this study has no number #1}\fi}
\newcommand{\definenumber}[2]{\expandafter\newcommand\csname studynumber/#1\endcsname{#2}}"""


class Documented(NamedTuple):
    """A table with the unit and meaning of each column."""

    table: pd.DataFrame
    columns: Mapping[str, Column]


def document(tables: Mapping[str, Documented], names: Names) -> str:
    """Return numbers.tex from the tables in KEYS, those that there are."""
    parts = [HEAD]
    for name in KEYS:
        if name == "u_shaped":
            found = Documented(counts(tables["shape"].table, names), COUNT_COLUMNS)
        elif name in tables:
            found = Documented(_stated(name, tables[name].table, names), tables[name].columns)
        else:
            continue
        parts += _section(name, *found)
    return "\n".join(parts) + "\n"


def _stated(name: str, table: pd.DataFrame, names: Names) -> pd.DataFrame:
    """Return the rows of a table that the report goes through one by one."""
    if name not in ("shape", "references"):
        return table
    return table[(table["probe"] == MAIN_IMAGE_SET) & table["network"].isin(names.fixed)]


def counts(shape: pd.DataFrame, names: Names) -> pd.DataFrame:
    """Return a row a metric and kind of network: how many are U-shaped, undecided, and measured."""
    kinds = {"networks": names.networks, "controls": names.controls.values(), "students": names.variants}
    kind_of = {name: kind for kind, members in kinds.items() for name in members}
    rows = shape[shape["probe"] == MAIN_IMAGE_SET]
    verdicts = {"u_shaped": rows["verdict"] == U_SHAPED, "undecided": rows["verdict"] == UNDECIDED}
    rows = rows.assign(members=rows["network"].map(kind_of), **verdicts)
    groups = rows.groupby(["metric", "members"], sort=False)
    return groups[["u_shaped", "undecided"]].sum().assign(measured=groups.size()).reset_index()


def _section(name: str, table: pd.DataFrame, columns: Mapping[str, Column]) -> Iterator[str]:
    """Yield the lines on one table: what its columns are, and the names of its numbers."""
    keys = KEYS[name]
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
            if np.isfinite(value):
                full = comment(f"{value!r} {unit}")
                yield rf"\definenumber{{{of}{place}/{column}}}{{{shown(value, unit, column)}}} {full}"


def shown(value: float, unit: str, column: str) -> str:
    """Return a number for a text: points and percent with two decimals, p with two digits, others with three."""
    if isinstance(value, int) or abs(value) >= 1000:
        text = f"{value:,.0f}"
    elif column == "p" or column.startswith("p_") or column.endswith("_p"):
        text = f"{value:.2g}"
    elif unit == "points" or unit.startswith("%"):
        text = f"{value:.2f}"
    else:
        text = f"{value:.3g}"
    if found := POWER.search(text):
        return rf"\ensuremath{{{text[: found.start()]}{found[1]}\times10^{{{int(found[2])}}}}}"
    return rf"\ensuremath{{{text}}}" if text.startswith("-") else text
