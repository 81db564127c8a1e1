"""The paper stage: LaTeX parts for a paper on a study.

In: the tables of summary and statistics, means by block, the figures' PDFs with their captions,
`resources/sources.bib`, and the study's record. Out, in one folder: `main.tex`, which includes `numbers.tex`,
`methods.tex`, `references.bib`, `tables/<name>.tex` and `figures/<name>.tex` with its PDF. Imports no torch.
"""

import shutil
from pathlib import Path

from ..files import columns_of, frame_of, read_arrow, read_json, replacing, write_text
from ..paper import captions, document, figures, methods, numbers, tables
from ..paper.sources import Sources
from ..spec.tables import PaperJob


def main(job: PaperJob, gpus: int = 0) -> None:
    """Write the parts of a paper, and the document that includes them."""
    out, names = Path(job.out), job.names
    arrow = {name: read_arrow(part.files[0]) for name, part in job.tables.items()}
    read = {name: frame_of(table) for name, table in arrow.items()}
    study = read_json(job.study) if job.study and Path(job.study).is_file() else None
    said = captions.named(read, names)
    sources = Sources(Path(job.sources.files[0]).read_text("utf-8"))
    columns = {name: columns_of(table.schema) for name, table in arrow.items()}
    write_text(out / "numbers.tex", numbers.document(read, columns, names))
    for name, text in tables.texts(read, names, said).items():
        write_text(out / f"tables/{name}.tex", text)
    for name, drawn in job.figures.items():
        path = Path(drawn.pdf.files[0])
        with replacing(out / f"figures/{name}.pdf") as temporary:
            shutil.copyfile(path, temporary)
        text = figures.figure(name, path.read_bytes(), captions.filled(drawn.caption, said))
        write_text(out / f"figures/{name}.tex", text)
    write_text(out / "methods.tex", methods.document(study, read, names, said, sources))
    write_text(out / "references.bib", sources.bibliography())
    title = f"{study['name'] if study else 'Study'}: tables and figures"
    write_text(out / "main.tex", document.document(title, tables.known(), job.figures, bool(sources.cited)))
