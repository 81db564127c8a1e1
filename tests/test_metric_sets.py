"""Every set of metrics that a study may ask for is measured, tested and drawn; what was not measured is called so."""

import warnings
from dataclasses import replace
from importlib import import_module

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

from asked import said
from distillation_dynamics import extensions
from distillation_dynamics.drawing.style import NoValue, Style
from distillation_dynamics.figures import dynamics
from distillation_dynamics.files import write_table
from distillation_dynamics.jobs.gathered import drawn
from distillation_dynamics.jobs.who import names_of
from distillation_dynamics.metrics import tabulated
from distillation_dynamics.networks.build import build
from distillation_dynamics.networks.weights import save_weights
from distillation_dynamics.questions.shape import references
from distillation_dynamics.questions.shape import shapes as shape
from distillation_dynamics.spec.base import From
from distillation_dynamics.spec.images import ImageSet
from distillation_dynamics.spec.measure import MeasureJob
from distillation_dynamics.spec.network import Checkpoints
from distillation_dynamics.stages import figures as stage
from distillation_dynamics.stages import measure as measuring
from distillation_dynamics.study.study import STUDENT
from helpers import graph_of, images_of, tiny_study
from made_up import figure_job, names
from made_up import study as study_tables

KNOWN = extensions.metrics()
PAIRS = [("attention", "gradient"), ("attention", "sep"), ("rank", "tokens"), ("entropy", "spectrum")]
# One that keeps files alone leaves no table to test or draw.
FILL = [name for name, metric in KNOWN.items() if {*metric.tables} & {*extensions.TABLE_OF.values()}]
SETS = [*((name,) for name in FILL), *PAIRS]
# Metrics with a column whose shape over depth is tested.
TESTED = {"entropy", "gradient", "magnitude", "nearest_entropy", "spectrum"}
OPTIONS = {"permutations": 20}
STYLE = Style("colorblind", 50, names(variants=("none",)))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Measures teacher and student of a tiny study with some metrics: metrics -> (study, folder)."""
    folder = tmp_path_factory.mktemp("sets")
    base = tiny_study(folder)
    owners = {base.teacher: base.teacher, "none": STUDENT}
    for number, (name, owner) in enumerate(owners.items()):
        torch.manual_seed(number)
        save_weights(folder / f"{name}.safetensors", build(base.model(owner), base.view(owner)))

    def measure(*metrics):
        study, out = replace(base, measure=replace(base.measure, metrics=metrics)), folder / "-".join(metrics)
        for name, owner in owners.items():
            weights, seed = From("weights", files=(str(folder / f"{name}.safetensors"),)), 0 if name == "none" else -1
            info = base.model_info[owner]
            network = Checkpoints(base.model(owner), (name,), seed, (2,), ("kept",), info.shapes, weights)
            image_set = ImageSet("balanced", images_of(base, folder / "data", owner), "validation", 10, info.classes)
            jobs = []
            for metric in metrics:
                file = KNOWN[metric].reference if name == "none" else None
                reference = file and From("range", files=(str(out / base.teacher / metric / "kept" / file),))
                options = {option: value for option, value in OPTIONS.items() if option in KNOWN[metric].options}
                jobs.append(MeasureJob(metric, network, (image_set,), options, reference, out=str(out / name / metric)))
            measuring.main(jobs)
        return study, out

    return measure


def joined(study, out, metrics, table):
    """The table of teacher and student, the columns of all metrics side by side; None where none fills it."""
    parts = []
    for name in (study.teacher, "none"):
        beside = [pd.read_parquet(path) for m in metrics if (path := out / name / m / f"{table}.parquet").is_file()]
        if beside:
            wide = pd.concat(beside, axis=1)
            parts.append(wide.loc[:, ~wide.columns.duplicated()])
    return pd.concat(parts, ignore_index=True) if parts else None


@pytest.mark.parametrize("metrics", SETS, ids="-".join)
def test_a_study_of_any_metrics_runs_to_its_end(run, metrics, tmp_path):
    study, out = run(*metrics)
    modules = {name: import_module(f"distillation_dynamics.metrics.{name}") for name in metrics}
    for name, module in modules.items():
        for table, columns in tabulated.documentation(module).items():
            assert pq.read_schema(out / f"none/{name}/{table}.parquet").names == list(columns)
    who = names_of(graph_of(study))
    style = Style("colorblind", 50, who)
    scalars = [path for name in (study.teacher, "none") for path in sorted((out / name).glob("*/scalars.parquet"))]
    alone = references.references_of(joined(study, out, metrics, "depth"))
    shapes, _ = shape.shapes_of(scalars, alone, who.controls.values())
    tested = {name for module in modules.values() for name in getattr(module, "IMAGE_COLUMNS", {})} & {*shape.ROLES}
    assert set(shapes["metric"]) == tested
    answer, *_ = said("shape", who, shape=shapes, references=alone)
    assert ("no metric with a tested shape was measured" in answer) == (not set(metrics) & TESTED)
    paths = {"shape": tmp_path / "shape.parquet"}
    write_table(paths["shape"], {name: shapes[name].to_numpy() for name in shapes}, shape.SHAPE_COLUMNS)
    paths["references"] = tmp_path / "references.parquet"
    write_table(paths["references"], {name: alone[name].to_numpy() for name in alone}, references.REFERENCE_COLUMNS)
    for table in ("depth", "spectrum"):
        values = joined(study, out, metrics, table)
        if values is not None:
            paths[table] = tmp_path / f"{table}.parquet"
            values.to_parquet(paths[table])
    shown = {name: figure for name, figure in drawn(graph_of(study)).items() if {*figure.tables} <= paths.keys()}
    assert {"dynamics", "shape"} <= shown.keys()
    for name, figure in shown.items():
        file = tmp_path / f"{name}.png"
        stage.main(figure_job(name, [paths[table] for table in figure.tables], style, [file]))
        assert file.stat().st_size > 1000
    rows = set(dynamics.ROWS).intersection(pq.read_schema(paths["depth"]).names)
    for name, missing in (("shape", not set(metrics) & TESTED), ("dynamics", not rows)):
        tables = {table: pd.read_parquet(path) for table, path in paths.items()}
        draw = import_module(f"distillation_dynamics.figures.{name}").draw
        if missing:
            with pytest.raises(NoValue, match=r"none of .* was measured"):
                draw(tables, style)
        else:
            assert draw(tables, style).get_suptitle()


@pytest.mark.parametrize("name", ["tokens", "rank", "cka"])
def test_a_figure_of_what_no_network_has_a_value_of_says_so(name, tmp_path):
    tables = study_tables(STYLE.names, epochs=(0, 1))
    columns = {
        "tokens": ["token_cosine"],
        "rank": ["effective_rank"],
        "cka": ["cka_images", "cka_tokens"],
    }[name]
    table = "cka" if name == "cka" else "depth"
    tables[table].loc[:, columns] = np.nan
    file, paths = tmp_path / f"{name}.png", []
    for table in import_module(f"distillation_dynamics.figures.{name}").TABLES:
        paths.append(tmp_path / f"{table}.parquet")
        tables[table].to_parquet(paths[-1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stage.main(figure_job(name, paths, STYLE, [file]))
    assert file.stat().st_size > 1000
