"""The studies of docs/protocol.md: what their files hold is what the protocol plans."""

import re

import pytest
import yaml
from snakemake.utils import update_config

from conftest import ROOT
from distillation_dynamics.statistics import terms
from helpers import load

PROTOCOL = (ROOT / "docs/protocol.md").read_text(encoding="utf-8")
# Study -> its files, first and last seed, and the size of each family.
STUDIES = {
    "content": (
        ["fashion_mnist", "content"],
        20,
        49,
        {"distillation": 1, "teacher_less_null": 12, "null_less_soft": 12, "again": 3},
    ),
    "finished": (["fashion_mnist", "finished"], 20, 39, {"distillation": 1, "less_soft": 4}),
    "finished_long": (
        ["fashion_mnist", "finished", "finished_long"],
        *(20, 27),
        {"distillation": 1, "less_soft": 2, "less_soft_64": 2, "longer": 2},
    ),
    "strong_teacher": (["fashion_mnist", "strong_teacher"], 20, 31, {"distillation": 2, "less_soft": 6}),
    "optimiser": (["fashion_mnist", "optimiser"], 20, 31, {"less_soft": 12, "soft_less_soft": 5}),
    "width": (["fashion_mnist", "width"], 20, 39, {"late_harm_by_width": 2, "early_harm_by_width": 2}),
    "width_real": (["width_real"], 20, 28, {"late_harm_by_width": 2, "less_soft": 4}),
}


def study(*names):
    """A study as Snakemake reads several configurations, one over the other."""
    config = {}
    for name in names:
        update_config(config, yaml.safe_load((ROOT / f"studies/{name}.yaml").read_text(encoding="utf-8")))
    return load(config)


@pytest.mark.parametrize("name", STUDIES)
def test_seeds_and_families_are_those_that_were_planned(name):
    files, first, last, families = STUDIES[name]
    planned = study(*files)
    assert planned.name == name and planned.seeds == tuple(range(first, last + 1))
    assert {family: len(of) for family, of in planned.statistics.families.items()} == families
    assert f"studies/{name}.yaml)" in PROTOCOL
    # No seed that the earlier study or the default has, and none of the pilots'.
    assert not {*study("full").seeds, *study("../config").seeds} & set(planned.seeds)


@pytest.mark.parametrize("name", ["pilot", "pilot_default"])
def test_seeds_of_pilots_are_seeds_of_no_test(name):
    assert min(study("fashion_mnist", name).seeds) >= 100


def test_the_default_study_follows_its_rule():
    default, full = study("../config"), study("full")
    listed = {name: variant.terms for name, variant in default.variants.items()}
    assert set(listed) == {"none", "soft", "first", "first_shuffled", "last", "last_shuffled"}
    for variant in ("first", "last"):
        assert terms.is_control(listed[f"{variant}_shuffled"], listed[variant])
    assert {term.gradient_share for own in listed.values() for term in own} - {None} == {0.1}
    assert len(default.seeds) >= 8 and not set(full.seeds) & set(default.seeds)


def test_null_targets_differ_from_their_variant_in_the_target_alone():
    planned = study("fashion_mnist", "content")
    listed = {name: variant.terms for name, variant in planned.variants.items()}
    for variant, null in planned.statistics.families["teacher_less_null"]:
        assert terms.is_control(listed[null], listed[variant]), null
        (target,) = {term.target for term in listed[null]} - {"teacher"}
        assert null == f"{variant}_{target}"
    doses = {term.gradient_share for own in listed.values() for term in own} - {None}
    assert doses == {0.05, 0.2} and "low is .05,\n  high is .20" in PROTOCOL


def test_comparisons_of_width_are_of_one_kind_at_the_ends():
    families = study("fashion_mnist", "width").statistics.families
    for comparisons in families.values():
        for narrow, narrow_base, wide, wide_base in comparisons:
            assert [re.sub("8$", "", narrow), re.sub("8$", "", narrow_base)] == [
                re.sub("32$", "", wide),
                re.sub("32$", "", wide_base),
            ]
