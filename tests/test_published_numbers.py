"""Published numbers: read as they are, matched to variants that repeat them, and compared with measured ones."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import asked
from conftest import ROOT
from distillation_dynamics.figures import training_curves as drawn
from distillation_dynamics.jobs.who import setting_of
from distillation_dynamics.questions import published
from distillation_dynamics.spec.base import from_json, to_json
from distillation_dynamics.spec.tables import Names, Setting
from distillation_dynamics.study.configuration import merged
from helpers import load
from made_up import names

FILES = [str(path) for path in (ROOT / "resources/published").glob("*.csv")]
NUMBERS = published.read_published(FILES)


def setting(*files):
    """What a study's students are, as the stage gets it."""
    found = setting_of(SimpleNamespace(study=load(merged([str(ROOT / file) for file in files]))))
    return from_json(Setting, to_json(found))


IMAGENET, FULL = setting("studies/imagenet.yaml"), setting("studies/full.yaml")


def imagenet(**change):
    """The study of ImageNet with something else: a part of all of its arms, or the number of classes."""
    if "classes" in change:
        return replace(IMAGENET, **change)
    return replace(IMAGENET, arms={name: replace(arm, **change) for name, arm in IMAGENET.arms.items()})


def tables(at, differences, train_images=1_281_167, baseline="soft"):
    """The table of a made-up study: `differences` are variant -> those of its seeds."""
    variants = [baseline, *(name for name in at.terms if name != baseline)]
    runs = pd.DataFrame([{"network": name, "train_images": train_images} for name in variants])
    rows = [
        {"variant": name, "seed": n, "difference": d} for name, own in differences.items() for n, d in enumerate(own)
    ]
    who = replace(names(("cait",), variants, teacher="cait"), baselines={"student": baseline})
    frame = pd.DataFrame(rows, columns=["variant", "seed", "difference"])
    return published.table(NUMBERS, at, runs, frame, who).set_index("variant")


def test_the_files_hold_what_the_papers_say():
    top1 = NUMBERS.top1.set_index("run")
    assert top1.loc["SpectralKD Last", ["best", "last"]].tolist() == [76.83, 76.79]
    assert np.isnan(top1.loc["SpectralKD Last8", "last"]) and len(top1) == 20 and top1.index.is_unique
    # What is told twice is told alike.
    ends = NUMBERS.trajectory[NUMBERS.trajectory["epoch"] == 300].set_index("run")["top1"]
    assert len(ends) == 7 and (ends == top1.loc[ends.index, "last"]).all()
    assert NUMBERS.entropy.groupby(["run", "epoch"])["block"].agg(list).map(lambda b: b == list(range(1, 13))).all()
    assert (NUMBERS.entropy["entropy"] < np.log2(100)).all() and len(NUMBERS.entropy) == 4 * 2 * 12


def test_a_variant_of_the_published_study_is_the_same_run_where_all_is_equal():
    rows = tables(IMAGENET, {})
    same = set(rows.index[rows["comparable"]])
    assert same == {
        *("soft", "spectral_first", "spectral_last", "spectral_last_w01", "spectral_last8", "spectral_first_last"),
        *("projector_first_frozen", "projector_last_frozen", "projector_first_last_frozen"),
    }
    assert rows.loc["spectral_last_w01", "run"] == "SpectralKD Last, w .1"
    assert rows.loc["projector_last", "differs"] == "projector: options {'frozen': False}, published {'frozen': True}"
    assert rows.loc["spectral_first_last_sum", "differs"] == "spectral: reduction sum, published mean"
    assert rows.loc["none", "run"] == "no KD" and rows.loc["none", "differs"] == "epochs 300, published not said"
    assert rows.loc["hard", "run"] == "" and rows.loc["hard", "verdict"] == published.NOT_PUBLISHED
    assert rows.loc["spectral_last", "published_difference"] == pytest.approx(-0.16)


def test_another_length_of_training_is_held_beside_its_own_soft_run():
    rows = tables(imagenet(epochs=500), {})
    assert rows.loc["spectral_last", "run"] == "SpectralKD Last, 500 epochs" and rows.loc["spectral_last", "comparable"]
    assert rows.loc["spectral_last", "published_difference"] == pytest.approx(77.54 - 77.95)
    assert rows.loc["spectral_first", "differs"] == "epochs 500, published 300"


@pytest.mark.parametrize(
    "change, said",
    [
        ({"student": "vit_tiny_patch16_224"}, "student vit_tiny_patch16_224, published deit_tiny_patch16_224"),
        ({"teacher": "cait_m36_384"}, "teacher cait_m36_384, published cait_s24_224"),
        ({"classes": 100}, "classes 100, published 1,000"),
        ({"classes": None}, "classes None, published 1,000"),
        ({"epochs": 7}, "epochs 7, published 300"),
    ],
)
def test_one_thing_that_differs_is_named_and_nothing_is_tested(change, said):
    rows = tables(imagenet(**change), {"spectral_last": [-0.1, -0.2, -0.3]})
    assert rows.loc["spectral_last", "differs"] == said and not rows["comparable"].any()
    assert rows.loc["spectral_last", "verdict"] == published.NOT_COMPARABLE


