"""Figures and page mark the blocks whose tokens spread over too few bins of an entropy, and say why."""

import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from distillation_dynamics.drawing import hollow
from distillation_dynamics.page import charts
from distillation_dynamics.statistics.bins import PER_BIN, too_few
from distillation_dynamics.statistics.thresholds import LEAST_RMS_PER_BIN
from made_up import names, study
from made_up_statistics import statistics
from test_readable import drawn

WHO = names(variants=("none", "soft"))
FIGURES = {"depth_profiles": "Hollow", "dynamics": "Hatched", "shape": "Hollow in curves"}


def tables_of(least):
    """Return the tables of a made-up study whose tokens spread over so many bins at least."""
    tables = study(WHO)
    wide = {name: np.maximum(tables["depth"][name], least) for name in PER_BIN.values()}
    tables["depth"] = tables["depth"].assign(**wide)
    return tables | statistics(WHO, tables, (0,))


def texts(figure):
    """Return all texts of a figure, its notes among them, joined."""
    return " ".join(" ".join(text.get_text() for text in figure.findobj(lambda a: hasattr(a, "get_text"))).split())


@pytest.mark.parametrize(("name", "mark"), FIGURES.items())
def test_figures_mark_blocks_of_too_few_bins_and_say_why(name, mark):
    figure = drawn(name, WHO, tables_of(0.5))
    figure.savefig(io.BytesIO(), format="pdf")
    said = texts(figure)
    assert mark in said and "tokens spread over fewer than 2 bins, so that the bins' places decide the entropy" in said
    tables = tables_of(LEAST_RMS_PER_BIN)
    tables["shape"] = tables["shape"].assign(verdict="U-shaped")
    assert "fewer than 2 bins" not in texts(drawn(name, WHO, tables))


def test_what_is_marked_are_the_blocks_below_the_threshold():
    rows = pd.DataFrame({"rms_per_bin": [0.1, 1.99, 2.0, np.nan], "entropy": [1.0, 2.0, 3.0, 4.0]})
    assert too_few(rows, "entropy").tolist() == [True, True, False, False]
    assert not too_few(rows, "intensity").any() and not too_few(rows, "entropy_standardised").any()
    axes = Figure().subplots()
    hollow.mark_too_few(axes, range(4), rows["entropy"], too_few(rows, "entropy").to_numpy(), {"color": "red"})
    (line,) = axes.lines
    np.testing.assert_array_equal(line.get_ydata(), [1, 2, np.nan, np.nan])
    assert line.get_markerfacecolor() == "white" and line.get_markeredgecolor() == "red"
    hollow.mark_too_few(axes, range(4), rows["entropy"], np.zeros(4, dtype=bool), {"color": "red"})
    assert len(axes.lines) == 1
    hollow.hatch_too_few(axes, np.array([[True, False], [False, True]]), (3, 5))
    assert [one.get_paths()[0].get_extents().x0 for one in axes.collections] == [3, 4]
    assert len(axes.collections) == 2 and {one.get_hatch() for one in axes.collections} == {"//////"}


def test_the_page_marks_the_same_blocks():
    (layer,) = [one for one in charts.lines({})["layer"] if "per_bin" in str(one.get("transform", ""))]
    assert layer["transform"] == [{"filter": "isValid(datum.per_bin) && datum.per_bin < 2"}]
    assert layer["mark"]["type"] == "point" and layer["encoding"]["color"] == {"value": "white"}
