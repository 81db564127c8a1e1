"""The statistics stage: the study's questions, answered from the tables of the other stages.

In: scalars and tables over depth of every network; where there are students, runs and training curves, test logits and
labels, CKA and mismatch of students and teacher; where there are several networks, CKA, neighbours and Procrustes
distance of pairs. Out, in one folder: the tables of `TABLES`, empty where a question cannot be asked, and `report.md`.
Imports no torch.
"""

from pathlib import Path

import pandas as pd

from ..files import read_table, write_table, write_text
from ..spec.tables import Names, StatisticsJob
from ..statistics import alignment, claims, networks, published, shape, variants
from ..statistics.report.document import report

TABLES = {
    "shape": shape.SHAPE_COLUMNS,
    "minimum": shape.MINIMUM_COLUMNS,
    "networks": networks.NETWORK_COLUMNS,
    "differences": variants.DIFFERENCE_COLUMNS,
    "variants": variants.VARIANT_COLUMNS,
    "mcnemar": variants.MCNEMAR_COLUMNS,
    "trajectory": variants.TRAJECTORY_COLUMNS,
    "alignment": alignment.ALIGNMENT_COLUMNS,
    "published": published.PUBLISHED_COLUMNS,
    "published_trajectory": published.TRAJECTORY_COLUMNS,
    "published_entropy": published.ENTROPY_COLUMNS,
    "claims": claims.CLAIM_COLUMNS,
}


def main(job: StatisticsJob, gpus: int = 0) -> None:
    """Test the shapes over depth, hold networks beside each other, compare variants, say which blocks to align."""
    names, out = job.names, Path(job.out)
    read = {
        name: read_table(part.files[0])
        for name, part in job.tables.items()
        if name in ("runs", "epochs", "depth", "cka", "mismatch", "neighbours", "procrustes")
    }
    found = {name: pd.DataFrame(columns=list(columns)) for name, columns in TABLES.items()}
    found["shape"], found["minimum"] = shape.tables([Path(part.files[0]) for part in job.scalars])
    found["networks"] = networks.table(read, names)
    if names.baseline is not None:
        found |= _students(job, names, read)
    found["claims"] = claims.table(read | found, names, job.setting)
    for name, documentation in TABLES.items():
        columns = {column: found[name][column].to_numpy() for column in documentation}
        write_table(out / f"{name}.parquet", columns, documentation)
    write_text(out / "report.md", report(found, names))


def _students(job: StatisticsJob, names: Names, read: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return the tables on students: variants against the baseline and, with a teacher, its pairs of blocks."""
    runs, baseline = read["runs"], names.baseline
    compared = variants.others(runs, names)
    labels = variants.labels_of(Path(job.tables["splits"].files[0]))
    folders = {(run.network, run.seed): Path(run.folder) for run in job.students}
    found = {"mcnemar": variants.mcnemar(folders, labels, compared, baseline)}
    found["trajectory"] = variants.trajectory(read["epochs"], compared, baseline)
    found["variants"] = variants.compare(runs, found["trajectory"], found["mcnemar"], compared, baseline)
    found["differences"] = variants.differences(runs, compared, baseline)
    if names.teacher is not None and "cka" in read:
        pairs = {variant: [tuple(pair) for pair in listed] for variant, listed in job.pairs.items()}
        found["alignment"] = alignment.table(
            runs, pairs, compared, baseline, names.teacher, read["cka"], read.get("mismatch")
        )
    if job.setting is not None:
        found |= published.tables(job.setting, names, runs, found["differences"], read.get("depth"))
    return found