def test_other_images_are_told_by_their_number_and_unknown_ones_are_not_the_same():
    for images, said in ((50_000, "50,000"), (np.nan, "nan")):
        rows = tables(IMAGENET, {}, train_images=images)
        assert rows.loc["spectral_last", "differs"] == f"training images {said}, published 1,281,167"


def test_a_small_study_has_references_by_place_and_no_comparison():
    rows = tables(FULL, {"spectral_last": [-0.1, -0.2]}, train_images=6000)
    assert not rows["comparable"].any() and set(rows["verdict"]) <= {
        "not comparable",
        "not published",
        "is the baseline",
    }
    last = rows.loc["spectral_last"]
    assert last["run"] == "SpectralKD Last" and "pairs [(4, 7)], published [(11, 23)]" in last["differs"]
    assert rows.loc["spectral_last2", "run"] == ""


def test_another_baseline_than_soft_distillation_compares_nothing():
    rows = tables(IMAGENET, {"spectral_last": [-0.1, -0.2]}, baseline="none")
    assert not rows.loc["spectral_last", "comparable"]
    assert rows.loc["spectral_last", "differs"] == "baseline: the baseline none is not SoftKD"


def test_a_difference_of_one_seed_is_held_against_the_interval_of_one_further_seed():
    values = np.array([0.3, 0.1, 0.5, 0.2])
    rows = tables(
        IMAGENET, {"spectral_last": values, "spectral_first": [0.05], "spectral_first_last": [1.0, 1.1, 1.05]}
    )
    row = rows.loc["spectral_last"]
    half = stats.t.ppf(0.975, 3) * np.sqrt(values.var(ddof=1) * (1 + 1 / 4))
    np.testing.assert_allclose([row["one_low"], row["one_high"]], [values.mean() - half, values.mean() + half])
    # The interval of the mean, .00 to .55, would not hold -.16: that of one more seed does.
    assert row["low"] > -0.16 > row["one_low"] and row["verdict"] == published.AGREES
    assert rows.loc["spectral_first", "verdict"] == published.NOT_MEASURED
    assert rows.loc["spectral_first_last", "verdict"] == published.DISAGREES
    assert rows.loc["spectral_last8", "verdict"] == published.NOT_MEASURED
    constant = tables(IMAGENET, {"spectral_last": [-0.16, -0.16]}).loc["spectral_last"]
    assert constant["verdict"] == published.NOT_MEASURED


def test_published_gains_are_to_soft_at_each_epoch():
    rows = tables(IMAGENET, {}).reset_index()
    curve = published.trajectory(NUMBERS, rows).set_index(["variant", "epoch"])
    assert curve.loc[("spectral_last", 30), "gain"] == pytest.approx(56.81 - 54.46)
    assert curve.loc[("spectral_last", 300), "fraction"] == 1 and "soft" not in curve.index.get_level_values(0)
    assert curve.loc[("projector_last", 300), "comparable"] == False  # noqa: E712 (of numpy)


def entropies(change, seeds=3, blocks=4, epochs=(0, 2, 5)):
    """Depth rows of soft students whose entropy changes by `change` bits over depth, a little otherwise each seed."""
    return pd.DataFrame(
        [
            {"network": "soft", "seed": s, "epoch": e, "probe": probe, "block": b}
            | {"entropy_fixed_range": 3 + change * b / (blocks - 1) * (1 + 0.01 * s) + 5 * (probe != "balanced")}
            for s in range(seeds)
            for e in epochs
            for b in range(blocks)
            for probe in ("balanced", "published")
        ]
    )


