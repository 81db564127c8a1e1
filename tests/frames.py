"""Data frames as tables are read: integers, some of which may be missing."""

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

MAY_BE_MISSING = "seed", "epoch", "other_seed", "other_epoch", "valley_block", "untrained_block"


def frame(rows):
    """A frame of rows (or columns) whose seeds and epochs may be None."""
    table = pd.DataFrame(rows)
    return table.astype({name: "Int64" for name in MAY_BE_MISSING if name in table})


def minus_ones(folder):
    """The columns of whole numbers that hold a -1, in any table below a folder: file and column."""
    found = []
    for path in sorted(folder.rglob("*.parquet")):
        table = pq.read_table(path)
        whole = [field.name for field in table.schema if pa.types.is_integer(field.type)]
        found += [(path.name, name) for name in whole if pc.any(pc.equal(table[name], -1)).as_py()]
    return found
