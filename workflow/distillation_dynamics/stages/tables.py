"""The tables stage: join the tables of all networks, those of several metrics side by side.

In: tables of one name, by metric and network (or pair). Out: one study-level table of that name, with empty columns for
missing metrics, and with student, variant and teacher next to the network. Imports no torch.
"""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from ..arms import with_arms
from ..errors import StudyError
from ..files import Column, field_of, read_arrow, write_arrow
from ..spec.tables import TablesJob


def main(job: TablesJob, gpus: int = 0) -> None:
    """Join the tables."""
    joined = [beside([read_arrow(path) for part in parts for path in part.files]) for parts in job.tables]
    table = with_arms(pa.concat_tables(joined, promote_options="default"), job.arms)
    write_arrow(Path(job.out) / f"{job.table}.parquet", documented(table, job.columns))


def documented(table: pa.Table, columns: Mapping[str, tuple[str, str]]) -> pa.Table:
    """Return a table with the current descriptions of its columns, instead of those at measurement."""
    fields = [
        field_of(one.name, one.type, Column(*columns[one.name])) if one.name in columns else one for one in table.schema
    ]
    return pa.Table.from_arrays(table.columns, schema=pa.schema(fields))


def beside(tables: list[pa.Table]) -> pa.Table:
    """Join tables with the same rows; shared columns appear once.

    Raises StudyError if a shared column differs, because rows of different images or blocks must not be joined.
    """
    result = tables[0]
    for table in tables[1:]:
        for name in table.column_names:
            if name not in result.column_names:
                result = result.append_column(table.schema.field(name), table[name])
            elif len(table) != len(result) or not table[name].equals(result[name]):
                raise StudyError(f"{name} differs between tables of one network; run the same command again")
    return result
