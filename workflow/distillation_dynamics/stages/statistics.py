"""The statistics stage: the study's questions, answered from the tables of the other stages.

In: scalars and means by block of every network; where there are students, the terms of their losses and the share of
each, runs and training curves, test logits and labels, CKA and mismatch of students and teacher; where there are
several networks, CKA, neighbours and Procrustes distance of pairs. Out, in one folder: the tables of `TABLES`, empty
where a question cannot be asked, `report.md` and the same by section in `report.json`, and the tables in
`numbers.json`. Imports no torch.
"""

from pathlib import Path

import pandas as pd

from ..files import read_json, read_table, write_json, write_table, write_text
from ..spec.tables import Setting, StatisticsJob
from ..statistics import (
    alignment,
    checkpoints,
    claims,
    dose,
    effects,
    networks,
    published,
    references,
    shape,
    terms,
    trajectory,
    variants,
)
from ..statistics.report import document

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
    "published": published.PUBLISHED_COLUMNS,
    "published_trajectory": published.TRAJECTORY_COLUMNS,
    "published_entropy": published.ENTROPY_COLUMNS,
    "claims": claims.CLAIM_COLUMNS,
}


def main(job: StatisticsJob, gpus: int = 0) -> None:
    """Test the shapes over depth, hold networks beside each other, compare variants, say what aligning did."""
    names, out = job.names, Path(job.out)
    read = {name: read_table(part.files[0]) for name, part in job.tables.items() if name != "splits"}
    found = {name: pd.DataFrame(columns=list(columns)) for name, columns in TABLES.items()}
    if "depth" in read:
        found["references"] = references.table(read["depth"])
    found["shape"], found["minimum"] = shape.tables(
        [Path(part.files[0]) for part in job.scalars], found["references"], names.controls.values()
    )
    found["networks"] = networks.table(read, names)
    if job.setting is not None and names.baseline is not None:
        found |= _students(job, job.setting, names.baseline, read)
    found["claims"] = claims.table(read | found, names, job.setting)
    for name, documentation in TABLES.items():
        columns = {column: found[name][column].to_numpy() for column in documentation}
        write_table(out / f"{name}.parquet", columns, documentation)
    study = read_json(job.study) if job.study and Path(job.study).is_file() else None
    title, parts = document.title_of(study), document.sections(found, read, names, study)
    write_text(out / "report.md", document.report(title, parts))
    write_json(out / "report.json", document.for_machines(title, parts))
    write_json(out / "numbers.json", document.numbers(found, TABLES))


def _students(
    job: StatisticsJob, setting: Setting, baseline: str, read: dict[str, pd.DataFrame]
) -> dict[str, pd.DataFrame]:
    """Return the tables on students: variants against the baseline and, with a teacher, its pairs of blocks."""
    names, terms_of, runs = job.names, setting.terms, read["runs"]
    compared = variants.others(runs, names)
    labels = checkpoints.labels_of(Path(job.tables["splits"].files[0]))
    folders = {(run.network, run.seed): Path(run.folder) for run in job.students}
    found = {"mcnemar": checkpoints.mcnemar(folders, labels, compared, baseline)}
    found["trajectory"] = trajectory.trajectory(read["epochs"], compared, baseline)
    gains = trajectory.gains(read["epochs"], compared, baseline)
    found["variants"] = variants.compare(runs, gains, found["mcnemar"], terms_of, compared, baseline)
    found["differences"] = variants.differences(runs, compared, baseline)
    shares = terms.shares(read.get("terms"))
    found["effects"] = effects.table(found["variants"], terms_of, shares)
    members = dose.members(terms_of, shares, compared, baseline)
    found["dose_and_place"] = dose.table(variants.by_seed(runs, compared, baseline), members, baseline)
    if names.teacher is not None and "cka" in read:
        alike = alignment.likeness(read["cka"], baseline, names.teacher)
        top = alignment.ceiling(read["cka"], names, alike.kind)
        mismatch = read.get("mismatch")
        found["alignment"] = alignment.table(alike, top, mismatch, terms_of, baseline, names.teacher)
        found["nearest"] = alignment.nearest(alike, top, baseline)
    found |= published.tables(setting, names, runs, found["differences"], read.get("depth"))
    return found
