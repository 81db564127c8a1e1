"""Comparisons that a study plans: families of differences, each one joint test; what they may name."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from asked import said
from distillation_dynamics.errors import StudyError
from distillation_dynamics.questions import planned
from distillation_dynamics.spec.base import From
from distillation_dynamics.spec.tables import Setting, Trained
from distillation_dynamics.statistics.evidence import Evidence
from distillation_dynamics.statistics.westfall_young import adjusted
from helpers import load, small_config
from losses import SOFT, runs_of, who

STEPS = np.array([0.9, 1.1, 1.0, 1.2, 0.8, 1.05, 0.95])
NOISE = np.array([0.3, -0.2, 0.1, -0.3, 0.2, -0.1, 0.05])


def rows(families, **top1):
    runs = runs_of(**top1)
    arms = {name: Trained("vit", "cait", (4, 6), 5, SOFT) for name in top1}
    setting = Setting(arms, 10, From("key", files=()), families)
    return planned.tables(Evidence({"runs": runs}, who(runs), setting))["planned"]


TOP1 = {"soft": 70 + NOISE, "a": 70 + NOISE + STEPS, "b": 70 + 2 * NOISE, "c": 71 - NOISE}
FAMILIES = {"gain": (("a", "soft"), ("b", "soft")), "more": (("a", "soft", "b", "c"),)}


def test_a_family_is_one_joint_test_of_its_differences():
    table = rows(FAMILIES, **TOP1).set_index("comparison")
    assert table["family"].tolist() == ["gain", "gain", "more"]
    gain = np.stack([TOP1["a"] - TOP1["soft"], TOP1["b"] - TOP1["soft"]], axis=1)
    assert table.loc[["a minus soft", "b minus soft"], "p_joint"].to_numpy() == pytest.approx(adjusted(gain))
    more = (TOP1["a"] - TOP1["soft"]) - (TOP1["b"] - TOP1["c"])
    row = table.loc["(a minus soft) minus (b minus c)"]
    assert row["mean_difference"] == pytest.approx(more.mean()) and row["sd"] == pytest.approx(more.std(ddof=1))
    interval = stats.ttest_1samp(more, 0).confidence_interval()
    assert (row["low"], row["high"]) == pytest.approx(tuple(interval))
    assert row["p_joint"] == pytest.approx(adjusted(more[:, None])[0]) and row["joint_comparisons"] == 1


def test_each_family_is_said_once_with_what_it_finds():
    table = rows(FAMILIES | {"none": (("b", "soft"),)}, **TOP1)
    answer, shown = said("planned", planned=table)
    assert answer == "**Of 4 comparisons in 3 families 2 are higher and 0 lower, 7 seeds.**"
    answer, _ = said("planned", planned=table[table["family"] != "more"])
    assert "gain: 1 of 2 differs from 0: a minus soft +1.00 [" in answer and "points, 7 seeds;" in answer
    assert "none: none of 1 differs significantly from 0" in answer
    both = table[table["family"] == "gain"].assign(verdict=["better", "worse"], family="two_words")
    assert said("planned", planned=both)[0] == "**two words: of 2 comparisons 1 is higher and 1 lower, 7 seeds.**"
    assert "| gain | a minus soft | +1.00 [" in shown
    few = rows(FAMILIES, **{name: values[:3] for name, values in TOP1.items()})
    assert "gain: too few seeds for a test, 3 seeds" in said("planned", planned=few)[0]
    mixed = pd.concat([table, few[few["family"] == "gain"].assign(family="few")])
    assert said("planned", planned=mixed)[0] == (
        "**Of 6 comparisons in 4 families 2 are higher and 0 lower, 1 family has too few seeds for a test, "
        "3 to 7 seeds.**"
    )
    mixed = pd.concat([mixed, few.assign(family="fewer")])
    assert "2 families have too few seeds" in said("planned", planned=mixed)[0]


def test_without_a_plan_the_report_has_no_section_of_it():
    assert said("planned", planned=rows({}, **TOP1)) == []


@pytest.mark.parametrize(
    ("families", "sentence"),
    [
        ({"gain": [["a", "none"]]}, "statistics.families.gain: there is no variant 'a' in the tables"),
        ({"gain": [["none"]]}, "statistics.families.gain: ['none'] must be two or four different variants"),
        ({"gain": [["none", "none"]]}, "['none', 'none'] must be two or four different variants"),
        ({"gain": []}, "statistics.families.gain: must hold different comparisons"),
        ({"gain": 3}, "statistics.families.gain"),
    ],
)
def test_a_family_that_cannot_be_tested_is_refused(families, sentence):
    with pytest.raises(StudyError, match=re.escape(sentence)):
        load(small_config(statistics={"families": families}))


def test_families_are_those_of_the_study():
    study = load(small_config(statistics={"families": {"gain": [["everything", "hard"]]}}))
    assert study.statistics.families == {"gain": (("everything", "hard"),)}
