"""The statistics stage: the study's questions, answered from the tables of the other stages.

In: scalars and means by block of every network; where there are students, the terms of their losses and the share of
each, runs and training curves, test logits and labels, CKA and mismatch of students and teacher; where there are
several networks, CKA, neighbours and Procrustes distance of pairs. Out, in one folder: the tables of `TABLES`, empty
where a question cannot be asked, and `report.md`. Imports no torch.
"""

from pathlib import Path

import pandas as pd

from ..files import read_table, write_table, write_text
from ..spec.tables import Names, StatisticsJob
from ..statistics import alignment, checkpoints, dose, effects, networks, references, shape, terms, trajectory, variants
from ..statistics.report.document import report

TABLES = {
    "shape": shape.SHAPE_COLUMNS,
    "minimum": shape.MINIMUM_COLUMNS,
    "references": references.REFERENCE_COLUMNS,
    "networks": networks.NETWORK_COLUMNS,
    "differences": variants.DIFFERENCE_COLUMNS,
    "variants": variants.VARIANT_COLUMNS,
    "mcnemar": checkpoints.MCNEMAR_COLUMNS,
    "trajectory": trajectory.TRAJECTORY_COLUMNS,
    "effects": effects.EFFECT_COLUMNS,
    "dose_and_place": dose.DOSE_COLUMNS,
    "alignment": alignment.ALIGNMENT_COLUMNS,
    "nearest": alignment.NEAREST_COLUMNS,
}


def main(job: StatisticsJob, gpus: int = 0) -> None:
    """Test the shapes over depth, hold networks beside each other, compare variants, say what aligning did."""
    names, out = job.names, Path(job.out)
    read = {
        name: read_table(part.files[0])
        for name, part in job.tables.items()
        if name in ("depth", "runs", "epochs", "terms", "cka", "mismatch", "neighbours", "procrustes")
    }
    found = {name: pd.DataFrame(columns=list(columns)) for name, columns in TABLES.items()}
    if "depth" in read:
        found["references"] = references.table(read["depth"])
    found["shape"], found["minimum"] = shape.tables(
        [Path(part.files[0]) for part in job.scalars], found["references"], names.controls.values()
    )
    found["networks"] = networks.table(read, names)
    if names.baseline is not None:
        found |= _students(job, names, read)
    for name, documentation in TABLES.items():
        columns = {column: found[name][column].to_numpy() for column in documentation}
        write_table(out / f"{name}.parquet", columns, documentation)
    write_text(out / "report.md", report(found, names))


def _students(job: StatisticsJob, names: Names, read: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return the tables on students: variants against the baseline and, with a teacher, its pairs of blocks."""
    runs, baseline = read["runs"], names.baseline
    compared = variants.others(runs, names)
    labels = checkpoints.labels_of(Path(job.tables["splits"].files[0]))
    folders = {(run.network, run.seed): Path(run.folder) for run in job.students}
    found = {"mcnemar": checkpoints.mcnemar(folders, labels, compared, baseline)}
    found["trajectory"] = trajectory.trajectory(read["epochs"], compared, baseline)
    gains = trajectory.gains(read["epochs"], compared, baseline)
    found["variants"] = variants.compare(runs, gains, found["mcnemar"], job.terms, compared, baseline)
    found["differences"] = variants.differences(runs, compared, baseline)
    shares = terms.shares(read.get("terms"))
    found["effects"] = effects.table(found["variants"], job.terms, shares)
    members = dose.members(job.terms, shares, compared, baseline)
    found["dose_and_place"] = dose.table(variants.by_seed(runs, compared, baseline), members, baseline)
    if names.teacher is not None and "cka" in read:
        alike = alignment.likeness(read["cka"], baseline, names.teacher)
        top = alignment.ceiling(read["cka"], names, alike.kind)
        mismatch = read.get("mismatch")
        found["alignment"] = alignment.table(alike, top, mismatch, job.terms, baseline, names.teacher)
        found["nearest"] = alignment.nearest(alike, top, baseline)
    return found
