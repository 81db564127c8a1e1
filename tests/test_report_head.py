"""The head of a report, accuracy, and what a study can show: each sentence follows from the tables."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import asked
from distillation_dynamics.report import head as header
from distillation_dynamics.spec.tables import Arm, Names
from frames import frame
from made_up import arms

NAMES = Names(("cait", "alone"), {}, "cait", arms("soft", "first", "last"), {"student": "soft"})
ALONE = Names(("cait",), {}, None, {}, {})
STUDY = {
    "configuration": {
        "data": {"train": "train.parquet", "test": ["a", "b"], "classes": 10},
        "networks": {
            "cait": {
                "model": {"name": "cait_xxs24_224", "args": {"depth": 8}},
                "recipe": {
                    **{"epochs": 2, "batch_size": 64, "train_images": 30000, "clip_gradient_norm": 1.0},
                    "augmentation": {"repeats": 3},
                    "optimizer": {"name": "adamw", "learning_rate": 1.5e-3},
                    "schedule": {"name": "cosine"},
                },
            },
            "dino": {"model": {"name": "vit_small_patch16_224", "args": {}}, "weights": "hf-hub:timm/x@main"},
        },
    },
    "networks": {
        "cait": {"view": {"image_size": 24}, "resampling": None},
        "dino": {
            "view": {"image_size": 256},
            "resampling": "its grid of positions is resampled from 14 x 14 to 16 x 16",
        },
    },
    "image_counts": {"main": {"train": 57000, "test": 10000, "other": None}},
    "commit": {"hash": "abc", "clean": True},
    "versions": {"python": "3.12.1", "torch": "2.11", "numpy": "2.1"},
    "machine": {"processor": "x86_64", "cores": 2, "system": "Linux"},
    "date": "2026-01-02T03:04:05+00:00",
}
COST = pd.DataFrame(
    {
        "device": ["cpu", "cpu"],
        "seconds": [2700.0, 180.0],
        "start_seconds": [720.0, 0.0],
        "images_per_second": [1.0, 2.0],
        "cpu": ["AMD EPYC", "AMD EPYC"],
        "threads": [1.0, 2.0],
    }
)


def runs(**top1):
    """A frame of runs: name -> test top-1 of its seeds (a list: a variant), or of the network."""
    rows = []
    for name, values in top1.items():
        for seed, value in enumerate(values) if isinstance(values, list) else [(None, values)]:
            rows.append({"network": name, "seed": seed, "test_top1": value, "test_agreement": 90.0})
    shared = {"test_images": 10000, "parameters": 7, "train_images": 6000, "epochs": 5, "loaded": ""}
    return frame(rows).assign(**shared)


def test_the_head_says_what_was_run_where_and_with_what():
    text = header.table(STUDY, runs(cait=83.0, soft=[1.0, 2.0], last=[1.0, 2.0]), COST)
    for said in (
        "train train.parquet; test a and b; 57,000 train images, 10,000 test images; 10 classes",
        "| network cait | cait_xxs24_224 (depth 8), trained here: 2 epochs of 30,000 images, batches of 64, adamw at "
        "0.0015, cosine, gradient clipped at 1, each image in 3 views in a row; images of 24 x 24 pixels |",
        "| network dino | vit_small_patch16_224, weights hf-hub:timm/x@main; images of 256 x 256 pixels, its grid of "
        "positions is resampled from 14 x 14 to 16 x 16 |",
        "1 network; 2 variants x 2 seeds (0, 1)",
        "1.00 on cpu, of 2 trainings",
        "| abc |",
        "Python 3.12.1, torch 2.11 |",
        "| machine | AMD EPYC, 1 thread and 2 threads a process; 2 cores, Linux |",
        "2026-01-02T03:04:05+00:00",
    ):
        assert said in text, said


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        ([4], "4"),
        ([0, 1], "0, 1"),
        ([20, 21, 22], "20 to 22"),
        ([0, 1, 2, 5, 7, 8, 9, 10], "0 to 2, 5, 7 to 10"),
        ([], ""),
    ],
)
def test_seeds_that_follow_each_other_are_a_range(seeds, said):
    assert header.ranges(seeds) == said


def test_the_machine_of_older_results_is_not_recorded():
    unknown = COST.assign(cpu=None, threads=np.nan)
    assert header.computed_on(unknown) == "CPU not recorded, threads not recorded"


def test_the_head_says_how_weights_from_elsewhere_were_read():
    table = runs(cait=83.0, dino=80.0)
    table.loc[table["network"] == "dino", "loaded"] = "names read without module."
    text = header.table(STUDY, table, COST)
    assert "vit_small_patch16_224, weights hf-hub:timm/x@main (names read without module.); images of 256" in text
    assert text.count("names read") == 1 and text.count("resampled") == 1
    table.loc[table["network"] == "dino", "loaded"] = "pos_embed resampled from [1, 197, 384] to [1, 257, 384]"
    text = header.table(STUDY, table, COST)
    assert text.count("resampled") == 1 and "(pos_embed resampled from [1, 197, 384] to [1, 257, 384]); images" in text


def test_the_head_says_what_was_noted_of_the_images_and_nothing_where_nothing_was():
    notes = ["data.train: 2 images turned as EXIF says", "data.test: 3 of 9 test images are of a photograph"]
    for study in (STUDY, None):
        text = header.table(study, runs(cait=83.0), COST, notes)
        assert f"| images | {'; '.join(notes)} |" in text
        assert "| images |" not in header.table(study, runs(cait=83.0), COST)


@pytest.mark.parametrize(
    ("commit", "said"),
    [
        (None, "not known (no repository)"),
        ({"hash": "abc", "clean": False}, "abc, with changes that are not committed"),
    ],
)
def test_a_commit_that_does_not_tell_the_code_is_said_to_be_none(commit, said):
    assert said in header.table(STUDY | {"commit": commit}, runs(cait=83.0), COST)


def test_without_its_record_and_without_training_the_head_says_so():
    text = header.table(None, runs(cait=83.0), COST.assign(images_per_second=np.nan))
    assert "not recorded: study.json is missing" in text and "nothing was trained" in text and "| 1 network |" in text


def test_accuracy_is_a_mean_with_its_interval_over_seeds():
    values = [80.0, 81.0, 82.5]
    _, table, note = asked.said("accuracy", NAMES, runs=runs(cait=83.0, soft=values, first=[77.0]))
    low, high = stats.t.interval(0.95, 2, loc=np.mean(values), scale=stats.sem(values))
    assert f"| soft | baseline | {np.mean(values):.2f} [{low:.2f}, {high:.2f}] | 90.0 |" in table
    assert "| first | variant | 77.00 | 90.0 |" in table and "| cait | teacher | 83.00 | 90.0 |" in table
    assert "10,000 test images" in note and "No accuracy" not in note


def test_equal_accuracies_have_no_interval_and_what_has_none_is_named():
    _, table, note = asked.said("accuracy", NAMES, runs=runs(cait=np.nan, soft=[80.0, 80.0]))
    assert "| soft | baseline | 80.00 | 90.0 |" in table and "No accuracy (no head for these classes): cait." in note
    (text,) = asked.said("accuracy", ALONE, runs=runs(cait=np.nan))
    assert text == "**No network of this study has an accuracy.** No accuracy (no head for these classes): cait."


@pytest.mark.parametrize(
    ("top1", "said"),
    [
        ({"cait": 83.0}, "The teacher cait reaches 83.00 %."),
        ({"soft": [80.0]}, "The variant soft reaches 80.00 %, one seed."),
        (
            {"cait": 83.0, "soft": [80.0, 82.0], "last": [78.0, 79.0]},
            "2 variants reach from 78.50 % (last) to 81.00 % (soft), means over 2 seeds. The teacher cait reaches "
            "83.00 %.",
        ),
    ],
)
def test_the_spread_of_accuracies_is_said_in_a_sentence(top1, said):
    assert asked.said("accuracy", NAMES, runs=runs(**top1))[0] == f"**{said}**"


def depth(teacher=(64, 64, 64), student=(32, 32, 32, 32, 32), directions=(20.0, 20.0, 40.0)):
    """Means by block, with widths of teacher and student and directions of the teacher's blocks."""
    rows = [
        {"network": "cait", "seed": None, "epoch": 2, "probe": "balanced", "block": block, "channels": width}
        | {"pca_rank_95_p99": need}
        for block, (width, need) in enumerate(zip(teacher, directions, strict=True))
    ]
    for epoch in (0, 5):
        for seed in (0, 1):
            rows += [
                {
                    "network": "soft",
                    "seed": seed,
                    "epoch": epoch,
                    "probe": "balanced",
                    "block": block,
                    "channels": width,
                }
                | {"pca_rank_95_p99": 3.0}
                for block, width in enumerate(student)
            ]
    return pd.DataFrame(rows)