def test_entropy_over_depth_is_held_beside_the_published_one_at_both_ends_of_training():
    rows = tables(FULL, {}, train_images=6000).reset_index()
    found = published.entropy(NUMBERS, rows, entropies(1.0))
    assert found[["published_epoch", "epoch"]].values.tolist() == [[30, 2], [300, 5]]
    assert found["change"].tolist() == pytest.approx([1.01] * 2) and set(found["direction"]) == {"same"}
    np.testing.assert_allclose(found["published_change"], [3.71 - 2.47, 3.31 - 2.40])
    curve = np.interp(
        [0, 11 / 3, 22 / 3, 11], range(12), NUMBERS.entropy.query("run == 'SoftKD' and epoch == 300")["entropy"]
    )
    assert found["correlation"].iloc[1] == pytest.approx(stats.spearmanr(range(4), curve).statistic)
    # The untrained student changes as much: training added nothing.
    assert found["untrained_change"].tolist() == pytest.approx([1.01] * 2) and found["added"].tolist() == [0, 0]
    assert set(found["added_direction"]) == {published.NOT_MEASURED}
    grown = entropies(1.0)
    last = (grown["epoch"] == 5) & (grown["block"] == 3)
    grown.loc[last, "entropy_fixed_range"] += 0.2 + 0.01 * grown.loc[last, "seed"]
    after = published.entropy(NUMBERS, rows, grown)
    assert after["added"].tolist() == pytest.approx([0, 0.21]) and after["added_direction"].iloc[1] == "same"
    assert after["added_low"].iloc[1] < 0.21 < after["added_high"].iloc[1]
    grown.loc[last, "entropy_fixed_range"] -= 0.5
    assert published.entropy(NUMBERS, rows, grown)["added_direction"].iloc[1] == "opposite"
    alone = published.entropy(NUMBERS, rows, entropies(1.0, epochs=(2, 5)))
    assert alone[["untrained_change", "added"]].isna().all(axis=None)
    opposite = published.entropy(NUMBERS, rows, entropies(-1.0))
    assert set(opposite["direction"]) == {"opposite"}


def test_entropy_without_seeds_epochs_blocks_or_values_says_so():
    rows = tables(FULL, {}, train_images=6000).reset_index()
    assert set(published.entropy(NUMBERS, rows, entropies(1.0, seeds=1))["direction"]) == {published.NOT_MEASURED}
    assert published.entropy(NUMBERS, rows, entropies(1.0, epochs=(0, 5)))["published_epoch"].tolist() == [300]
    assert published.entropy(NUMBERS, rows, entropies(1.0, blocks=2))["correlation"].isna().all()
    noisy = entropies(0.0).assign(entropy_fixed_range=lambda t: 3 + np.where(t["seed"] == 1, -1, 1) * t["block"])
    assert set(published.entropy(NUMBERS, rows, noisy)["direction"]) == {"neither"}
    for depth in (None, pd.DataFrame({"network": []}), entropies(1.0).assign(entropy_fixed_range=np.nan)):
        assert published.entropy(NUMBERS, rows, depth).empty


def text(rows, entropy=None, baseline="soft"):
    """The section of the report."""
    nothing = pd.DataFrame(columns=list(published.ENTROPY_COLUMNS))
    tables = {"published": rows.reset_index(), "published_entropy": nothing if entropy is None else entropy}
    return "\n".join(
        asked.said(
            "published", Names(("cait",), {}, "cait", {}, {} if baseline is None else {"student": baseline}), **tables
        )
    )


def test_the_report_says_what_agrees_what_does_not_and_what_was_not_measured():
    differences = {
        "spectral_last": [0.3, 0.1, 0.5, 0.2],
        "spectral_first": [1.0, 1.1, 1.05],
        "spectral_last8": [0.1, 0.2],
    }
    said = text(tables(IMAGENET, differences))
    assert (
        "**Of 8 variants with a published run, agrees: spectral_last; disagrees: spectral_first; not measured: " in said
    )
    assert "| spectral_last | SpectralKD Last | -0.16 |" in said
    assert "for comparison with the published one: not measured." in said


def test_the_report_of_another_study_tests_nothing_and_says_once_what_differs():
    said = text(tables(FULL, {"spectral_last": [0.3, 0.1]}, train_images=6000))
    assert said.startswith("**Not comparable: 15 variants have the objectives of a published run at the same places")
    assert "agrees:" not in said and "disagrees" not in said
    found = published.entropy(NUMBERS, tables(FULL, {}, 6000).reset_index(), entropies(1.0))
    assert "in the published direction in 2 of 2 rows, in the opposite one in 0" in " ".join(
        text(tables(FULL, {}, 6000), found).split()
    ).replace("changes in the published", "in the published")
    said = " ".join(text(tables(FULL, {}, 6000), found).split())
    assert "Untrained, the same students change in the published direction in 2 of 2 rows; the change due" in said
    alone = published.entropy(NUMBERS, tables(FULL, {}, 6000).reset_index(), entropies(1.0, epochs=(2, 5)))
    assert "Untrained students were not measured" in text(tables(FULL, {}, 6000), alone)
    assert "**Not applicable: no variant has" in text(tables(FULL, {}, 6000).query("run == ''"))


def test_the_figure_says_of_how_many_its_crosses_are_of_the_same_run():
    curve = published.trajectory(NUMBERS, tables(IMAGENET, {}).reset_index())
    none = pd.DataFrame(columns=["baseline"])
    assert "(6 of 10 of the same run" in drawn._note(2, none, curve)
    assert "(all of the same run" in drawn._note(2, none, curve[curve["comparable"].astype(bool)])
    assert "(none of the same run" in drawn._note(2, none, curve[~curve["comparable"].astype(bool)])
    assert "Crosses" not in drawn._note(2, none, curve.iloc[:0])
