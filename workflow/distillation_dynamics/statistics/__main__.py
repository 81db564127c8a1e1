"""The statistics stage: three questions, answered from the tables of the other stages.

In: scalars of every model, runs and training curves, test logits and labels, and where the study measured them CKA and
mismatch of students and teacher. Out, in one folder: `shape.parquet`, `minimum.parquet`, `differences.parquet`,
`variants.parquet`, `mcnemar.parquet`, `trajectory.parquet`, `alignment.parquet` and `report.md`. Imports no torch.
"""

import json
from pathlib import Path

from ..files import read_table, write_table, write_text
from ..stage import run_stage
from . import alignment, shape, variants
from .report import report


def main(arguments) -> None:
    """Test the shapes over depth, compare the variants to the baseline, and say which pairs of blocks to align."""
    baseline, out = arguments.baseline, Path(arguments.out)
    pairs = {variant: [tuple(pair) for pair in listed] for variant, listed in json.loads(arguments.pairs).items()}
    # Both are left out where a study does not compare blocks.
    cka, mismatch = (read_table(paths[0]) if paths else None for paths in (arguments.cka, arguments.mismatch))
    (runs,), (epochs,) = ([read_table(path) for path in paths] for paths in (arguments.runs, arguments.epochs))
    (splits,) = arguments.splits

    compared = variants.others(runs, baseline)
    labels = variants.labels_of(Path(splits))
    folders = {
        (folder.parent.name, int(folder.name.removeprefix("seed"))): folder for folder in map(Path, arguments.students)
    }
    checkpoints = variants.mcnemar(folders, labels, compared, baseline)
    curves = variants.trajectory(epochs, compared, baseline)
    effects = variants.compare(runs, curves, checkpoints, compared, baseline)
    aligned = alignment.table(runs, pairs, baseline, cka, mismatch)
    shapes, minima = shape.tables([Path(path) for path in arguments.scalars])

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


if __name__ == "__main__":
    run_stage(
        main,
        *("baseline", "pairs", "out"),
        scalars="scalars.parquet of every model",
        runs="runs.parquet of the study",
        epochs="epochs.parquet of the study",
        cka="cka.parquet of the study, where it has one",
        mismatch="mismatch.parquet of the study, where it has one",
        students="folder of every run",
        splits="splits.parquet of the images",
    )