def cka(tokens=0.5, images=0.7):
    """CKA of the teacher's first and last block, among others."""
    own = {"network": "cait", "other": "cait", "epoch": 2, "other_epoch": 2, "block": 0}
    return pd.DataFrame(
        [
            own | {"other_block": 0, "cka_tokens": 1.0, "cka_images": 1.0},
            own | {"other_block": 2, "cka_tokens": tokens, "cka_images": images},
            own | {"other_block": 2, "other_epoch": 0, "cka_tokens": 0.1, "cka_images": 0.1},
        ]
    )


def terms(first=0.08, last=0.54):
    """Shares of the loss in two epochs."""
    rows = []
    for network, share in (("soft", None), ("first", first), ("last", last)):
        for seed in (0, 1):
            for epoch in (1, 2):
                key = {"network": network, "seed": seed, "epoch": epoch}
                rows.append(key | {"term": "soft", "share": 0.3})
                if share is not None:
                    rows.append(key | {"term": "spectral", "share": share if epoch == 1 else 0.01})
    return pd.DataFrame(rows)


VARIANTS = pd.DataFrame(
    {"seeds": [6, 6], "mean_difference": [0.2, -0.9], "detectable_effect": [0.5, 1.25], "variant": ["first", "last"]}
)
READ = {"runs": runs(cait=83.0, soft=[80.0] * 6, first=[1.0] * 6, last=[1.0] * 6)}


