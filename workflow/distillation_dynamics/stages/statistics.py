"""The statistics stage: the questions' statistics, computed from the tables of other stages.

In: scalars of every network, the tables that questions read; with students, test logits and labels. Out, in one folder:
the tables of all questions, empty if a question does not apply, and all of them in `numbers.json`. Imports no torch.
"""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .. import extensions
from ..arms import write_of_study
from ..files import Column, columns_to_write, read_table, write_json
from ..spec.tables import StatisticsJob
from ..statistics.evidence import Evidence


def documentation() -> dict[str, dict[str, Column]]:
    """Return the tables of all questions by name: column -> unit and meaning."""
    asked = [name for name, question in extensions.questions().items() if question.tables]
    return {table: columns for name in asked for table, columns in _module(name).TABLES.items()}


def main(job: StatisticsJob, gpus: int = 0) -> None:
    """Run the questions in order and write their tables."""
    out, columns = Path(job.out), documentation()
    read = {name: read_table(part.files[0]) for name, part in job.tables.items() if name != "splits"}
    evidence = Evidence(
        *(read | {name: pd.DataFrame(columns=list(own)) for name, own in columns.items()}, job.names, job.setting),
        scalars=[Path(part.files[0]) for part in job.scalars],
        students={(run.network, run.seed): Path(run.folder) for run in job.students if run.seed is not None},
        splits=Path(job.tables["splits"].files[0]) if "splits" in job.tables else None,
    )
    for name in job.asked:
        evidence.tables.update(_module(name).tables(evidence))
    for name, documented in columns.items():
        values = columns_to_write(evidence.tables[name], documented)
        write_of_study(out / f"{name}.parquet", values, documented, job.names.arms)
    write_json(out / "numbers.json", numbers(evidence.tables, columns))


def _module(question: str):
    return import_module(f"..questions.{question}", __package__)


def numbers(tables: Mapping[str, pd.DataFrame], known: Mapping[str, Mapping[str, Column]]) -> dict[str, Any]:
    """Return tables in machine-readable form: columns with unit and meaning, and rows; null for NaN."""
    found = {}
    for name, columns in known.items():
        table = tables[name][list(columns)].replace([np.inf, -np.inf], np.nan).astype(object)
        rows = table.where(table.notna(), None).to_dict("records")
        found[name] = {"columns": {column: one._asdict() for column, one in columns.items()}, "rows": rows}
    return found
