"""The statistics stage: the study's questions, answered from the tables of the other stages.

In: scalars of every network, the tables that questions read; where there are students, test logits and labels. Out, in
one folder: the tables of all questions, empty where a question cannot be asked, `report.md` and the same by section in
`report.json`, and the tables in `numbers.json`. Imports no torch.
"""

from importlib import import_module
from pathlib import Path

import pandas as pd

from .. import extensions
from ..files import Column, read_json, read_table, write_json, write_table, write_text
from ..report import document
from ..spec.tables import StatisticsJob
from ..statistics.evidence import Evidence


def documentation() -> dict[str, dict[str, Column]]:
    """Return the tables of all questions by name: column -> its unit and meaning."""
    asked = [name for name, question in extensions.questions().items() if question.tables]
    return {table: columns for name in asked for table, columns in _module(name).TABLES.items()}


def main(job: StatisticsJob, gpus: int = 0) -> None:
    """Answer the questions in their order, and write their tables and the report."""
    known, out = extensions.questions(), Path(job.out)
    read = {name: read_table(part.files[0]) for name, part in job.tables.items() if name != "splits"}
    evidence = Evidence(
        *(read, job.names, job.setting),
        scalars=[Path(part.files[0]) for part in job.scalars],
        students={(run.network, run.seed): Path(run.folder) for run in job.students},
        splits=Path(job.tables["splits"].files[0]) if "splits" in job.tables else None,
        study=read_json(job.study) if job.study and Path(job.study).is_file() else None,
    )
    columns = documentation()
    for name, question in known.items():
        evidence.tables.update({table: pd.DataFrame(columns=list(columns[table])) for table in question.tables})
        if question.tables and not (question.requires and job.setting is None):
            evidence.tables.update(_module(name).tables(evidence))
    for name, documented in columns.items():
        values = {column: evidence.tables[name][column].to_numpy() for column in documented}
        write_table(out / f"{name}.parquet", values, documented)
    title, parts = document.title_of(evidence.study), document.sections(known, evidence)
    write_text(out / "report.md", document.report(title, parts))
    write_json(out / "report.json", document.for_machines(title, parts))
    write_json(out / "numbers.json", document.numbers(evidence.tables, columns))


def _module(question: str):
    return import_module(f"..questions.{question}", __package__)
