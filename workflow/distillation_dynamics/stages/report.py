"""The report stage: answers to the study's questions in words.

In: the tables of all questions and of the stages they depend on, facts on the images, and the study's record. Out:
`summary.md`, `report.md` and `methods.md`, and the same by section in `report.json`. Imports no torch.
"""

from pathlib import Path

from .. import extensions
from ..files import read_json, read_table, write_json, write_text
from ..report import document
from ..spec.tables import ReportJob
from ..statistics.evidence import Evidence


def main(job: ReportJob, gpus: int = 0) -> None:
    """Write the report."""
    evidence = Evidence({name: read_table(part.files[0]) for name, part in job.tables.items()}, job.names)
    study = read_json(job.study) if job.study and Path(job.study).is_file() else None
    seen = [one for part in job.pictures for one in read_json(part.files[0]).values()]
    notes = [note for one in seen for note in one["notes"]]
    report = document.report_of(extensions.questions(), evidence, study, notes)
    for name, text in document.texts(report).items():
        write_text(Path(job.out) / name, text)
    write_json(Path(job.out) / "report.json", document.for_machines(report))
