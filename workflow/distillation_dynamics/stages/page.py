"""The page stage: one file, `index.html`, that shows a whole study offline. Imports no torch.

In: tables of the study, its report, printed figures, study.json, and the records of the jobs it depends on.
"""

from pathlib import Path

from ..drawing.style import Style
from ..files import columns_of, frame_of, read_arrow, read_json, write_text
from ..page import document, looks
from ..page.panel import PageData
from ..spec.tables import INDEX, PageJob


def main(job: PageJob, gpus: int = 0) -> None:
    """Write the page; equal bytes for equal files. Raises StudyError if a file cannot be read."""
    tables, columns = {}, {}
    for name, part in job.tables.items():
        table = read_arrow(part.files[0])
        tables[name] = frame_of(table)
        columns[name] = columns_of(table.schema)
    made = read_json(job.study) if job.study and Path(job.study).is_file() else None
    data = PageData(job.names, tables, columns, made, hours_of(job.records), job.edges, job.classes)
    assets = {Path(file).name: Path(file).read_text(encoding="utf-8") for file in job.assets.files}
    figures = {name: (part.files[0], job.shows[name]) for name, part in job.figures.items()}
    look = looks.looks(Style(**job.options, names=job.names))
    text = document.page(data, read_json(job.report.files[0]), figures, look, assets)
    write_text(Path(job.out) / INDEX, text)


def hours_of(records: dict[str, tuple[str, ...]]) -> dict[str, tuple[int, float]]:
    """Return stage -> number of its jobs with recorded seconds, and their hours."""
    found = {}
    for stage, paths in records.items():
        seconds = [read_json(path).get("seconds") for path in paths if Path(path).is_file()]
        known = [value for value in seconds if value is not None]
        found[stage] = len(known), sum(known) / 3600
    return found
