"""Adds student, variant and teacher as columns to every table of a study with a `network` column.

Measurements of a network are stored under its identity, independent of a study's names, so these columns are added
where a study's tables are gathered. Imports no torch.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from .files import Column, field_of, table_of, write_arrow
from .spec.tables import Arm

COLUMNS = {
    "student": Column("", "name of the student that it is; null for networks"),
    "variant": Column("", "variant that trained it, as the configuration calls it; null for networks"),
    "teacher": Column("", "network that taught it; null for networks"),
}


def with_arms(table: pa.Table, arms: Mapping[str, Arm]) -> pa.Table:
    """Return a table with COLUMNS after its column `network`; unchanged without that column."""
    if "network" not in table.column_names:
        return table
    place = 1 + table.column_names.index("network")
    which = pc.index_in(table["network"].cast(pa.string()), value_set=pa.array(list(arms), pa.string()))
    for number, (name, column) in enumerate(COLUMNS.items()):
        values = pa.array([getattr(arm, name) for arm in arms.values()], pa.string()).take(which)
        table = table.add_column(place + number, field_of(name, pa.string(), column), values)
    return table


def write_of_study(
    path: str | Path, columns: Mapping[str, Any], documentation: Mapping[str, Column], arms: Mapping[str, Arm]
) -> None:
    """Write a table of a study, as `write_table` does, with COLUMNS."""
    write_arrow(path, with_arms(table_of(columns, documentation), arms))
