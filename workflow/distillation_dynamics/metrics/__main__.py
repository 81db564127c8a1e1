"""The metrics stage: lay the tables of all models of a study end to end.

In: the per-model tables that the features stage computed on float32 features. Out: one study-level table of the same
name and columns. Imports no torch.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import StudyError
from ..files import replacing
from ..stage import run_stage


def main(arguments) -> None:
    """Concatenate the tables of all models."""
    tables = []
    for path in arguments.tables:
        try:
            tables.append(pq.read_table(path))
        except (pa.ArrowInvalid, OSError) as error:
            raise StudyError(f"{path} is not readable Parquet ({error}); delete it and run snakemake again") from error
    with replacing(Path(arguments.out)) as temporary:
        pq.write_table(pa.concat_tables(tables), temporary, compression="zstd")


if __name__ == "__main__":
    run_stage(main, "out", tables="tables of the models")
