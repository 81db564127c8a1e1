"""What a look shows of one network: ticks of the figure of shapes, probes of classes, the page's axis of values."""

import numpy as np
import pandas as pd
import pytest

import asked
from distillation_dynamics.drawing.style import NoValue, Style
from distillation_dynamics.figures import class_probes, shape
from distillation_dynamics.files import Column
from distillation_dynamics.page.panel import measure, scale_of
from distillation_dynamics.questions.classes import COLUMNS, tables
from distillation_dynamics.statistics.evidence import Evidence
from made_up import names, network, study
from made_up_statistics import statistics
from readable import faults

WHO = names(("vit",), teacher=None)


def styled(who=WHO):
    style = Style("colorblind", 60, who)
    style.apply()
    return style


def texts(axis):
    """What the ticks within an axis say."""
    low, high = sorted(axis.get_view_interval())
    return [tick.label1.get_text() for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        (1, ["0"]),
        (2, ["0", "1"]),
        (12, ["0", "2", "4", "6", "8", "10"]),
        (24, ["0", "3", "6", "9", "12", "15", "18", "21"]),
        (48, ["0", "6", "12", "18", "24", "30", "36", "42"]),
    ],
)
def test_curves_over_the_blocks_of_one_network_are_numbered_by_block(blocks, expected):
    facts = {"vit": network([8] * blocks, [2] * blocks)}
    made = study(WHO, facts)
    figure = shape.draw(made | statistics(WHO, made), styled())
    curves = figure.axes[0]
    assert texts(curves.xaxis) == expected
    assert (curves.get_title(), curves.get_xlabel()) == ("intensity", "block")
    assert faults(figure) == []


def test_curves_over_networks_of_other_blocks_have_relative_depth():
    who = names(("vit", "resnet"), teacher=None)
    made = study(who, {"vit": network([8] * 12, [2] * 12), "resnet": network([8] * 4, [2] * 4, "layer{}", False)})
    figure = shape.draw(made | statistics(who, made), styled(who))
    assert texts(figure.axes[0].xaxis) == ["0", "0.5", "1"]
    assert figure.axes[0].get_xlabel() == "relative depth"
    assert faults(figure) == []


# --- probes ---

VALUES = {"vit": [20.0, 60.0, 60.0, 50.0], "vit_untrained": [30.0, 25.0, 20.0, 20.0]}


def depth(values=None, chance=12.5, probe="balanced"):
    """Rows over depth of networks with probes, one of them NaN."""
    rows = [
        {"network": name, "seed": None, "epoch": None, "probe": probe, "block": block, "block_name": f"blocks.{block}",
         "images": 80, "linear_probe_top1": value, "nearest_probe_top1": value / 2, "linear_probe_chance": chance}
        for name, own in (values or VALUES).items() for block, value in enumerate(own)
    ]  # fmt: skip
    return pd.DataFrame(rows).astype({"seed": "Int64", "epoch": "Int64"})


def test_the_best_block_of_a_probe_is_the_first_of_the_largest_mean():
    both = pd.concat([depth(), depth({"vit": [99.0] * 4}, probe="published")], ignore_index=True)
    found = tables(Evidence({"depth": both}, WHO))["class_probes"]
    assert list(found) == list(COLUMNS)
    assert found.to_dict("records") == [
        {"network": name, "probe": probe, "images": 80, "block": block, "block_name": f"blocks.{block}",
         "top1": top1 / part, "last_top1": last / part, "chance": 12.5}
        for probe, part in (("linear", 1), ("nearest", 2))
        for name, block, top1, last in (("vit", 1, 60.0, 50.0), ("vit_untrained", 0, 30.0, 20.0))
    ]  # fmt: skip


