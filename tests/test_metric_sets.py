"""Every set of metrics that a study may ask for is measured, tested and drawn; what was not measured is called so."""

import warnings
from dataclasses import replace
from importlib import import_module

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from distillation_dynamics.spec.features import FeaturesJob
from distillation_dynamics.spec.measured import Checkpoints

from distillation_dynamics import extensions, features, models
from distillation_dynamics.figures import dynamics, stage
from distillation_dynamics.figures.style import NoValue, Style
from distillation_dynamics.files import write_table
from distillation_dynamics.spec.base import From
from distillation_dynamics.statistics import report, shape
from helpers import chain_of, images_of, tiny_study
from made_up import figure_job
from made_up import study as study_tables

PAIRS = [("attention", "gradient"), ("attention", "sep"), ("rank", "tokens"), ("entropy", "spectrum")]
SETS = [*((name,) for name in extensions.metrics()), *PAIRS]
# Metrics with a column whose shape over depth is tested.
TESTED = {"entropy", "gradient", "magnitude", "spectrum"}
STYLE = Style("colorblind", 50, ("none",), "none")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Measures teacher and student of a tiny study with some metrics: metrics -> (study, folder)."""
    folder = tmp_path_factory.mktemp("sets")
    small = {"features.images": 10, "features.published_images": 4, "features.dump_images": 4}
    base = tiny_study(folder, **small)
    owners = {"teacher": base.teacher.model, "none": base.student.model}
    for number, (name, model) in enumerate(owners.items()):
        torch.manual_seed(number)
        models.save_weights(folder / f"{name}.safetensors", models.build(model, base.data.view))

    def measure(*metrics):
        study, out = replace(base, features=replace(base.features, metrics=metrics)), folder / "-".join(metrics)
        for name, model in owners.items():
            weights = From("weights", files=(str(folder / f"{name}.safetensors"),))
            network = Checkpoints(model, (name,), -1 if name == "teacher" else 0, (2,), weights)
            fixed = None
            if name != "teacher" and "entropy" in metrics:
                fixed = From("range", files=(str(out / "teacher/range.json"),))
            features.main(
                FeaturesJob(
                    *(images_of(base, folder / "data"), network, ("kept",), study.features, fixed), out=str(out / name)
                )
            )
        return study, out

    return measure


def joined(out, table):
    return pd.concat([pd.read_parquet(out / f"{name}/{table}.parquet") for name in ("teacher", "none")])


@pytest.mark.parametrize("metrics", SETS, ids="-".join)
def test_a_study_of_any_metrics_runs_to_its_end(run, metrics, tmp_path):
    study, out = run(*metrics)
    modules = [import_module(f"distillation_dynamics.metrics.{name}") for name in metrics]
    for table, columns in features.documentation(modules).items():
        assert pq.read_schema(out / f"none/{table}.parquet").names == list(columns)
    for number in range(2):
        assert len(np.load(out / f"none/kept/block{number:02d}.npy")) == 4
    shapes, _ = shape.tables([out / f"{name}/scalars.parquet" for name in ("teacher", "none")])
    assert set(shapes["metric"]) == {name for module in modules for name in getattr(module, "IMAGE_COLUMNS", {})} & {
        *shape.ROLES
    }
    answer, *_ = report.shape_section(shapes)
    assert ("was measured (`features.metrics`)" in answer) == (not set(metrics) & TESTED)
    paths = {"shape": tmp_path / "shape.parquet"}
    write_table(paths["shape"], {name: shapes[name].to_numpy() for name in shapes}, shape.SHAPE_COLUMNS)
    for table in ("depth", "spectrum"):
        paths[table] = tmp_path / f"{table}.parquet"
        joined(out, table).to_parquet(paths[table])
    drawn = {name: figure for name, figure in chain_of(study).drawn().items() if {*figure.tables} <= paths.keys()}
    assert {"dynamics", "shape"} <= drawn.keys()
    for name, figure in drawn.items():
        file = tmp_path / f"{name}.png"
        stage.main(figure_job(name, [paths[table] for table in figure.tables], STYLE, [file]))
        assert file.stat().st_size > 1000
    shown = set(dynamics.ROWS).intersection(pq.read_schema(paths["depth"]).names)
    for name, missing in (("shape", not set(metrics) & TESTED), ("dynamics", not shown)):
        tables = {table: pd.read_parquet(path) for table, path in paths.items()}
        draw = import_module(f"distillation_dynamics.figures.{name}").draw
        if missing:
            with pytest.raises(NoValue, match=r"none of .* was measured \(features.metrics\)"):
                draw(tables, STYLE)
        else:
            assert draw(tables, STYLE).get_suptitle()


@pytest.mark.parametrize("name", ["attention", "gradients", "tokens", "rank", "cka"])
def test_a_figure_of_what_no_network_has_a_value_of_says_so(name, tmp_path):
    tables = study_tables(["none"], epochs=(0, 1))
    columns = {
        "attention": ["attention_entropy", "attention_distance"],
        "gradients": [column for column in tables["depth"] if column.startswith("gradient_")],
        "tokens": ["token_cosine"],
        "rank": ["effective_rank"],
        "cka": ["cka_images", "cka_tokens"],
    }[name]
    table = "cka" if name == "cka" else "depth"
    tables[table].loc[:, columns] = np.nan
    path, file = tmp_path / f"{table}.parquet", tmp_path / f"{name}.png"
    tables[table].to_parquet(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stage.main(figure_job(name, [path], STYLE, [file]))
    assert file.stat().st_size > 1000