def said(variants=VARIANTS, names=NAMES, **read):
    (text,) = asked.said("can_show", names, **READ | read | {"variants": variants})
    return text.splitlines()


def test_what_was_not_measured_is_called_so():
    lines = said(variants=VARIANTS.assign(detectable_effect=np.nan))
    assert lines[0] == "- Widths and blocks: not measured."
    assert lines[1] == "- Directions that the teacher's last block needs: not measured."
    assert lines[2] == "- Contrast of the teacher's first and last block: not measured."
    assert lines[3] == "- Smallest effect: unknown, since one comparison over 6 seeds has no spread."
    assert lines[4] == "- Shares of the terms in the loss: not measured."


def test_a_study_without_students_tests_nothing():
    assert "trains no students" in said(VARIANTS[:0], ALONE, runs=runs(cait=1.0))[0]


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (
            depth(),
            ["Width: 64 channels in the teacher's last block, 32 in the student's, a ratio of 2.00 (published: 2.00)"],
        ),
        (depth(), ["Blocks: 3 and 5."]),
        (
            depth(student=(48,) * 4),
            ["a ratio of 1.33", "Blocks: 3 and 4, only 2 of them between first and last"],
        ),
        (
            depth(),
            ["needs 40 of its 64 (95 %", "more than the student's 32 channels: harm from too few channels can show."],
        ),
        (depth(directions=(58.0, 9.0, 32.4)), ["needs 32 of its 64", "no more than the student's 32 channels: harm"]),
        (depth(student=(8, 8, 32), directions=(20.0, 9.0, 9.0)), ["channels cannot show."]),
        (depth().drop(columns="pca_rank_95_p99"), ["- Directions that the teacher's last block needs: not measured."]),
    ],
)
def test_room_in_width_blocks_and_directions_is_measured_against_the_student(frame, expected):
    text = "\n".join(said(depth=frame))
    for part in expected:
        assert part in text, text


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (cka(), "CKA of the teacher's first and last block is 0.50 of tokens, 0.70 of images."),
        (cka(0.95, 0.91), "are similar (CKA 0.95 of tokens, 0.91 of images): early and late alignment have nearly"),
        (cka(np.nan, 0.7), "is 0.70 of images."),
        (cka(0.95, 0.7), "is 0.95 of tokens, 0.70 of images."),
        (cka(np.nan, np.nan), "Contrast of the teacher's first and last block: not measured."),
        (cka()[:0], "Contrast of the teacher's first and last block: not measured."),
    ],
)
def test_contrast_is_that_of_the_teachers_first_and_last_block(frame, expected):
    assert expected in "\n".join(said(cka=frame))


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (terms(), "spectral 8 % (first) to 54 % (last) of the loss: variants of spectral differ in dose as well as in"),
        (terms(0.4, 0.5), "- Dose in the first epoch: spectral 40 % (first) to 50 % (last) of the loss."),
    ],
)
def test_shares_of_the_loss_are_held_against_each_other(frame, expected):
    assert expected in "\n".join(said(terms=frame))