def test_the_answer_holds_the_best_block_against_chance_and_the_control():
    found = tables(Evidence({"depth": depth()}, WHO))["class_probes"]
    answer, table, about = asked.said("classes", WHO, class_probes=found)
    assert answer == ("**By a linear probe 60.0 % in vit (its control 30.0 %); chance: 12.5 %.**")
    assert about.startswith("Top-1 of 80 images")
    assert "| vit | nearest | blocks.1 | 30.0 | 25.0 | 15.0 |" in table


def test_without_labels_or_a_control_the_answer_says_so():
    nothing = depth().assign(linear_probe_top1=np.nan, nearest_probe_top1=np.nan, linear_probe_chance=np.nan)
    for rows in (nothing, nothing.drop(columns=["linear_probe_top1", "nearest_probe_top1", "linear_probe_chance"])):
        found = tables(Evidence({"depth": rows}, WHO))["class_probes"]
        assert found.empty and list(found) == list(COLUMNS)
        (answer,) = asked.said("classes", WHO, class_probes=found)
        assert answer == "**Not applicable: the images have no labels, or no probe was measured.**"
    alone = depth({"vit": VALUES["vit"]}).drop(columns=["linear_probe_top1", "linear_probe_chance"])
    answer, *_ = asked.said("classes", WHO, class_probes=tables(Evidence({"depth": alone}, WHO))["class_probes"])
    assert answer == ("**By the nearest images 30.0 % in vit (no control was measured); chance was not measured.**")


def measured(**values):
    """Tables of one network of four blocks, with probes by network."""
    made = study(WHO, {"vit": network([8] * 4, [2] * 4)})
    known = depth().set_index(["network", "block"])
    rows = made["depth"]
    for name in ("linear_probe_top1", "nearest_probe_top1", "linear_probe_chance"):
        column = [
            known[name].get((network, block)) for network, block in zip(rows["network"], rows["block"], strict=True)
        ]
        rows = rows.assign(**{name: column})
    return made | {"depth": rows.assign(**values)}


def test_the_figure_of_probes_has_a_line_at_chance_in_every_panel():
    figure = class_probes.draw(measured(), styled())
    linear, nearest = figure.axes
    for axes, part in ((linear, 1), (nearest, 2)):
        curves = {line.get_label(): line.get_ydata() for line in axes.lines}
        np.testing.assert_allclose(curves["vit"], np.array(VALUES["vit"]) / part)
        np.testing.assert_allclose(curves["vit untrained"], np.array(VALUES["vit_untrained"]) / part)
        np.testing.assert_allclose(curves["_chance"], 12.5)
        assert axes.get_ylim()[0] < 12.5 < axes.get_ylim()[1]
    assert texts(nearest.xaxis) == ["0", "1", "2", "3"] and faults(figure) == []


def test_images_without_labels_have_no_figure_of_probes():
    with pytest.raises(NoValue, match="no network has a value of linear_probe_top1"):
        class_probes.draw(measured(linear_probe_top1=np.nan, nearest_probe_top1=np.nan), styled())


# --- the axis of values on the page ---


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([1.0, 10.0], "log"),
        ([0.02, np.nan, 1.1], "log"),
        ([1.0, 9.9], "linear"),
        ([3.0], "linear"),
        ([0.0, 10.0], "only linear"),
        ([-1.0, 10.0], "only linear"),
        ([np.nan], "only linear"),
        ([1.0, np.inf], "linear"),
        ([], "only linear"),
    ],
)
def test_positive_values_that_span_a_factor_of_ten_begin_with_a_logarithmic_axis(values, scale):
    assert scale_of(pd.Series(values, dtype=float)) == scale


def test_each_measure_has_the_axis_of_its_own_values():
    shown = pd.DataFrame({"intensity": [0.1, 5.0], "entropy": [3.0, 4.0], "cosine": [-0.5, 0.5]})
    control = measure(dict.fromkeys(shown, Column("", "")), shown=shown)
    assert {one["value"]: one["scale"] for one in control.options} == {
        "intensity": "log", "entropy": "linear", "cosine": "only linear"
    }  # fmt: skip
