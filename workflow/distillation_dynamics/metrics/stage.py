"""The metrics stage: lay the tables of all models of a study end to end.

In: the per-model tables that the features stage computed on float32 features. Out: one study-level table of the same
name and columns. Imports no torch.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import StudyError
from ..files import replacing
from ..spec.tables import MetricsJob


def main(job: MetricsJob, gpus: int = 0) -> None:
    """Concatenate the tables of all models."""
    tables = []
    for path in (path for table in job.tables for path in table.files):
        try:
            tables.append(pq.read_table(path))
        except (pa.ArrowInvalid, OSError) as error:
            raise StudyError(f"{path} is not readable Parquet ({error}); delete it and run snakemake again") from error
    with replacing(Path(job.out) / f"{job.table}.parquet") as temporary:
        pq.write_table(pa.concat_tables(tables), temporary, compression="zstd")
