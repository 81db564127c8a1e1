"""Each sentence on variants, gains, dose and place, and pairs of blocks: its branches, on made-up tables."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import asked
from distillation_dynamics import words
from distillation_dynamics.figures import effects as drawn
from distillation_dynamics.questions import alignment as measured
from distillation_dynamics.questions import dose, variants
from distillation_dynamics.questions.dose import effects
from distillation_dynamics.questions.variants.checkpoints import MCNEMAR_COLUMNS
from distillation_dynamics.statistics.westfall_young import LEAST_DRAWN

NAN = np.nan


def row_of(variant="hard", **more):
    """A row of variants.parquet: eight seeds, no difference found."""
    row = {"variant": variant, "baseline": "soft", "seeds": 8, "mean_difference": 0.1, "low": -0.2, "high": 0.4}
    row |= {"p_sign_flip": 0.5, "p_joint": 0.6, "joint_seeds": 8, "joint_comparisons": 2, "smallest_p": 2 / 2**8}
    row |= {"detectable_effect": 0.7, "evaluation_standard_error": 0.3, "changes": 1}
    row |= {
        "sd_paired": 0.4,
        "sd_unpaired": 0.5,
        "correlation": 0.3,
        "differs": "a `hard` term (weight 0.9)",
        "verdict": "no difference found",
    }
    for third in ("early", "late"):
        row |= {f"{third}_gain": 0.0, f"{third}_low": -1.0, f"{third}_high": 1.0, f"{third}_p": 1.0}
        row |= {f"{third}_seeds": 8, f"{third}_epochs": 2, f"{third}_all": 2}
    return row | more


def on_variants(*rows):
    """The section on these variants, without checkpoints."""
    return asked.said("variants", variants=pd.DataFrame(rows), mcnemar=pd.DataFrame(columns=[*MCNEMAR_COLUMNS]))


def on_gains(*rows):
    """The section on gains of these variants."""
    return asked.said("gain", variants=pd.DataFrame(rows))


# --- does a variant help ---

LEFT_OUT = {"seeds": 3, "joint_seeds": 0, "p_joint": NAN, "smallest_p": NAN, "joint_comparisons": 0}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [row_of(p_joint=0.01, mean_difference=1.0), row_of("none")],
            "hard (+1.00 points) differs significantly from soft, of 2 variants tested over 8 seeds (joint sign "
            "flips); the other shows no detectable difference.",
        ),
        (
            [row_of("none", p_joint=0.01, mean_difference=-1.8, changes=2)],
            "none, 2 changes at once (-1.80 points) differs significantly from soft, of 1 variant tested over 8 seeds "
            "(joint sign flips).",
        ),
        (
            [row_of(), row_of("none", mean_difference=-0.2)],
            "No detectable difference from soft in 2 variants tested over 8 seeds (joint sign flips): differences to "
            "soft run from -0.20 (none) to +0.10 points (hard).",
        ),
        (
            [row_of(low=0.05, high=0.15), row_of("none", mean_difference=-0.2, high=-0.1, low=-0.3)],
            "No detectable difference from soft in 2 variants tested over 8 seeds (joint sign flips): differences to "
            "soft run from -0.20 (none) to +0.10 points (hard); the single 95 % intervals of hard (+0.10 points) and "
            "none (-0.20 points) exclude 0, which the joint test does not confirm.",
        ),
        (
            [row_of(p_joint=0.01, mean_difference=1.0), row_of("last", high=-0.1), row_of("none")],
            "hard (+1.00 points) differs significantly from soft, of 3 variants tested over 8 seeds (joint sign "
            "flips); the single 95 % interval of last (+0.10 points) excludes 0, which the joint test does not "
            "confirm; the other shows no detectable difference.",
        ),
        (
            [row_of(seeds=3, joint_seeds=3, smallest_p=0.25)],
            "3 seeds are too few for a test (the smallest sign-flip p is 0.25): hard differs from soft by "
            "+0.10 [-0.20, +0.40] points; read the intervals.",
        ),
        (
            [row_of(**LEFT_OUT), row_of("none", **LEFT_OUT)],
            "3 seeds are too few for a test (no seed is shared by all): differences to soft run from +0.10 (hard) to "
            "+0.10 points (hard); read the intervals.",
        ),
        (
            [row_of(seeds=1, low=NAN, high=NAN, joint_seeds=0)],
            "One seed is not enough: hard differs from soft by +0.10 points, without an interval over seeds.",
        ),
        (
            [row_of(seeds=0, mean_difference=NAN, joint_seeds=0)],
            "No result: no variant shares a seed with soft.",
        ),
        # What was not tested is not said to show no difference.
        (
            [row_of(p_joint=0.01, mean_difference=1.0), row_of("few", **LEFT_OUT)],
            "hard (+1.00 points) differs significantly from soft, of 1 variant tested over 8 seeds (joint sign flips).",
        ),
    ],
)
def test_the_answer_on_variants(rows, said):
    assert on_variants(*rows)[0] == f"**{said}**"


def test_what_a_variant_changes_beside_its_subject_is_named():
    said = on_variants(row_of("none", changes=2, differs="a; b"), row_of(), row_of("copy", changes=0, differs=""))
    assert said[1:3] == [
        "none differs from soft in 2 changes: a; b. Its difference is their joint effect.",
        "copy and soft have the same terms.",
    ]
    assert "| a; b |" in said[3]
    assert on_variants(row_of())[1].startswith("| variant |")


def test_a_p_that_no_drawn_flip_beats_is_at_most_that_wherever_it_is_shown():
    row = row_of(p_joint=LEAST_DRAWN, early_p=LEAST_DRAWN, joint_seeds=30, seeds=30, mean_difference=1.0)
    assert any("| <= 1.9e-06 |" in paragraph for paragraph in on_variants(row))
    assert any("| <= 1.9e-06 |" in paragraph for paragraph in on_gains(row))
    assert drawn._words(row | {"smallest_p": LEAST_DRAWN}, several_n=True) == "n = 30: p <= 1.9e-06"
    assert drawn._words(row_of(), several_n=False) == "p = 0.6" and "p <= 1.9e-06 in" in variants.verdict(row)
    text = asked.said("dose", dose_and_place=pd.DataFrame([contrast(p_joint=LEAST_DRAWN)]), effects=ALONE, doses=DOSES)
    assert "| <= 1.9e-06 |" in text[1]


def test_variants_and_seeds_that_the_joint_test_leaves_out_are_named():
    assert on_variants(row_of(seeds=9), row_of("few", **LEFT_OUT))[1] == (
        "few is left out of the joint test, which needs seeds that all its variants have (3 seeds with the baseline). "
        "The test uses the 8 seeds that its variants share; intervals use all that a variant shares with the "
        "baseline."
    )
    two = on_variants(row_of(), row_of("few", **LEFT_OUT), row_of("fewer", **LEFT_OUT | {"seeds": 2}))[1]
    assert two.startswith("few and fewer are left out") and "(2 to 3 seeds with the baseline)" in two


# --- early gains and late losses ---


def turned(early, late, tested=False, **more):
    """A row with an early gain and a late loss, and intervals `early` and `late`."""
    row = row_of(**more) | {"early_low": early[0], "early_high": early[1], "late_low": late[0], "late_high": late[1]}
    return row | {"early_gain": 2.0, "late_gain": -1.0} | dict.fromkeys(("early_p", "late_p"), 0.01 if tested else 0.2)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [turned((1, 3), (-2, -0.5), tested=True), row_of("none")],
            "Of 2 variants, against soft (8 seeds): hard (early +2.00 [+1.00, +3.00], late -1.00 [-2.00, -0.50] "
            "points) gains early and loses late by the joint test.",
        ),
        (
            [turned((1, 3), (-2, -0.5))],
            "Of one variant, against soft (8 seeds): hard (early +2.00 [+1.00, +3.00], late -1.00 [-2.00, -0.50] "
            "points) gains early and loses late by the interval of each alone, not by the joint test.",
        ),
        (
            [turned((-1, 3), (-2, -0.5)), turned((NAN, NAN), (NAN, NAN), variant="none")],
            "Of 2 variants, against soft (8 seeds): hard and none gain early and lose late only in the mean: no test "
            "or interval excludes 0.",
        ),
        (
            [turned((1, 3), (-2, -0.5), tested=True), turned((-1, 3), (-2, -0.5), variant="none")],
            "Of 2 variants, against soft (8 seeds): hard (early +2.00 [+1.00, +3.00], late -1.00 [-2.00, -0.50] "
            "points) gains early and loses late by the joint test; none gains early and loses late only in the mean: "
            "no test or interval excludes 0.",
        ),
        (
            [row_of(early_gain=-1.0, late_gain=-2.0), row_of("none")],
            "In none of 2 variants is an early gain over soft followed by a late loss, not even in the mean (8 seeds).",
        ),
        (
            [row_of(early_gain=NAN, early_seeds=0)],
            "Not measured: whether a variant gains early and loses late. In the first third of training no epoch was "
            "validated in a variant and in soft with the same seed.",
        ),
        (
            [row_of(early_gain=NAN, late_gain=NAN)],
            "Not measured: whether a variant gains early and loses late. In the first and the last third of training "
            "no epoch was validated in a variant and in soft with the same seed.",
        ),
        (
            [row_of(early_gain=NAN, early_seeds=0), turned((1, 3), (-2, -1), tested=True, variant="none"), row_of("c")],
            "Of 2 measured variants, against soft (8 seeds): none (early +2.00 [+1.00, +3.00], late -1.00 [-2.00, "
            "-1.00] points) gains early and loses late by the joint test.",
        ),
    ],
)
def test_the_answer_on_early_gains_and_late_losses(rows, said):
    assert on_gains(*rows)[0] == f"**{said}**"


def test_thirds_of_training_that_were_not_or_only_partly_validated_are_named():
    assert on_gains(row_of())[1].startswith("| variant |")
    rows = row_of(early_gain=NAN, early_epochs=0), row_of("none", late_epochs=1), row_of("c", early_epochs=1)
    _, missing, table = on_gains(*rows)
    assert missing == (
        "Not measured in the first third of training: hard. Partly measured: of the 2 epochs of the first third 1 or "
        "more were validated. Partly measured: of the 2 epochs of the last third 1 or more were validated."
    )
    assert "| not measured |" in table


# --- dose and place ---


DOSES = pd.DataFrame(columns=list(dose.DOSE_BY_EPOCH_COLUMNS))


def contrast(kind=dose.OF_PLACE, **more):
    row = dict.fromkeys(dose.DOSE_COLUMNS, NAN) | {
        "contrast": kind,
        "objective": "spectral",
        "options": "",
        "level": "",
    }
    row |= {"variant": "last", "other": "first", "pairs": "3-5", "other_pairs": "0-0", "weight": 0.2, "seeds": 8}
    row |= {
        "other_weight": 0.2,
        "share": 0.54,
        "other_share": 0.4,
        "mean_difference": -1.48,
        "low": -1.9,
        "high": -1.05,
    }
    return (
        row
        | {"p_joint": 0.008, "joint_seeds": 8, "joint_comparisons": 2, "detectable_effect": 0.6, "verdict": "worse"}
        | more
    )


ALONE = pd.DataFrame({"alone": [True, True], "share_first": [0.5, 0.1]})


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [contrast(level="larger")],
            "Of 1 contrast of place the later is worse in 1 (last minus first), over 8 seeds.",
        ),
        (
            [
                contrast(verdict="no difference found", level="smaller", share=0.11, other_share=0.08),
                contrast(dose.OF_DOSE, other="last_low", other_pairs="3-5", other_share=0.11),
            ],
            "Of 1 contrast of place none shows a detectable difference; of 1 contrast of dose the larger is worse in "
            "1 (last minus last_low), over 8 seeds.",
        ),
        (
            [
                contrast(),
                contrast(variant="last2", verdict="better", p_joint=0.024, mean_difference=0.24, low=0.1, high=0.39),
                contrast(variant="p", verdict="no difference found", mean_difference=-0.06, low=-0.52, high=0.4),
                contrast(variant="q", verdict=dose.TOO_FEW),
            ],
            "Of 4 contrasts of place the later is worse in 1 (last minus first) and better in 1 (last2 minus first); "
            "in 1 no difference was detected; 1 not tested, over 8 seeds.",
        ),
        (
            [contrast(dose.OF_DOSE, verdict=dose.TOO_FEW, seeds=1, low=NAN, high=NAN, p_joint=NAN)],
            "No contrast of dose (1) was tested, over 1 seed.",
        ),
        (
            [contrast(dose.OF_BOTH)],
            "Not testable: among 2 variants no two with one objective align different pairs at a similar share of the "
            "loss, or the same pairs at different shares.",
        ),
    ],
)
def test_the_answer_on_dose_and_place(rows, said):
    answer = asked.said("dose", dose_and_place=pd.DataFrame(rows), effects=ALONE, doses=DOSES)[0]
    assert answer == f"**{said}**"


def test_without_shares_or_variants_dose_and_place_are_not_testable():
    none = pd.DataFrame(columns=list(dose.DOSE_COLUMNS))
    for effects_of, answer in (
        (ALONE.assign(alone=False), "no variant differs from soft only in one term with pairs of blocks."),
        (ALONE.assign(share_first=NAN), "the share of the loss that each term has was not measured."),
        (ALONE[:0], "no variant differs from soft only in one term with pairs of blocks."),
    ):
        assert asked.said("dose", dose_and_place=none, effects=effects_of, doses=DOSES) == [
            f"**Not testable: {answer}**"
        ]


def test_two_places_at_one_weight_are_said_to_differ_in_dose_too():
    mixed = contrast(dose.OF_BOTH, other_share=0.08, p_joint=NAN, detectable_effect=NAN, verdict=dose.MIXED)
    paragraphs = asked.said("dose", dose_and_place=pd.DataFrame([mixed, contrast()]), effects=ALONE, doses=DOSES)
    assert paragraphs[1] == (
        "At one weight, dose and place change together: last has 54 % of the loss and first 8 %; their difference "
        "cannot be attributed to either."
    )
    assert "| place and dose | last minus first | 3-5 / 0-0 | 54, 8 |" in paragraphs[2]


# --- pairs of blocks ---


def effect(**more):
    row = dict.fromkeys(effects.EFFECT_COLUMNS, NAN) | {"variant": "last", "objective": "spectral", "pairs": "3-5"}
    return row | {"mean_difference": 0.26, "seeds": 8, "options": "", "verdict": effects.UNKNOWN} | more


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [
                effect(verdict=effects.HELPS),
                effect(objective="projector", variant="p_last", mean_difference=-0.37, verdict=effects.HARMS),
            ],
            "Aligning helped in 1 of 2 terms with pairs (last +0.26 points); aligning hurt in 1 (p_last -0.37 points).",
        ),
        (
            [effect(verdict=effects.HELPS), effect(variant="b", mean_difference=0.3, verdict=effects.HELPS)],
            "Aligning helped in 2 of 2 terms with pairs (last +0.26 and b +0.30 points).",
        ),
        (
            [effect(variant=f"v{n}", mean_difference=n / 10, verdict=effects.HELPS) for n in (2, 1, 3)],
            "Aligning helped in 3 of 3 terms with pairs (v1 +0.10 to v3 +0.30 points).",
        ),
        (
            [effect(verdict=effects.NO_EFFECT, low=-0.08, high=0.6), effect(variant="b", seeds=2, mean_difference=NAN)],
            "No effect was found in 1 of 2 terms with pairs; too few seeds for a test of 1.",
        ),
        (
            [effect(verdict=effects.MIXED, pairs="0-0, 3-5")],
            "Not due to this term alone: 1 of 1 term with pairs.",
        ),
        ([], "Not testable here: no variant aligns any pair of blocks."),
    ],
)
def test_the_answer_on_pairs_of_blocks(rows, said):
    paragraphs = on_alignment(effects=pd.DataFrame(rows, columns=[*effects.EFFECT_COLUMNS]))
    assert paragraphs[0] == f"**{said}**"
    assert ('Differences to soft: see "Does a variant help?".' in paragraphs) == bool(rows)


def near(block=0, **more):
    row = dict.fromkeys(measured.NEAREST_COLUMNS, NAN) | {"student_block": block, "teacher_block": 0, "cka": 0.8}
    row |= {
        "baseline": "soft",
        "untrained_block": 0,
        "untrained_cka": 0.74,
        "gain": 0.06,
        "gain_low": 0.01,
        "gain_high": 0.11,
    }
    return row | {"gain_seeds": 8, "verdict": measured.NOT_SHOWN} | more


PAIRS = pd.DataFrame(
    [
        dict.fromkeys(measured.ALIGNMENT_COLUMNS, NAN)
        | {"baseline": "soft", "cka_kind": "tokens", "cka_rows": 900, "cka_seeds": 8}
    ]
)


def on_alignment(rows=(), **tables):
    """The section on pairs of blocks, `rows` those of nearest.parquet; no variant aligns any."""
    nothing = pd.DataFrame(columns=[*effects.EFFECT_COLUMNS])
    nearest = pd.DataFrame(rows, columns=[*measured.NEAREST_COLUMNS])
    return asked.said("alignment", **{"effects": nothing, "alignment": PAIRS, "nearest": nearest} | tables)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [near(verdict=measured.STANDS_OUT)],
            "Student block 0 is nearest to teacher block 0 (CKA 0.80), more so than before training "
            "(+0.06 [+0.01, +0.11] at block 0) and more than the others.",
        ),
        (
            [near(), near(1, cka=0.67)],
            "Student blocks 0 and 1 are nearest to teacher block 0 (CKA 0.67 to 0.80); before training CKA with the "
            "nearest is already 0.74, with the same block in 2 of 2: no detectable effect of training.",
        ),
        (
            [near(verdict=measured.TOO_FEW, gain_seeds=1, untrained_block=3)],
            "Student block 0 is nearest to teacher block 0 (CKA 0.80); before training CKA with the nearest is already "
            "0.74, with the same block in 0 of 1: no detectable effect of training. 1 seed allows no interval and no "
            "test.",
        ),
        (
            [near(verdict=measured.TOO_FEW, gain_seeds=3)],
            "Student block 0 is nearest to teacher block 0 (CKA 0.80); before training CKA with the nearest is already "
            "0.74, with the same block in 1 of 1: no detectable effect of training. 3 seeds allow no test, which needs "
            "6.",
        ),
        (
            [
                near(verdict=measured.NOT_COMPARED, gain_seeds=0, teacher_block=2),
                near(1, verdict=measured.NOT_COMPARED),
            ],
            "Student block 1 is nearest to teacher block 0 (CKA 0.80) and student block 0 is nearest to teacher block "
            "2 (CKA 0.80); the untrained student was not compared, so the effect of training is unknown.",
        ),
    ],
)
def test_likeness_is_said_to_be_of_training_only_where_it_stands_out(rows, said):
    text = on_alignment(rows)[1]
    before, _, after = text.partition(said)
    assert before.endswith("on 900 rows (tokens) (n < 1,000: small differences mean nothing). ") and after


def test_the_ceiling_is_said_or_that_there_is_none():
    none = "No teacher of another seed was compared, so the highest attainable CKA is unknown."
    assert none in on_alignment([near()])[1]
    said = on_alignment([near(ceiling=0.9), near(1, ceiling=0.95)])[1]
    assert "Ceiling, the same block of a teacher of another seed: 0.90 to 0.95." in said and none not in said


def test_blocks_that_have_no_cka_or_were_not_compared_are_said_not_to():
    assert on_alignment()[1:] == ["No pair of blocks has a CKA: all rows of a block are equal."]
    assert on_alignment(alignment=PAIRS[:0])[1:] == [
        "Similarity before aligning: CKA of soft with the teacher cait was not measured."
    ]


def test_numbers_of_seeds_are_one_or_a_range():
    assert words.over([8, 8]) == "8 seeds" and words.over([1]) == "1 seed" and words.over([0, 2]) == "0 to 2 seeds"


# --- several students ---

TWO = replace(
    asked.SOFT,
    arms={name: replace(asked.SOFT.arms["soft"], student=name[-1]) for name in ("soft_a", "soft_b", "soft_c")},
    baselines={name: f"soft_{name}" for name in "abc"},
)


def test_students_share_one_table_of_nearest_blocks():
    pairs = pd.concat([PAIRS.assign(baseline=f"soft_{name}") for name in "ab"])
    rows = [near(block, baseline="soft_a", cka=0.8 - block / 10, verdict=measured.TOO_FEW) for block in (0, 1)]
    rows += [near(baseline="soft_b", verdict=measured.STANDS_OUT, ceiling=0.9)]
    nearest = pd.DataFrame(rows)
    nothing = pd.DataFrame(columns=[*effects.EFFECT_COLUMNS])
    found = asked.said("alignment", TWO, effects=nothing, alignment=pairs, nearest=nearest)
    assert found[1:] == [
        "CKA with the teacher was not measured for c. Similarity before aligning: unbiased CKA of "
        "the baseline of each student with its "
        ""
        "teacher, last epoch, 8 seeds, on 900 rows (tokens). 1 of 3 student blocks stands out: "
        "training raises their CKA with the nearest "
        "teacher block, more than with the others. 2 were not tested, which needs the untrained student and 6 seeds. "
        "Ceiling, the same block of a teacher of another seed: 0.90. Similarity is descriptive: it does not show that "
        "aligning helps.",
        "| student | student blocks | nearest teacher block | CKA | CKA before training | verdict |\n"
        "|---|---|---|---|---|---|\n"
        f"| a | 0, 1 | 0 | 0.70 to 0.80 | 0.74 | {measured.TOO_FEW} |\n"
        f"| b | 0 | 0 | 0.80 | 0.74 | {measured.STANDS_OUT} |",
    ]
    tested = nearest.assign(verdict=measured.NOT_SHOWN, ceiling=NAN)
    text = asked.said("alignment", TWO, effects=nothing, alignment=pairs, nearest=tested)[1]
    assert "0 of 3 student blocks" in text and "not tested" not in text and "No teacher of another seed" in text


def test_baselines_are_named_once_where_each_student_has_its_own():
    rows = pd.DataFrame([row_of()])
    found = asked.said("variants", TWO, variants=rows, mcnemar=pd.DataFrame({"images": []}))
    assert found[0].startswith("**No detectable difference from the baseline of each student in 1 variant")
    assert found[1] == "Baselines: soft_a, soft_b and soft_c."
