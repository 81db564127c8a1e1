"""Figures show what the tables say, are equal for equal tables, and refuse empty ones in a sentence."""

import json
from argparse import Namespace
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from distillation_dynamics.errors import StudyError
from distillation_dynamics.figures import __main__ as stage
from distillation_dynamics.figures.style import Style

FIGURES = ["accuracy", "depth_profiles", "entropy_over_training", "spectra", "training_curves"]
VARIANTS = ["none", "soft", "spectral_first", "spectral_last"]
STYLE = Style("colorblind", 60)


@pytest.fixture(scope="module")
def tables():
    """Tables of a made-up study of two seeds, three epochs and four blocks."""
    generator = np.random.default_rng(0)
    rows = {"runs": [], "epochs": [], "depth": [], "spectrum": []}
    models = [("teacher", -1), *((variant, seed) for variant in VARIANTS for seed in (0, 1))]
    for variant, seed in models:
        accuracy = {"test_top1": generator.uniform(80, 84), "test_images": 10_000}
        agreement = np.nan if seed < 0 else generator.uniform(85, 90)
        rows["runs"].append({"variant": variant, "seed": seed, **accuracy, "test_agreement": agreement})
        for epoch in (1, 2):
            measured = {"validation_top1": generator.uniform(70, 85), "train_loss": generator.uniform(0.3, 1)}
            rows["epochs"].append({"variant": variant, "seed": seed, "epoch": epoch, **measured})
    for model, seed in [("teacher_untrained", -1), *models]:
        for epoch in (0, 2) if seed >= 0 else (2,):
            for block in range(4):
                key = {"model": model, "seed": seed, "epoch": epoch, "block": block}
                names = "intensity", "entropy", "activation_magnitude"
                values = {name: generator.uniform(1, 5) for name in names}
                rows["depth"].append({**key, **values, "images": 20})
                for k in range(8):
                    amplitude = generator.uniform(0.1, 1)
                    rows["spectrum"].append({**key, "channel_bin": k, "frequency": k / 8, "amplitude": amplitude})
    return {name: pd.DataFrame(values) for name, values in rows.items()}


def draw(name, tables):
    STYLE.apply()
    return import_module(f"distillation_dynamics.figures.{name}").draw(tables, STYLE)


@pytest.mark.parametrize("name", FIGURES)
def test_equal_tables_give_equal_bytes(name, tables, tmp_path):
    module = import_module(f"distillation_dynamics.figures.{name}")
    paths = []
    for table in module.TABLES:
        paths.append(str(tmp_path / f"{table}.parquet"))
        tables[table].to_parquet(paths[-1])
    contents = []
    for attempt in ("one", "two"):
        outputs = {f"output_{kind}": str(tmp_path / f"{attempt}.{kind}") for kind in ("pdf", "png")}
        stage.main(Namespace(figure=name, tables=paths, options=json.dumps(vars(STYLE)), **outputs))
        contents.append([(tmp_path / f"{attempt}.{kind}").read_bytes() for kind in ("pdf", "png")])
    assert contents[0] == contents[1]


@pytest.mark.parametrize("name", FIGURES)
def test_every_axis_has_a_label_and_no_text_runs_out_of_the_page(name, tables):
    figure = draw(name, tables)
    FigureCanvasAgg(figure).draw()
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert box.x0 > -0.02 and box.y0 > -0.02 and box.x1 < width + 0.02 and box.y1 < height + 0.02
    labels = [axes.get_xlabel() + axes.get_ylabel() for axes in figure.axes]
    assert any(labels) or (figure.get_supxlabel() and figure.get_supylabel())


def test_accuracy_shows_every_seed_as_a_point_at_its_value(tables):
    left, right = draw("accuracy", tables).axes
    students = tables["runs"].query("variant != 'teacher'")
    for axes, column in ((left, "test_top1"), (right, "test_agreement")):
        drawn = np.concatenate([line.get_xdata() for line in axes.lines if line.get_marker() not in ("|", "None", "")])
        assert set(students[column]) <= set(drawn)


def test_depth_profiles_are_means_over_seeds_of_the_last_epoch(tables):
    intensity = draw("depth_profiles", tables).axes[0]
    lines = {line.get_label(): line.get_ydata() for line in intensity.lines}
    assert set(lines) == {"teacher", "teacher untrained", "none", "soft", "spectral first", "spectral last"}
    depth = tables["depth"].query("model == 'soft' and epoch == 2")
    np.testing.assert_allclose(lines["soft"], depth.groupby("block")["intensity"].mean())


def test_entropy_over_training_has_a_line_for_every_kept_epoch(tables):
    panels = [axes for axes in draw("entropy_over_training", tables).axes if axes.get_title()]
    assert [axes.get_title() for axes in panels] == ["none", "soft", "spectral first", "spectral last"]
    assert all(len(axes.lines) == 2 for axes in panels)


def test_spectra_say_which_block_each_panel_shows(tables):
    axes = draw("spectra", tables).axes
    assert [panel.get_title() for panel in axes[:3]] == ["first block", "middle block", "last block"]


@pytest.mark.parametrize("name", FIGURES)
def test_an_empty_table_is_refused_by_name(name, tables):
    (table,) = import_module(f"distillation_dynamics.figures.{name}").TABLES
    with pytest.raises(StudyError, match=f"{table}.parquet: the table is missing or empty"):
        draw(name, {table: tables[table].iloc[:0]})