def test_a_term_of_one_variant_has_one_share_and_common_terms_none():
    frame = terms()
    text = "\n".join(said(terms=frame[frame["network"] != "last"]))
    assert "spectral 8 % of the loss (first)." in text and "soft" not in text.split("Dose")[1].splitlines()[0]
    # Terms of one variant each are held against nothing.
    frame.loc[(frame["network"] == "last") & (frame["term"] == "spectral"), "term"] = "projector"
    text = "\n".join(said(terms=frame))
    assert "and projector 54 % of the loss (last)." in text
    assert not any(line.startswith("- Dose") for line in said(terms=frame[frame["term"] == "soft"]))


def test_the_smallest_effect_is_told_by_variant_beside_the_largest_that_was_seen():
    assert (
        "- Smallest effect: 0.50 to 1.25 points, by variant, with 80 % power over 6 seeds; the largest mean difference "
        "is 0.90."
    ) in said()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "- Images: teacher and students see the same 6,000 training images."),
        ({"cait": 0}, "- Images: the teacher's weights come from elsewhere; students see 6,000 images."),
        ({"cait": 900}, "- Images: 900 for the teacher, 6,000 for the students."),
        ({"cait": 30000}, "; no control shows how much of the gain is due to those images."),
        (
            {"cait": 30000, "alone": 30000},
            "with the teacher's images and labels alone the student's architecture reaches 79.00 % (alone).",
        ),
    ],
)
def test_images_that_the_teacher_saw_and_the_students_did_not_are_said(change, expected):
    frame = runs(cait=83.0, alone=79.0, soft=[80.0] * 2)
    frame.loc[frame["network"] == "cait", "parameters"] = 99
    for name, images in change.items():
        frame.loc[frame["network"] == name, "train_images"] = images
    assert expected in "\n".join(said(runs=frame))


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        (
            [70, 75, 77, 77.1],
            "- Training: validation top-1 of soft rises by 0.10 points an epoch at the end: finished.",
        ),
        (
            [70, 75, 77, 78],
            ": not finished (more than 0.2), so a variant may change only how fast the student fits.",
        ),
        ([70, 75, 77, np.nan], "- Training of soft: whether it is finished was not measured."),
    ],
)
def test_whether_training_is_finished_is_said_of_the_baseline(curve, expected):
    rows = [
        {"network": "soft", "seed": seed, "epoch": epoch, "validation_top1": value}
        for seed in (0, 1)
        for epoch, value in enumerate([10.0, *curve])
    ]
    assert expected in "\n".join(said(epochs=pd.DataFrame(rows)))


