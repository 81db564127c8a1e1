"""Variants against a baseline: their changes, differences, verdicts, checkpoints, and gains during training."""

import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import stats

from distillation_dynamics.errors import StudyError
from distillation_dynamics.questions import gain as trajectory
from distillation_dynamics.questions import variants
from distillation_dynamics.questions.variants import checkpoints
from distillation_dynamics.statistics import terms
from distillation_dynamics.statistics.evidence import Evidence
from losses import FIRST, LAST, SOFT, aligning, cross_entropy, curves_of, hard, runs_of, soft, term, who, with_pairs


@pytest.fixture(autouse=True)
def no_warnings():
    """What is expected to be degenerate must not warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


# --- what differs ---


@pytest.mark.parametrize(
    ("ours", "changes"),
    [
        (SOFT, []),
        (SOFT[::-1], []),
        # The weight of soft must go somewhere; label smoothing need not change with it.
        (
            [cross_entropy(1)],
            ["`cross_entropy` weight 1 instead of weight 0.1, no `soft` term (weight 0.9, temperature 1)"],
        ),
        (
            [cross_entropy(1, label_smoothing=0.0)],
            [
                "`cross_entropy` weight 1 instead of weight 0.1, no `soft` term (weight 0.9, temperature 1)",
                "`cross_entropy` label_smoothing 0 instead of 0.1",
            ],
        ),
        ([cross_entropy(), hard()], ["no `soft` term (weight 0.9, temperature 1), a `hard` term (weight 0.9)"]),
        # Weight that goes nowhere: each is a change.
        ([cross_entropy()], ["no `soft` term (weight 0.9, temperature 1)"]),
        (
            [cross_entropy(0.5), soft(0.9, 4)],
            ["`cross_entropy` weight 0.5 instead of weight 0.1", "`soft` temperature 4 instead of 1"],
        ),
        (
            [cross_entropy(0.5), soft(0.5)],
            ["`cross_entropy` weight 0.5 instead of weight 0.1, `soft` weight 0.5 instead of weight 0.9"],
        ),
        (
            [cross_entropy(0.5), soft(0.4)],
            ["`cross_entropy` weight 0.5 instead of weight 0.1", "`soft` weight 0.4 instead of weight 0.9"],
        ),
        (with_pairs(FIRST), ["a `spectral` term (weight 0.2, pairs 0-0)"]),
        (
            [*with_pairs(FIRST), aligning(LAST, "projector", share=0.08, width=8)],
            [
                "a `spectral` term (weight 0.2, pairs 0-0)",
                "a `projector` term (share 0.08 of the loss, pairs 3-5, width 8)",
            ],
        ),
    ],
)
def test_changes_are_named_each_once(ours, changes):
    assert terms.differences(ours, SOFT) == changes
    assert len(terms.differences(SOFT, ours)) == len(changes)


@pytest.mark.parametrize(
    ("ours", "changes"),
    [
        (with_pairs(FIRST), []),
        (with_pairs(FIRST, weight=1), ["`spectral` weight 1 instead of weight 0.2"]),
        (with_pairs(FIRST, share=0.3), ["`spectral` share 0.3 of the loss instead of weight 0.2"]),
        (with_pairs([*FIRST, *LAST]), ["`spectral` pairs 0-0, 3-5 instead of 0-0"]),
        (
            (*SOFT, term("spectral", 0.2, pairs=FIRST, reduction="sum", dims=2)),
            ["`spectral` dims 2 instead of not set", "`spectral` reduction sum instead of mean"],
        ),
        (SOFT, ["no `spectral` term (weight 0.2, pairs 0-0)"]),
    ],
)
def test_changes_of_a_term_with_pairs_are_its_dose_its_pairs_and_its_options(ours, changes):
    assert terms.differences(ours, with_pairs(FIRST)) == changes


def test_a_term_is_added_alone_where_nothing_else_changes():
    ours = with_pairs(FIRST)
    assert terms.added(ours, SOFT) is ours[-1]
    for other in (SOFT, [*ours, aligning(LAST, "projector")], [cross_entropy(), soft(0.9, 2), ours[-1]]):
        assert terms.added(other, SOFT) is None
    assert terms.added(with_pairs(LAST), with_pairs(FIRST)) is None


def test_shares_are_means_over_seeds_of_epoch_one_and_of_all():
    rows = [("a", 0, 1, 0.1), ("a", 0, 2, 0.3), ("a", 1, 1, 0.2), ("b", 0, 2, 0.5), ("a", 0, 0, 9.0)]
    table = pd.DataFrame(rows, columns=["network", "seed", "epoch", "share"]).assign(term="spectral")
    found = terms.shares(table)
    assert found["a", "spectral"] == pytest.approx({"share_first": 0.15, "share_all": 0.2})
    assert found["b", "spectral"] == pytest.approx({"share_first": np.nan, "share_all": 0.5}, nan_ok=True)
    assert terms.shares(None) == {}


# --- differences and verdicts ---


HARD = {"hard": "soft"}


def compare(runs, baseline="soft", listed=None):
    """The rows of variants.parquet; every variant but the baseline aligns the first pair, unless `listed` says more."""
    against = who(runs, baseline).against
    listed = {baseline: SOFT} | dict.fromkeys(against, with_pairs(FIRST)) | (listed or {})
    gains = dict.fromkeys(against, dict.fromkeys(trajectory.GAIN_COLUMNS, np.nan))
    return variants.compare(runs, gains, {}, listed, against)


def test_only_seeds_that_both_have_are_compared():
    runs = runs_of(soft=[80.0, 81, None, 83], hard=[81.0, None, 99, 85])
    assert variants.differences(runs, HARD).to_dict("list") == {
        "variant": ["hard", "hard"],
        "baseline": ["soft", "soft"],
        "seed": [0, 3],
        "difference": [1.0, 2.0],
    }
    (row,) = compare(runs).to_dict("records")
    assert (row["seeds"], row["mean_difference"]) == (2, 1.5)


def test_every_variant_but_teacher_and_baseline_is_tested_with_the_others():
    steps = np.arange(1, 9) / 10
    runs = runs_of(soft=np.full(8, 80.0), a=80 + steps, b=80 - steps, c=np.full(8, 80.0))
    table = compare(runs).set_index("variant")
    assert list(table.index) == ["a", "b", "c"]
    assert list(table["p_sign_flip"]) == list(table["p_joint"]) == [2 / 2**8, 2 / 2**8, 1]
    assert set(table["smallest_p"]) == {2 / 2**8} and set(table["joint_comparisons"]) == {3}
    assert (
        table.loc["a", "verdict"] == "significantly better (p 0.0078 in a joint sign-flip test of 3 variants, 8 seeds)"
    )
    assert table.loc["b", "verdict"].startswith("significantly worse")
    assert table.loc["c", "verdict"].startswith("no detectable difference (p 1 in a joint sign-flip test of 3 variants")
    assert set(table["changes"]) == {1} and set(table["differs"]) == {"a `spectral` term (weight 0.2, pairs 0-0)"}


def test_two_nearly_equal_arms_have_one_verdict_and_a_size_each():
    """A little above and a little below what would be found: both are not found, and none is called open."""
    draw = np.random.default_rng(0).normal(size=(8, 2))
    found = compare(runs_of(soft=[80.0] * 8, a=80.2 + draw[:, 0], b=80.7 + draw[:, 1]))["verdict"]
    assert all(text.startswith("no detectable difference, at most ") for text in found)
    assert all("is detectable with 80 % power" in text for text in found) and len(set(found)) == 2


def test_the_spread_of_paired_and_unpaired_differences_stand_side_by_side():
    common = np.array([1.0, -1, 2, 0, 3])
    runs = runs_of(soft=80 + common, same=81 + common, turned=80 - common, few=[80.0, 81, None, None, None])
    table = compare(runs).set_index("variant")
    spread = common.std(ddof=1)
    assert table.loc["same", ["sd_paired", "sd_unpaired", "correlation"]].to_list() == pytest.approx(
        [0, np.sqrt(2) * spread, 1]
    )
    assert table.loc["turned", ["sd_paired", "correlation"]].to_list() == pytest.approx([2 * spread, -1])
    assert table.loc["few", "sd_paired"] == pytest.approx(np.std([-1, 2], ddof=1))
    assert np.isnan(table.loc["few", "correlation"])
    assert compare(runs_of(soft=[80.0], hard=[81.0]))[["sd_paired", "sd_unpaired", "correlation"]].isna().all(axis=None)


def test_detectable_effects_are_those_of_each_variants_own_spread():
    draw = np.random.default_rng(0)
    runs = runs_of(soft=np.full(8, 80.0), quiet=80 + 0.1 * draw.normal(size=8), loud=80 + draw.normal(size=8))
    quiet, loud = compare(runs)["detectable_effect"]
    assert loud > 5 * quiet > 0


def test_verdicts_say_what_a_number_of_seeds_cannot_do():
    steps = np.arange(1, 7) / 10
    one, three = compare(runs_of(soft=[80.0], hard=[90.0])), compare(runs_of(soft=[80.0] * 3, hard=[90.0, 91, 92]))
    assert one["verdict"].iloc[0] == "one seed: no interval and no test"
    assert three["verdict"].iloc[0].startswith("3 seeds: no sign-flip test can reach 5 % (smallest p 0.25)")
    six = compare(runs_of(soft=[80.0] * 6, hard=80 + steps, none=80 - steps))
    assert [text.split(" (")[0] for text in six["verdict"]] == ["significantly better", "significantly worse"]
    apart = compare(runs_of(soft=[80.0, None], hard=[None, 81.0]))
    assert apart["verdict"].iloc[0] == "no seed in common: no result"
    # Six seeds, a large mean and a spread that is larger still.
    wide = compare(runs_of(soft=[80.0] * 6, hard=80 + np.array([2.0, 2, 2, 2, 2, -0.5])))
    assert wide["verdict"].iloc[0].startswith("no detectable difference, at most 2.65 points (p 0.062 in a joint")


def test_a_variant_that_lacks_the_seeds_of_the_others_is_left_out_with_a_sentence():
    steps = list(np.arange(1, 9) / 10)
    few = [81.0, 82, 83] + [None] * 5
    table = compare(runs_of(soft=[80.0] * 8, all=80 + np.array(steps), few=few)).set_index("variant")
    assert table.loc["all", "joint_seeds"] == 8
    assert table.loc["few", "verdict"] == (
        "left out of the joint test: 3 seeds, too few in common with the other variants"
    )
    assert table.loc["few", "low"] < 2 < table.loc["few", "high"]


def test_a_baseline_without_others_compares_nothing():
    runs = runs_of(soft=[80.0])
    assert compare(runs).empty and list(compare(runs).columns) == list(variants.VARIANT_COLUMNS)
    assert variants.differences(runs, {}).empty
    curves = curves_of({"soft": [[1, 2]]})
    assert trajectory.trajectory(curves, {}).empty and trajectory.gains(curves, {}) == {}


# --- checkpoints ---


def students(folder, labels, **wrong):
    """Folders with logits: variant -> for each seed the test images it gets wrong."""
    folders = {}
    for variant, seeds in wrong.items():
        for seed, images in enumerate(seeds):
            logits = np.eye(3, dtype=np.float32)[labels]
            logits[images] = np.roll(logits[images], 1, axis=1)
            path = folder / variant / f"seed{seed}"
            path.mkdir(parents=True)
            np.save(path / "logits_test.npy", logits)
            folders[variant, seed] = path
    return folders


def right(folder, labels, **wrong):
    """Which test images each run classifies correctly, read from its logits."""
    return {pair: checkpoints.correct(path, labels) for pair, path in students(folder, labels, **wrong).items()}


def test_mcnemar_counts_the_images_that_only_one_checkpoint_gets_right(tmp_path):
    labels = np.arange(60) % 3
    runs = right(tmp_path, labels, soft=[[0, 1, 2], []], hard=[[2, 3], list(range(30))])
    table = checkpoints.mcnemar(runs, HARD)
    assert table[["seed", "only_variant_right", "only_baseline_right"]].to_numpy().tolist() == [[0, 2, 1], [1, 0, 30]]
    exact = stats.binomtest(1, 3).pvalue
    assert list(table["p"]) == pytest.approx([exact, stats.chi2.sf((30 - 1) ** 2 / 30, 1)])


def test_checkpoints_that_agree_in_every_image_have_p_one(tmp_path):
    labels = np.arange(9) % 3
    runs = right(tmp_path, labels, soft=[[1]], hard=[[1]])
    assert checkpoints.mcnemar(runs, HARD)["p"].iloc[0] == 1 and checkpoints.evaluation_error(runs, "hard", "soft") == 0


def test_the_error_of_a_mean_difference_is_that_of_its_images_which_all_seeds_share():
    generator = np.random.default_rng(0)
    runs = {(name, seed): generator.random(400) < 0.8 for name in ("soft", "hard") for seed in range(3)}
    each = [np.mean([int(runs["hard", seed][i]) - int(runs["soft", seed][i]) for seed in range(3)]) for i in range(400)]
    expected = 100 * np.sqrt(np.mean((each - np.mean(each)) ** 2) / 400)
    assert checkpoints.evaluation_error(runs, "hard", "soft") == pytest.approx(expected, rel=1e-12)
    # Seeds that make the same mistakes are one: more of them do not measure better.
    same = {(name, seed): runs[name, 0] for name, seed in runs}
    one = {pair: values for pair, values in runs.items() if pair[1] == 0}
    assert checkpoints.evaluation_error(same, "hard", "soft") == pytest.approx(
        checkpoints.evaluation_error(one, "hard", "soft")
    )
    assert np.isnan(checkpoints.evaluation_error({("soft", 0): runs["soft", 0]}, "hard", "soft"))


def test_logits_of_another_number_of_images_are_refused(tmp_path):
    folders = students(tmp_path, np.arange(9) % 3, soft=[[1]], hard=[[1]])
    with pytest.raises(StudyError, match=r"logits_test.npy has 9 images and the test split 8"):
        checkpoints.correct(folders["soft", 0], np.arange(8) % 3)


def test_labels_are_those_of_the_test_images_in_the_order_of_the_table(tmp_path):
    table = {"split": ["test", "train", "test", "validation", "test"], "label": [4, 9, 2, 9, 3]}
    pq.write_table(pa.table(table), tmp_path / "splits.parquet")
    assert list(Evidence({}, who(runs_of(soft=[1.0])), splits=tmp_path / "splits.parquet").labels) == [4, 2, 3]


# --- during training ---


def test_gains_are_paired_at_epochs_measured_in_both():
    nan = np.nan
    curves = curves_of({"soft": [[1.0, nan, 5, 6], [2.0, 3, 6, nan]], "hard": [[2.0, 4, 5, 5], [4.0, 5, 5, 9]]})
    table = trajectory.trajectory(curves, HARD)
    assert table[["epoch", "fraction", "seeds", "gain"]].to_numpy().tolist() == [
        [1, 0.25, 2, 1.5],
        [2, 0.5, 1, 2.0],
        [3, 0.75, 2, -0.5],
        [4, 1.0, 1, -1.0],
    ]
    first = table.iloc[0]
    expected = stats.ttest_rel([2.0, 4], [1.0, 2]).confidence_interval()
    assert (first["low"], first["high"]) == pytest.approx(tuple(expected))
    assert np.isnan(table.loc[table["seeds"] == 1, ["low", "high"]]).all(axis=None)


NAN = np.nan


@pytest.mark.parametrize(
    ("last", "first_third", "last_third"),
    [(5, [1], [4, 5]), (6, [1, 2], [5, 6]), (2, [], [2]), (1, [], [1]), (300, [*range(1, 101)], [*range(201, 301)])],
)
def test_thirds_of_training_are_counted_in_whole_epochs_without_the_untrained_model(last, first_third, last_third):
    epochs = np.arange(last + 1)
    assert list(epochs[trajectory.in_third("early", epochs, last)]) == first_third
    assert list(epochs[trajectory.in_third("late", epochs, last)]) == last_third


def gains_of(**gains):
    """Early and late gains of variants whose gains by epoch are given, for each seed."""
    count = {len(seeds) for seeds in gains.values()}.pop()
    epochs = len(next(iter(gains.values()))[0])
    level = {"soft": [[50.0] * epochs] * count}
    curves = curves_of(level | {name: 50 + np.array(seeds, dtype=float) for name, seeds in gains.items()})
    return trajectory.gains(curves, dict.fromkeys(gains, "soft"))


def test_early_and_late_gains_have_an_interval_and_a_joint_test_over_seeds():
    seeds = [[1 + 0.1 * seed, 3, 0, 0, -2, -4 - 0.1 * seed] for seed in range(6)]
    found = gains_of(a=seeds, b=[[0.0] * 6] * 6)
    early, late = np.array([[np.mean(row[:2]), np.mean(row[4:])] for row in seeds]).T
    for third, values in (("early", early), ("late", late)):
        expected = stats.ttest_1samp(values, 0).confidence_interval()
        assert found["a"][f"{third}_gain"] == pytest.approx(values.mean())
        assert (found["a"][f"{third}_low"], found["a"][f"{third}_high"]) == pytest.approx(tuple(expected))
        assert (found["a"][f"{third}_seeds"], found["a"][f"{third}_p"]) == (6, 2 / 2**6)
        assert (found["a"][f"{third}_epochs"], found["a"][f"{third}_all"]) == (2, 2)
        assert (found["b"][f"{third}_gain"], found["b"][f"{third}_p"]) == (0, 1)


def test_a_third_without_a_validated_epoch_is_not_measured_and_no_zero():
    found = gains_of(a=[[NAN, 1, NAN, -1, -2]] * 6)["a"]
    assert np.isnan([found[f"early_{name}"] for name in ("gain", "low", "high", "p")]).all()
    assert (found["early_seeds"], found["early_epochs"], found["early_all"]) == (0, 0, 1)
    assert (found["late_gain"], found["late_epochs"], found["late_all"], found["late_p"]) == (-1.5, 2, 2, 2 / 2**6)


def test_a_seed_is_averaged_over_the_epochs_that_it_has():
    found = gains_of(a=[[1, NAN, 0, 0, 5, 5], [2, 4, 0, 0, NAN, 1]], b=[[NAN] * 6, [1, 1, 1, 1, NAN, NAN]])
    assert (found["a"]["early_gain"], found["a"]["late_gain"]) == ((1 + 3) / 2, (5 + 1) / 2)
    assert (found["b"]["early_seeds"], found["b"]["late_seeds"]) == (1, 0)
    assert np.isnan([found["b"]["early_low"], found["b"]["early_p"], found["b"]["late_gain"]]).all()
