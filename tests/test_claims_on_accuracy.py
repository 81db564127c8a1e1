"""Claims on accuracy (convolution, E, F, G, H): every verdict of each, from made-up differences over seeds."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from distillation_dynamics.questions.claims import _effects
from distillation_dynamics.questions.claims._finding import CONTRADICTED, NOT_SEEN, NOT_TESTABLE, SUPPORTED, VERDICTS
from distillation_dynamics.statistics.thresholds import MATTERS, MUST_BE_FOUND
from frames import frame
from made_up_claims import (
    TERMS,
    attention,
    differences,
    doses,
    gradients,
    look,
    of_students,
    setting_of,
    term,
    who_of,
)

# Mean and standard deviation over 20 seeds, whose mean has an interval of +- .47 deviations.
HARM, GAIN, NONE, OPEN, WIDE = (-0.6, 0.2), (0.6, 0.2), (0.0, 0.1), (-0.1, 0.25), (-0.1, 1.0)
# Certain, but too little to matter; certain, and about as large as what matters.
SMALL, MARGIN = (-0.08, 0.05), (-0.15, 0.1)
LIKE = {"effects": doses(first=0.1, last=0.11, last_low=0.1, p_last=0.1)}


def at_like_shares(**given):
    """The differences of these variants, all at one dose."""
    return LIKE | {"differences": differences(**given)}


def test_the_margins_are_those_of_the_protocol():
    assert (MATTERS, MUST_BE_FOUND) == (0.15, 0.30)


@pytest.mark.parametrize(
    ("last", "verdict", "sentence"),
    [
        (HARM, SUPPORTED, "There is harm: last -0.60 [-0.69, -0.51] points, 20 seeds."),
        (MARGIN, SUPPORTED, "There is harm: last -0.15 [-0.20, -0.10] points, 20 seeds."),
        (NONE, CONTRADICTED, "Harm of 0.15 points is excluded: last +0.00 [-0.05, +0.05] points, 20 seeds."),
        (GAIN, CONTRADICTED, "Harm of 0.15 points is excluded: last +0.60 [+0.51, +0.69] points, 20 seeds."),
        (
            SMALL,
            CONTRADICTED,
            "Harm of 0.15 points is excluded, smaller harm certain: last -0.08 [-0.10, -0.06] points, 20 seeds.",
        ),
        (OPEN, NOT_SEEN, "Neither effect nor absence is certain: last -0.10 [-0.22, +0.02] points, 20 seeds; 0.1"),
        (WIDE, NOT_TESTABLE, "20 seeds find 0."),
    ],
)
def test_aligning_the_last_blocks_at_a_like_share(last, verdict, sentence):
    found = look("F last", at_like_shares(first=NONE, last=last))
    assert found["verdict"] == verdict and found["sentence"].startswith(sentence)
    assert found["comparisons"] == 1 and 0 < found["p"] <= 1 and found["detectable"] > 0 and found["scale"] == ""
    assert ", 11 % of the loss, p " in found["number"] and "null targets: not measured" in found["control"]
    assert "first block: first +0.00 [-0.05, +0.05] points" in found["control"]


@pytest.mark.parametrize(
    ("first", "verdict", "sentence"),
    [
        (HARM, CONTRADICTED, "There is harm: first -0.60"),
        (MARGIN, CONTRADICTED, "There is harm: first -0.15"),
        (NONE, SUPPORTED, "Harm of 0.15 points is excluded: first +0.00"),
        (GAIN, SUPPORTED, "Harm of 0.15 points is excluded: first +0.60"),
        (SMALL, SUPPORTED, "Harm of 0.15 points is excluded, smaller harm certain: first -0.08"),
        (OPEN, NOT_SEEN, "Neither effect nor absence is certain: first"),
        (WIDE, NOT_TESTABLE, "20 seeds find 0."),
    ],
)
def test_aligning_the_first_block(first, verdict, sentence):
    found = look("F first", {"differences": differences(first=first)})
    assert found["verdict"] == verdict and found["sentence"].startswith(sentence)


def test_two_nearly_equal_variants_have_one_verdict():
    """A weight of .200 and one of .19: p .2 and .3 of one size, none "undecided" beside "no effect"."""
    found = look("F last", at_like_shares(first=NONE, last=(-0.1, 0.25), last_low=(-0.095, 0.25)))
    assert found["verdict"] == NOT_SEEN and found["number"].count("open") == 2 and found["comparisons"] == 2


def test_intervals_hold_for_all_comparisons_at_once_and_p_for_all_flips():
    one, two = (
        look("F last", at_like_shares(first=NONE, **dict.fromkeys(variants, OPEN)))
        for variants in (["last"], ["last", "last_low"])
    )
    assert "[-0.22, +0.02]" in one["number"] and "[-0.24, +0.04]" in two["number"]
    all_flips = look("F last", at_like_shares(first=NONE, last=HARM))
    assert all_flips["p"] == 2 / 2**20
    drawn = look("F last", LIKE | {"differences": differences(25, first=NONE, last=HARM)})
    assert "p <= 1.9e-06 of 1" in drawn["number"]


@pytest.mark.parametrize(
    ("given", "verdict", "sentence"),
    [
        ({"last": HARM, "last_low": HARM}, SUPPORTED, "There is harm in all 2; the least: last"),
        ({"last": NONE, "last_low": SMALL}, CONTRADICTED, "Harm of 0.15 points is excluded in all 2, smaller harm cer"),
        (
            {"last": HARM, "last_low": NONE},
            NOT_SEEN,
            "Comparisons disagree: for it last; against it last_low; the most: last -0.60",
        ),
        ({"last": HARM, "last_low": OPEN}, NOT_SEEN, "Neither effect nor absence is certain; for it last: last_low -0"),
        (
            {"last": NONE, "last_low": WIDE},
            NOT_TESTABLE,
            "20 seeds find 0.75 points at 80 % power, not 0.30; against it last: last_low -0.10 [",
        ),
    ],
)
def test_all_comparisons_of_a_claim_count(given, verdict, sentence):
    found = look("F last", at_like_shares(first=NONE, **given))
    assert found["verdict"] == verdict and found["sentence"].startswith(sentence)
    assert found["number"].count("; last_low") == 1


@pytest.mark.parametrize(("zero", "verdict"), [(HARM, NOT_SEEN), (NONE, SUPPORTED), (GAIN, SUPPORTED)])
def test_what_a_null_target_does_too_is_no_harm_of_the_teacher(zero, verdict):
    found = look("F last", at_like_shares(first=NONE, last=HARM, last_zero=zero, last_permuted=HARM))
    assert found["verdict"] == verdict and found["control"].startswith("null targets: last_zero ")
    # An arm with something else in the teacher's place is no comparison, and a permuted teacher is no null target.
    assert found["comparisons"] == 1 and "permuted" not in found["number"] + found["control"]
    if verdict == NOT_SEEN:
        assert found["sentence"].startswith("There is harm, but without the teacher's content too: last_zero -0.60 [")


@pytest.mark.parametrize(
    ("seeds", "sentence"), [(5, "5 seeds: a test needs 6. last -0.60 ["), (1, "One seed has no interval.")]
)
def test_few_seeds_test_nothing(seeds, sentence):
    found = look("F last", LIKE | {"differences": differences(seeds, first=NONE, last=HARM)})
    assert found["verdict"] == NOT_TESTABLE and found["sentence"].startswith(sentence)


def test_a_comparison_that_shares_too_few_seeds_is_named():
    rows = pd.concat([differences(first=NONE, last=HARM), differences(4, last_low=OPEN)])
    found = look("F last", LIKE | {"differences": rows})
    assert found["verdict"] == NOT_TESTABLE and found["sentence"].startswith("Of last_low too few seeds are shared: ")


def test_without_spread_there_is_no_interval_but_a_test():
    found = look("F last", at_like_shares(first=NONE, last=(-0.6, 0.0)))
    assert found["verdict"] == SUPPORTED and "-0.60 (no interval) points, 20 seeds" in found["sentence"]


def test_dose_and_place_are_not_mixed():
    given = differences(first=NONE, last=HARM, p_last=HARM, last_low=NONE)
    unknown = look("F last", {"differences": given})
    assert unknown["verdict"] == NOT_TESTABLE and "shares of loss and gradients were not" in unknown["sentence"]
    assert "last -0.60 [" in unknown["number"] and "-0.60 [" in unknown["sentence"]
    apart = look("F last", {"differences": given, "effects": doses(first=0.08, last=0.54)})
    assert apart["verdict"] == NOT_TESTABLE and "Dose and place are not apart" in apart["sentence"]
    # Of another objective there is no first one; the weak one alone has its like.
    share = doses(first=0.08, last=0.54, p_last=0.08, last_low=0.1)
    matched = look("F last", {"differences": given, "effects": share})
    assert matched["verdict"] == CONTRADICTED and matched["number"].startswith("last_low +0.00")
    # The share of the gradients counts where it is known of both, and what a term was given is known.
    measured = look("F last", {"differences": given, "effects": share, "doses": gradients(first=0.2, last=0.22)})
    assert measured["number"].startswith("last -0.60") and "22 % of the gradients" in measured["number"]
    share = {"weight": None, "gradient_share": 0.2}
    terms = {"soft": TERMS["soft"], "first": term("first", **share), "last": term("last", **share)}
    given = {"differences": differences(first=NONE, last=HARM), "effects": doses(first=0.08, last=0.54)}
    assert look("F last", given, who_of(terms), setting_of(terms))["verdict"] == SUPPORTED


def test_without_such_a_variant_there_is_nothing_to_look_at():
    for letter, place in (("F last", "last blocks"), ("F first", "first block"), ("H", "last blocks")):
        found = look(letter, {}, setting=setting_of({"soft": TERMS["soft"]}))
        assert found["verdict"] == NOT_TESTABLE and found["sentence"] == f"No variant aligns the {place} alone."


# --- G: a smaller weight ---


@pytest.mark.parametrize(
    ("low", "high", "verdict", "sentence"),
    [
        (HARM, (-1.0, 0.2), SUPPORTED, "There is harm: last_low -0.60"),
        (NONE, HARM, CONTRADICTED, "Harm of 0.15 points is excluded: last_low +0.00"),
        (SMALL, HARM, CONTRADICTED, "Harm of 0.15 points is excluded, smaller harm certain: last_low -0.08"),
        (GAIN, HARM, CONTRADICTED, "Harm of 0.15 points is excluded: last_low +0.60"),
        # Less harm than at the largest is not certain.
        ((-0.05, 0.15), (-0.13, 0.1), NOT_SEEN, "Neither effect nor absence is certain: last_low -0.05"),
        (OPEN, HARM, NOT_SEEN, "Neither effect nor absence is certain: last_low -0.10"),
        (WIDE, HARM, NOT_TESTABLE, "20 seeds find 0."),
        (NONE, NONE, NOT_TESTABLE, "No harm at the largest weight is certain: last +0.00"),
    ],
)
def test_a_smaller_weight(low, high, verdict, sentence):
    found = look("G", {"differences": differences(last=high, last_low=low, p_last=HARM)})
    assert found["verdict"] == verdict and found["sentence"].startswith(sentence)
    assert "p_last" not in found["number"]
    if verdict != NOT_TESTABLE:
        assert "smallest/largest: last -" in found["control"] and "; last_low/last +" in found["control"]
        assert found["comparisons"] == 3


def test_sets_of_variants_that_differ_in_a_smaller_weight_disagree():
    terms = TERMS | {"p_low": term("last", "projector", 0.02)}
    given = {"differences": differences(last=(-1.0, 0.2), last_low=HARM, p_last=HARM, p_low=NONE)}
    found = look("G", given, who_of(terms), setting_of(terms))
    assert found["verdict"] == NOT_SEEN and found["sentence"].startswith(
        "Comparisons disagree: for it last_low; against it p_low"
    )
    assert found["comparisons"] == 6


def test_weights_are_ordered_by_the_shares_that_they_make_and_one_of_them_is_none():
    one = look("G", {"differences": differences(last=HARM)})
    assert one["verdict"] == NOT_TESTABLE and "at two weights" in one["sentence"]
    turned = {"differences": differences(last=NONE, last_low=HARM), "effects": doses(last=0.01, last_low=0.5)}
    assert look("G", turned)["sentence"].startswith("Harm of 0.15 points is excluded: last +0.00")
    null = look("G", {"differences": differences(last=HARM, last_low=(-1.0, 0.2), last_zero=HARM), **turned_shares()})
    assert null["verdict"] == NOT_SEEN and "without the teacher's content too: last_zero" in null["sentence"]


def turned_shares():
    return {"effects": doses(last=0.01, last_low=0.5)}


# --- E: width ---


def widths(rank=40, **channels):
    """Depth rows: the channels of each student's blocks, and the teacher's rank."""
    rows = [{"network": "cait", "seed": None, "channels": 64, "pca_rank_95_p99": rank}]
    for student, c in channels.items():
        rows += [{"network": f"{student}_{name}", "seed": 0, "channels": c, "pca_rank_95_p99": 10} for name in TERMS]
    return frame(rows).assign(epoch=1, probe="balanced", block=3)


TWO = of_students("s8", "s32")
BASE = {"s32_last": NONE}


@pytest.mark.parametrize(
    ("given", "verdict", "sentence"),
    [
        ({"s8_last": HARM}, SUPPORTED, "There is excess harm: s8_last/s32_last -0.60 ["),
        ({"s8_last": NONE}, CONTRADICTED, "Excess harm of 0.15 points is excluded: s8_last/s32_last"),
        ({"s8_last": GAIN}, CONTRADICTED, "Excess harm of 0.15 points is excluded: s8_last/s32_last"),
        ({"s8_last": OPEN}, NOT_SEEN, "Neither effect nor absence is certain: s8_last/s32_last"),
        ({"s8_last": WIDE}, NOT_TESTABLE, "20 seeds find "),
        # Both hurt alike: harm, but none for want of channels.
        ({"s8_last": HARM, "s32_last": HARM}, CONTRADICTED, "Excess harm of 0.15 points is excluded: s8_last/s32_last"),
        (
            {"s8_last": HARM, "s8_last_zero": NONE, "s32_last_zero": NONE},
            SUPPORTED,
            "There is excess harm: s8_last/s32_last -0.60 [",
        ),
        # Both gain, the narrowest less.
        (
            {"s8_last": GAIN, "s32_last": (1.2, 0.2)},
            NOT_SEEN,
            "The narrowest student gains less than the widest, and is not harmed: s8_last +0.60 [",
        ),
        # Zeros cost the narrowest student as much.
        (
            {"s8_last": HARM, "s8_last_zero": HARM, "s32_last_zero": NONE},
            NOT_SEEN,
            "Excess harm, but not against a null target: s8_last-s8_last_zero/s32_last-s32_last_zero ",
        ),
    ],
)
def test_width_is_the_harm_in_the_narrowest_less_that_in_the_widest(given, verdict, sentence):
    tables = {"differences": differences(**BASE | given), "depth": widths(s8=8, s32=32)}
    found = look("E", tables, *TWO)
    assert found["verdict"] == verdict and found["sentence"].startswith(sentence)
    assert found["control"].endswith("last block of cait: 40 directions, students have 8 to 32 channels")
    assert found["comparisons"] == 1 + ("s8_last_zero" in given)


def test_what_width_cannot_tell_is_not_testable():
    given = differences(s8_last=HARM, s32_last=NONE)
    fits = look("E", {"differences": given, "depth": widths(rank=8, s8=8, s32=32)}, *TWO)
    assert fits["verdict"] == NOT_TESTABLE
    assert fits["sentence"] == "The teacher's last block needs 8 directions, and the narrowest student has 8 channels."
    same = look("E", {"differences": given, "depth": widths(s8=32, s32=32)}, *TWO)
    assert same["verdict"] == NOT_TESTABLE and same["sentence"].startswith("Students of one width")
    one = look("E", {"differences": differences(1, s8_last=HARM, s32_last=NONE), "depth": widths(s8=8, s32=32)}, *TWO)
    assert one["sentence"] == "One seed has no interval."
    unknown = look("E", {"differences": given, "depth": widths(s8=8, s32=32).query("network != 'cait'")}, *TWO)
    assert unknown["verdict"] == SUPPORTED and "directions not measured" in unknown["control"]
    assert look("E", {}, setting=setting_of({"soft": TERMS["soft"]}))["sentence"].startswith("No variant aligns")


def test_width_compares_students_that_differ_in_nothing_else():
    who, setting = of_students("s8", "s32", "s64")
    effects = differences(s8_last=HARM, s32_last=NONE, s64_last=HARM)
    given = {"differences": effects, "depth": widths(s8=8, s32=32, s64=64)}
    alike = look("E", given, who, setting)
    assert alike["sentence"].startswith("Excess harm of 0.15 points is excluded: s8_last/s64_last")
    for change in ({"architecture": "wide_last"}, {"blocks": (6, 8)}, {"epochs": 30}):
        arms = {k: replace(v, **change) if k.startswith("s64") else v for k, v in setting.arms.items()}
        found = look("E", given, who, replace(setting, arms=arms))
        assert found["sentence"].startswith("There is excess harm: s8_last/s32_last -0.60 [")


# --- H: longer training ---


@pytest.mark.parametrize(
    ("long", "verdict"), [(HARM, SUPPORTED), (NONE, CONTRADICTED), (OPEN, NOT_SEEN), (WIDE, NOT_TESTABLE)]
)
def test_length(long, verdict):
    given = differences(s8_last=HARM, s32_last=long)
    runs = pd.DataFrame({"network": list(TWO[0].arms), "epochs": [5] * len(TERMS) + [10] * len(TERMS)})
    found = look("H", {"differences": given, "runs": runs}, *TWO)
    assert found["verdict"] == verdict and "shorter: s8_last -0.60" in found["control"]
    assert found["number"].startswith("s32_last") and found["comparisons"] == 1
    one = look("H", {"differences": given, "runs": runs.assign(epochs=5)}, *TWO)
    assert one["verdict"] == NOT_TESTABLE and "one length" in one["sentence"]


# --- students with and without attention ---

KINDS = attention(**{name: name.startswith("s8") for name in TWO[0].arms})


@pytest.mark.parametrize(
    ("given", "verdict", "sentence"),
    [
        ({"s8_last": NONE, "s32_last": GAIN}, SUPPORTED, "Gain without attention, none of 0.15 points with it: s32_la"),
        ({"s8_last": GAIN, "s32_last": NONE}, CONTRADICTED, "Gain with attention, none of 0.15 points without: s8_la"),
        ({"s8_last": GAIN, "s32_last": GAIN}, NOT_SEEN, "Comparisons disagree"),
        ({"s8_last": NONE, "s32_last": (0.1, 0.25)}, NOT_SEEN, "Neither effect nor absence is certain; for it s8_last"),
        ({"s8_last": NONE, "s32_last": WIDE}, NOT_TESTABLE, "20 seeds find "),
        (
            {"s8_last": NONE, "s32_last": GAIN, "s32_last_zero": GAIN},
            NOT_SEEN,
            "There is gain, but without the teacher's content too: s32_last_zero",
        ),
        ({"s8_last": NONE}, NOT_TESTABLE, "No student without attention aligns features."),
        ({"s32_last": NONE}, NOT_TESTABLE, "No student with attention aligns features."),
    ],
)
def test_students_with_and_without_attention(given, verdict, sentence):
    found = look("", {"differences": differences(**given), "depth": KINDS}, *TWO)
    assert found["verdict"] == verdict and found["sentence"].startswith(sentence)


def test_students_of_one_kind_test_nothing():
    given = {"differences": differences(first=NONE, last=HARM)}
    kinds = {True: "none is convolutional", False: "No student has attention."}
    for has, why in kinds.items():
        found = look("", given | {"depth": attention(**dict.fromkeys(TERMS, has))})
        assert found["verdict"] == NOT_TESTABLE and why in found["sentence"] and "last -0.60" in found["number"]
    assert "was not measured" in look("", given)["sentence"]


def many(*sides):
    """The sentence of 12 comparisons, four of each of these sides, none of which the design could find or all."""
    values = {f"variant_{n}": np.linspace(-1, 1, 20) * (0.1 + n / 100) for n in range(12)}
    found = _effects.family(pd.DataFrame(values))
    said = pd.Series(np.resize(np.repeat(sides, 4), 12), index=found.index)
    return [
        _effects.decide(found.assign(detectable_effect=finds), said, _effects.HARM, same, what="excess harm")
        for finds in (0.2, 3.0)
        for same in ("", _effects.extreme(found, _effects.HARM))
    ]


@pytest.mark.parametrize(
    "sides",
    [
        (_effects.FOR,), (_effects.AGAINST,), (_effects.OPEN,), (_effects.FOR, _effects.AGAINST),
        (_effects.FOR, _effects.OPEN), (_effects.AGAINST, _effects.OPEN),
        (_effects.FOR, _effects.AGAINST, _effects.OPEN),
    ],
)  # fmt: skip
def test_many_comparisons_leave_every_sentence_short(sides):
    for finding in many(*sides):
        assert len(finding.sentence.split()) <= 25 and finding.verdict in VERDICTS, finding.sentence
        assert any(character.isdigit() for character in finding.sentence) and "20 seeds" in finding.sentence
