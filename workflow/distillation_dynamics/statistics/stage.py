"""The statistics stage: three questions, answered from the tables of the other stages.

In: scalars of every model, runs and training curves, test logits and labels, CKA and mismatch of students and teacher.
Out, in one folder: `shape.parquet`, `minimum.parquet`, `differences.parquet`,
`variants.parquet`, `mcnemar.parquet`, `trajectory.parquet`, `alignment.parquet` and `report.md`. Imports no torch.
"""

from pathlib import Path

from ..files import read_table, write_table, write_text
from ..spec.tables import StatisticsJob
from . import alignment, shape, variants
from .report import report


def main(job: StatisticsJob, gpus: int = 0) -> None:
    """Test the shapes over depth, compare the variants to the baseline, and say which pairs of blocks to align."""
    baseline, out = job.baseline, Path(job.out)
    pairs = {variant: [tuple(pair) for pair in listed] for variant, listed in job.pairs.items()}
    runs, epochs, cka, mismatch = (
        read_table(table.files[0]) for table in (job.runs, job.epochs, job.cka, job.mismatch)
    )

    compared = variants.others(runs, baseline)
    labels = variants.labels_of(Path(job.splits.files[0]))
    folders = {(run.variant, run.seed): Path(run.folder) for run in job.students}
    checkpoints = variants.mcnemar(folders, labels, compared, baseline)
    curves = variants.trajectory(epochs, compared, baseline)
    effects = variants.compare(runs, curves, checkpoints, compared, baseline)
    aligned = alignment.table(runs, pairs, baseline, cka, mismatch)
    shapes, minima = shape.tables([Path(table.files[0]) for table in job.scalars])

    for name, table, documentation in (
        ("shape", shapes, shape.SHAPE_COLUMNS),
        ("minimum", minima, shape.MINIMUM_COLUMNS),
        ("differences", variants.differences(runs, baseline), variants.DIFFERENCE_COLUMNS),
        ("variants", effects, variants.VARIANT_COLUMNS),
        ("mcnemar", checkpoints, variants.MCNEMAR_COLUMNS),
        ("trajectory", curves, variants.TRAJECTORY_COLUMNS),
        ("alignment", aligned, alignment.ALIGNMENT_COLUMNS),
    ):
        columns = {column: table[column].to_numpy() for column in documentation}
        write_table(out / f"{name}.parquet", columns, documentation)
    write_text(out / "report.md", report(shapes, effects, checkpoints, aligned, baseline))
