"""The stage as a whole on a made-up study: its tables, the wording of its report, and the figures drawn from them."""

import json
import re
import subprocess
import sys
from argparse import Namespace
from importlib import import_module

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from distillation_dynamics.errors import StudyError
from distillation_dynamics.figures import __main__ as figures_stage
from distillation_dynamics.figures.style import PAGE, Style
from distillation_dynamics.statistics import __main__ as stage
from distillation_dynamics.statistics import alignment, report, shape, variants

FIGURES = ["alignment", "effects", "shape", "trajectory"]
COLUMNS = {
    "shape": shape.SHAPE_COLUMNS,
    "minimum": shape.MINIMUM_COLUMNS,
    "differences": variants.DIFFERENCE_COLUMNS,
    "variants": variants.VARIANT_COLUMNS,
    "mcnemar": variants.MCNEMAR_COLUMNS,
    "trajectory": variants.TRAJECTORY_COLUMNS,
    "alignment": alignment.ALIGNMENT_COLUMNS,
}
STYLE = Style("colorblind", 60)
NAMES = ["soft", "hard", "spectral_last", "spectral_first_last"]


def made_up(folder, names=NAMES, seeds=2, blocks=(4, 6), images=30, epochs=6, comparison=True, helps=0.5, null=True):
    """Write the inputs of the stage and return its arguments.

    Intensity is U-shaped in trained models and so is its null; entropy rises. The second variant is `helps` points
    better than the first, give or take a little.
    """
    generator = np.random.default_rng(0)
    students, teachers = blocks
    folder.mkdir(parents=True, exist_ok=True)
    scalars = []
    models = [("teacher", -1, 2, teachers), ("teacher_untrained", -1, 0, teachers)]
    models += [(name, seed, epochs, students) for name in names for seed in range(seeds)]
    for model, seed, epoch, depth in models:
        place = np.linspace(-1, 1, depth)
        curve = place**2 if epoch else place
        columns = {"intensity": curve, "entropy": place, "activation_magnitude": curve, "rms": curve}
        columns |= {"intensity_per_rms": 0 * place, "entropy_standardised": -place}
        columns |= {"intensity_permuted": curve} if null else {}
        key = {"model": model, "seed": seed, "epoch": epoch, "probe": "balanced"}
        key |= {"block": np.repeat(np.arange(depth), images), "image": np.tile(np.arange(images), depth)}
        noise = {name: 3 + np.repeat(values, images) for name, values in columns.items()}
        noise = {name: values + 0.2 * generator.normal(size=len(values)) for name, values in noise.items()}
        scalars.append(folder / f"{model}{seed}.parquet")
        pd.DataFrame({**key, **noise}).to_parquet(scalars[-1])
    labels = generator.integers(0, 10, size=400)
    splits = {"split": ["train"] * 7 + ["test"] * 400, "label": [0] * 7 + labels.tolist()}
    pq.write_table(pa.table(splits), folder / "splits.parquet")
    runs, curves, folders = [{"variant": "teacher", "seed": -1, "test_top1": 90.0}], [], []
    for number, name in enumerate(names):
        for seed in range(seeds):
            lift = helps * (number == 1) + generator.normal(0, 0.1)
            runs.append({"variant": name, "seed": seed, "test_top1": 80 + seed + lift})
            for epoch in range(1, epochs + 1):
                # The last variant gains early and loses late.
                bend = (1 - 2 * epoch / epochs) * (number == len(names) - 1)
                measured = 50 + 5 * epoch + seed + bend + generator.normal(0, 0.2)
                curves.append({"variant": name, "seed": seed, "epoch": epoch, "validation_top1": measured})
            path = folder / name / f"seed{seed}"
            path.mkdir(parents=True)
            logits = np.eye(10)[labels] + generator.normal(0, 0.4, size=(400, 10))
            np.save(path / "logits_test.npy", logits.astype(np.float32))
            folders.append(path)
    pd.DataFrame(runs).to_parquet(folder / "runs.parquet")
    pd.DataFrame(curves).to_parquet(folder / "epochs.parquet")
    grid = pd.DataFrame([{"student_block": s, "teacher_block": t} for s in range(students) for t in range(teachers)])
    grid = grid.assign(model=names[0], epoch=epochs, images=20, tokens_per_image=16)
    apart = (grid["student_block"] / students - grid["teacher_block"] / teachers).abs()
    cka, mismatch = [], []
    for seed in range(seeds):
        jitter = generator.normal(0, 0.01, size=len(grid))
        cka.append(grid.assign(seed=seed, cka_tokens=0.9 - 0.8 * apart + jitter, cka_images=0.5))
        mismatch.append(
            grid.assign(
                seed=seed,
                student_rank_95=5.0 + grid["student_block"],
                teacher_rank_95=6.0 + grid["teacher_block"],
                student_bandwidth_95=0.8 + 0.01 * grid["student_block"],
                teacher_bandwidth_95=0.9 - 0.02 * grid["teacher_block"],
            )
        )
    pd.concat(cka).to_parquet(folder / "cka.parquet")
    pd.concat(mismatch).to_parquet(folder / "mismatch.parquet")
    last = [students - 1, teachers - 1]
    pairs = {"spectral_last": [last], "spectral_first_last": [[0, 0], last], "hard": [], "projector_first": [[0, 0]]}
    pairs |= {"spectral_last8": [[s, s + teachers - students] for s in range(max(0, students - 8), students)]}
    return Namespace(
        baseline=names[0],
        pairs=json.dumps({name: value for name, value in pairs.items() if name in names}),
        out=str(folder / "out"),
        scalars=[str(path) for path in scalars],
        runs=[str(folder / "runs.parquet")],
        epochs=[str(folder / "epochs.parquet")],
        cka=[str(folder / "cka.parquet")] if comparison else [],
        mismatch=[str(folder / "mismatch.parquet")] if comparison else [],
        students=[str(path) for path in folders],
        splits=[str(folder / "splits.parquet")],
    )