@pytest.mark.parametrize(
    ("top1", "expected"),
    [
        (79.0, "- Gap: 79.00 % with labels alone (none), 83.00 % of the teacher."),
        (84.0, "83.00 % of the teacher: the teacher is not better."),
    ],
)
def test_the_gap_is_that_to_the_student_on_its_own_images(top1, expected):
    own = {"none": Arm("none", "student", "cait", (("cross_entropy", "cross_entropy"),))}
    names = replace(NAMES, arms=NAMES.arms | own)
    assert expected in "\n".join(said(names=names, runs=runs(cait=83.0, none=[top1] * 2, soft=[80.0] * 2)))
    assert "- Gap" not in "\n".join(said())


# --- several students ---


def of_students(*names):
    """A study of these students of one teacher, each with its baseline soft-<name>."""
    found = {f"soft-{name}": replace(NAMES.arms["soft"], student=name) for name in names}
    return replace(NAMES, arms=found, baselines={name: f"soft-{name}" for name in names})


def test_students_of_one_sentence_have_one_line_with_a_range_of_their_values():
    both = depth()
    own = [both[both["network"] == "cait"]]
    for name, width in (("thin", 24), ("wide", 64), ("wider", 96)):
        own.append(both[both["network"] == "soft"].assign(network=f"soft-{name}", channels=width))
    top1 = runs(**{"cait": 83.0} | {f"soft-{name}": [80.0] * 2 for name in ("thin", "wide", "wider")})
    rows = [
        {"network": f"soft-{name}", "seed": 0, "epoch": epoch, "validation_top1": 70 + slope * epoch}
        for name, slope in (("thin", 2), ("wide", 1), ("wider", 0))
        for epoch in range(5)
    ]
    who = of_students("thin", "wide", "wider")
    lines = said(names=who, depth=pd.concat(own), runs=top1, epochs=pd.DataFrame(rows))
    assert lines[:4] == [
        "- Width: 64 channels in the teacher's last block, 24 to 96 in the student's, a ratio of 0.67 to 2.67 "
        "(published: 2.00). Blocks: 3 and 5.",
        "- Directions (thin): the teacher's last block needs 40 of its 64 (95 % of the energy of 99 % of the images), "
        "more than the student's 24 channels: harm from too few channels can show.",
        "- Directions (wide and wider): the teacher's last block needs 40 of its 64 (95 % of the energy of 99 % of the "
        "images), no more than the student's 64 to 96 channels: harm from too few channels cannot show.",
        "- Contrast of the teacher's first and last block: not measured.",
    ]
    text = "\n".join(lines)
    assert text.count("- Images") == 1 and "- Images: teacher and students see the same 6,000" in text
    assert "validation top-1 of soft-thin and soft-wide rises by 1.00 to 2.00 points an epoch at the end: not" in text
    assert "validation top-1 of soft-wider rises by 0.00 points an epoch at the end: finished." in text


def test_what_was_measured_of_no_student_is_said_once():
    who = of_students("thin", "wide")
    lines = said(names=who, runs=runs(**{"cait": 83.0, "soft-thin": [80.0], "soft-wide": [80.0]}))
    assert lines[:3] == [
        "- Widths and blocks: not measured.",
        "- Directions that the teacher's last block needs: not measured.",
        "- Contrast of the teacher's first and last block: not measured.",
    ]
    assert "- Training of soft-thin and soft-wide: whether it is finished was not measured." in lines
