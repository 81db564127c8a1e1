"""Tests of shape, variants and pairs of blocks: literal references, examples worked by hand, and awkward input."""

import itertools
import json
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import stats

from distillation_dynamics.errors import StudyError
from distillation_dynamics.spec.tables import Names
from distillation_dynamics.statistics import alignment, networks, paired, shape, thresholds, valley, variants

GENERATOR = np.random.default_rng(7)


@pytest.fixture(autouse=True)
def no_warnings():
    """What is expected to be degenerate must not warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


# --- shape ---


def literal_valley_p(values):
    """The definition, a loop over interior blocks."""
    blocks = values.shape[1]
    worst = []
    for m in range(1, blocks - 1):
        sides = [stats.ttest_rel(values[:, end], values[:, m], alternative="greater").pvalue for end in (0, blocks - 1)]
        worst.append(max(sides))
    return min(1.0, (blocks - 2) * min(worst))


@pytest.mark.parametrize("blocks", [3, 4, 12])
def test_the_valley_test_is_its_definition(blocks):
    for bend in (-1, 0, 0.3, 2):
        values = GENERATOR.normal(size=(20, blocks)) + bend * np.linspace(-1, 1, blocks) ** 2
        assert valley.valley_p(values) == pytest.approx(literal_valley_p(values), rel=1e-9)


def test_data_sets_tested_together_get_the_p_of_each_alone():
    values = GENERATOR.normal(size=(2, 3, 15, 6))
    together = valley.valley_p(values)
    assert together.shape == (2, 3)
    for place in np.ndindex(2, 3):
        assert together[place] == valley.valley_p(values[place])


@pytest.mark.parametrize(
    ("profile", "p"),
    [
        ([2, 1, 2], 0.0),
        ([2, 2, 2], 1.0),
        ([1, 2, 1], 1.0),
        ([3, 2, 1], 1.0),
        ([2, 1, 1], 1.0),
        ([2, 2 * (1 - 1e-15), 2], 1.0),
        ([0, 0, 0, 0], 1.0),
    ],
)
def test_a_difference_that_is_the_same_in_all_images_is_certain_where_positive_and_nothing_where_not(profile, p):
    assert valley.valley_p(np.tile(np.array(profile, dtype=float), (10, 1))) == p
    # The level of an image cancels.
    level = np.arange(10.0)[:, None] * (np.ptp(profile) > 1e-6)
    assert valley.valley_p(np.array(profile, dtype=float) + level) == p


def test_without_an_interior_block_or_a_second_image_there_is_no_p():
    for size in ((10, 2), (10, 1), (1, 5)):
        assert np.isnan(valley.valley_p(GENERATOR.normal(size=size)))
    assert np.isnan(valley.valley_p(GENERATOR.normal(size=(4, 10, 2)))).all()


def test_a_huge_outlier_takes_the_evidence_away_and_does_not_make_any():
    values = np.array([1.0, 0.0, 1.0]) + 0.1 * GENERATOR.normal(size=(30, 3))
    assert valley.valley_p(values) < 1e-10
    values[0, 1] = 1e12
    assert valley.valley_p(values) > 0.5


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ([4, 0, 2], 0.5),
        ([4, 0, 4], 1.0),
        ([0, 1, 2, 4], -0.25),
        ([4, 3, 1, 0], -0.25),
        ([0, 3, 4, 0], -0.75),
        ([1, 5, 0, 3], 0.2),
        ([2, 2, 2], 0.0),
        ([0, 0, 0, 0], 0.0),
    ],
)
def test_depth_of_curves_worked_by_hand(profile, expected):
    assert valley.depth(np.array(profile)) == pytest.approx(expected)


def test_depth_does_not_change_with_the_unit_and_level_of_a_metric():
    profiles = GENERATOR.normal(size=(50, 9))
    np.testing.assert_allclose(valley.depth(1e3 * profiles + 5), valley.depth(profiles), rtol=1e-9)


def test_depth_with_two_blocks_an_end_keeps_them_out_of_the_interior():
    # Ends (4 + 2) / 2 and (1 + 5) / 2, interior 2 alone, range 5 - 1.
    assert valley.depth(np.array([4.0, 2, 2, 1, 5]), ends=2) == pytest.approx(0.25)
    assert np.isnan(valley.depth(np.ones(4), ends=2))
    assert np.isnan(valley.depth(np.ones(2)))


def test_the_interval_of_the_depth_is_scipys_bca_of_whole_images():
    values = np.array([1.0, 0.2, 0, 0.5]) + 0.5 * GENERATOR.normal(size=(40, 4))

    def statistic(indices):
        return valley.depth(values[indices].mean(axis=0))

    expected = stats.bootstrap(
        (np.arange(40),),
        statistic,
        vectorized=False,
        n_resamples=valley.RESAMPLES,
        batch=500,
        method="BCa",
        rng=np.random.default_rng(valley.SEED),
    ).confidence_interval
    assert valley.Resampled(values).depth_interval() == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_the_interval_holds_the_depth_and_shrinks_with_the_number_of_images():
    values = np.array([1.0, 0, 0.6]) + 0.3 * GENERATOR.normal(size=(900, 3))
    widths = []
    for images in (30, 900):
        low, high = valley.Resampled(values[:images]).depth_interval()
        assert low < valley.depth(values[:images].mean(axis=0)) < high
        widths.append(high - low)
    assert widths[1] == pytest.approx(widths[0] / np.sqrt(30), rel=0.5)


@pytest.mark.parametrize("values", [np.ones((10, 4)), np.ones((1, 4)), np.ones((10, 2)), np.tile([2.0, 0, 1], (9, 1))])
def test_a_degenerate_interval_is_nan_without_a_warning(values):
    assert np.isnan(valley.Resampled(values).depth_interval()).all()


def test_many_images_are_resampled_in_groups_with_the_same_mean_and_spread():
    values = np.array([1.0, 0, 0.6]) + 0.5 * GENERATOR.normal(size=(2501, 3))
    values = values[np.argsort(values[:, 1])]  # images in an order that is not random: groups must not care
    grouped = valley.Resampled(values)
    assert grouped.groups == valley.GROUPS
    np.testing.assert_allclose(grouped.profiles(np.arange(1000)[None])[0], values.mean(axis=0), rtol=1e-12)
    indices = np.random.default_rng(1).integers(1000, size=(1000, 1000))
    spread = grouped.profiles(indices).std(axis=0)
    np.testing.assert_allclose(spread, values.std(axis=0) / np.sqrt(2501), rtol=0.15)


def test_the_share_of_each_block_as_minimum_follows_the_images():
    values = np.zeros((200, 4))
    values[:, 0], values[:, 3] = 5, 5
    values[:, 1:3] = GENERATOR.normal(size=(200, 2))
    values[:, 1] += values[:, 2].mean() - values[:, 1].mean()  # equal means: either is lowest half of the time
    shares = valley.Resampled(values).minimum_shares()
    assert shares.sum() == pytest.approx(1) and shares[0] == shares[3] == 0
    assert shares[1] == pytest.approx(0.5, abs=0.06)


def test_the_minimum_may_lie_at_an_end():
    row, shares = shape.measure(np.arange(5.0) + GENERATOR.normal(size=(50, 5)) * 0.01)
    assert (row["minimum_block"], row["minimum_low"], row["minimum_high"], row["minimum_share"]) == (0, 0, 0, 1.0)
    assert list(shares) == [1, 0, 0, 0, 0]


def best_fit(profile, shapes):
    """Least squares over curves with the given signs of steps, by brute force: pool blocks until the signs hold."""
    best = np.inf
    for signs in shapes:
        # Every partition into runs of equal values; the best feasible one is the isotonic fit.
        for cuts in itertools.product([False, True], repeat=len(profile) - 1):
            labels = np.concatenate([[0], np.cumsum(cuts)])
            fit = np.array([profile[labels == label].mean() for label in labels])
            if all(sign * step >= -1e-12 for sign, step in zip(signs, np.diff(fit), strict=True)):
                best = min(best, np.sum((profile - fit) ** 2))
    return 1 - best / np.sum((profile - profile.mean()) ** 2)


def test_the_fits_are_the_best_valley_and_the_best_monotone_curve():
    for _ in range(10):
        profile = GENERATOR.normal(size=6)
        monotone = [[1] * 5, [-1] * 5]
        valleys = [[-1] * k + [1] * (5 - k) for k in range(6)]
        assert valley.fits(profile) == pytest.approx((best_fit(profile, valleys), best_fit(profile, monotone)))


def test_fits_of_known_curves():
    # The best monotone curve is 3, 1, 1, 1: residuals 2 of a total of 5.
    assert valley.fits(np.array([3.0, 1, 0, 2])) == pytest.approx((1, 0.6))
    assert valley.fits(np.array([0.0, 1, 2])) == pytest.approx((1, 1))
    assert np.isnan(valley.fits(np.full(4, 0.1))).all()


def test_adjusted_p_values_are_benjamini_and_hochbergs_and_leave_nan_out_of_the_family():
    # By hand: sorted .01 .02 .03 .5 times 4/rank = .04 .04 .04 .5.
    np.testing.assert_allclose(
        valley.adjusted(np.array([0.03, np.nan, 0.01, 0.5, 0.02])), [0.04, np.nan, 0.04, 0.5, 0.04]
    )
    assert np.isnan(valley.adjusted(np.array([np.nan]))).all()


def test_the_published_reading_needs_evidence_and_depth():
    p, depths = np.array([0.05, 0.05, 0.06, np.nan]), np.array([0.10, 0.09, 0.9, np.nan])
    assert list(valley.published(p, depths)) == ["U-shaped", "not U-shaped", "not U-shaped", ""]


@pytest.mark.parametrize(
    ("p", "p_skewed", "p_none", "blocks", "flat", "verdict"),
    [
        (0.05, 0.05, 1, 5, False, "U-shaped"),
        (0.06, 0.06, 0.05, 5, False, "not U-shaped"),
        (0.06, 0.06, 0.06, 5, False, "undecided"),
        (1, 0.05, 0.01, 5, False, "undecided"),
        (0.001, 0.001, 1, 5, True, "flat"),
        (np.nan, np.nan, np.nan, 2, False, "no interior block"),
        (np.nan, np.nan, np.nan, 5, False, "one image"),
    ],
)
def test_a_verdict_needs_a_test_in_its_favour(p, p_skewed, p_none, blocks, flat, verdict):
    found = valley.verdicts(*(np.array([value]) for value in (p, p_skewed, p_none, blocks, flat)))
    assert list(found) == [verdict]


def scalars(path, members, **metrics):
    """Write a scalars table; members are (network, seed, epoch, probe), metrics name -> values [images, blocks]."""
    parts = []
    for network, seed, epoch, probe in members:
        images, blocks = next(iter(metrics.values())).shape
        key = {"network": network, "seed": seed, "epoch": epoch, "probe": probe}
        part = pd.DataFrame(
            {"block": np.repeat(np.arange(blocks), images), "image": np.tile(np.arange(images), blocks)}
        )
        for name, values in metrics.items():
            part[name] = (values + (100 * epoch if probe == "balanced" else 1e6)).T.ravel()
        parts.append(part.assign(**key))
    # Rows in no order: a reader must not rely on one.
    pd.concat(parts).sample(frac=1, random_state=0).to_parquet(path)
    return path


def test_the_last_epoch_of_each_network_is_read_on_all_images_but_the_published(tmp_path):
    values = np.array([5.0, 1, 1, 4]) + GENERATOR.normal(size=(12, 4)) * 0.1
    keys = [("soft", 1, epoch, probe) for epoch in (0, 3, 9) for probe in ("balanced", "published")]
    keys += [("vit_untrained", -1, 0, "balanced"), ("vit_untrained", -1, 0, "textures")]
    path = scalars(tmp_path / "s.parquet", keys, rms=values)
    assert sorted(shape.networks(path)) == [
        ("soft", 1, 9, "balanced"),
        ("vit_untrained", -1, 0, "balanced"),
        ("vit_untrained", -1, 0, "textures"),
    ]
    ((metric, read),) = shape.read_values(path, "soft", 1, 9, "balanced")
    assert metric == "rms"
    np.testing.assert_array_equal(read, values + 900)
    table, minimum = shape.tables([path])
    assert list(table["probe"]) == ["balanced", "balanced", "textures"] and set(minimum["probe"]) == set(table["probe"])


def test_the_tables_have_a_row_for_every_metric_with_values_and_a_family_of_p_values_a_role(tmp_path):
    # `scalars` adds 100: a fall and a rise by some 20 %.
    u = np.array([25.0, 5, 0, 5, 20]) + GENERATOR.normal(size=(60, 5))
    up = np.arange(5.0) + GENERATOR.normal(size=(60, 5))
    broken = u.copy()
    broken[3, 2] = np.nan
    broken[7, 0] = np.inf
    path = scalars(
        tmp_path / "s.parquet",
        [("soft", 0, 1, "balanced"), ("hard", 0, 1, "balanced")],
        **{"intensity": u, "rms": up, "entropy": np.full((60, 5), np.nan), "intensity_permuted": broken, "other": up},
    )
    table, minimum = shape.tables([path])
    assert list(table.columns) == list(shape.SHAPE_COLUMNS) and list(minimum.columns) == list(shape.MINIMUM_COLUMNS)
    by = table[table["network"] == "soft"].set_index("metric")
    assert list(by.index) == ["intensity", "rms", "intensity_permuted"]
    assert list(by["role"]) == ["paper", "scale", "null"]
    assert list(by["verdict"]) == ["U-shaped", "not U-shaped", "U-shaped"]
    assert list(by["images"]) == [60, 60, 58] and list(by["images_left_out"]) == [0, 0, 2]
    for _, family in table.groupby("role"):
        # The tests of a null and of scale do not count among those of the claim.
        np.testing.assert_allclose(family["p_adjusted"], stats.false_discovery_control(family["p"]))
    whole = np.delete(broken, [3, 7], axis=0)
    assert by.loc["intensity_permuted", "p_any"] == pytest.approx(literal_valley_p(whole), rel=1e-6)
    assert by.loc["intensity_permuted", "depth"] == pytest.approx(valley.depth(whole.mean(axis=0)))
    assert minimum.groupby(["network", "metric"])["share"].sum().to_numpy() == pytest.approx(1)
    assert len(minimum) == 5 * len(table)


def test_an_image_without_one_of_the_blocks_is_refused_by_name(tmp_path):
    path = scalars(tmp_path / "s.parquet", [("soft", 0, 1, "balanced")], rms=GENERATOR.normal(size=(6, 3)))
    table = pq.read_table(path)
    pq.write_table(table.slice(1), path)
    with pytest.raises(
        StudyError, match="soft, seed 0, epoch 1, probe balanced does not hold every image once in every block"
    ):
        shape.tables([path])


def test_missing_and_unreadable_scalars_are_refused_by_name_and_those_of_other_metrics_have_no_row(tmp_path):
    with pytest.raises(StudyError, match=r"gone.parquet does not exist"):
        shape.tables([tmp_path / "gone.parquet"])
    (tmp_path / "torn.parquet").write_bytes(b"PAR1")
    with pytest.raises(StudyError, match=r"torn.parquet is not readable Parquet"):
        shape.tables([tmp_path / "torn.parquet"])
    path = scalars(tmp_path / "s.parquet", [("soft", 0, 1, "balanced")], other=np.ones((6, 3)))
    for table, columns in zip(shape.tables([path]), (shape.SHAPE_COLUMNS, shape.MINIMUM_COLUMNS), strict=True):
        assert table.empty and list(table.columns) == list(columns)


@pytest.mark.parametrize(
    ("profile", "expected"), [([2.0, 2, 2], 0), ([0.0, 0, 0], 0), ([1.0, 2, 4], 0.75), ([-4.0, -2, -4], 0.5)]
)
def test_the_range_of_a_curve_is_read_relative_to_its_size(profile, expected):
    assert shape.relative_range(np.array(profile)) == expected


def test_an_untrained_network_of_identities_is_flat_and_a_real_curve_is_not():
    identity = 3 + 1e-6 * GENERATOR.normal(size=24)
    assert shape.relative_range(identity) < thresholds.FLAT < shape.relative_range(3 + 0.01 * np.arange(24))


# --- variants ---


def literal_sign_flip(differences):
    """All 2^n flips, one after another."""
    observed = abs(sum(differences))
    flips = itertools.product([-1, 1], repeat=len(differences))
    return np.mean([abs(sum(s * d for s, d in zip(f, differences, strict=True))) >= observed - 1e-9 for f in flips])


@pytest.mark.parametrize("seeds", [2, 3, 5, 6, 8])
def test_the_sign_flip_test_lists_all_flips(seeds):
    for shift in (0, 0.5, 5):
        differences = np.round(GENERATOR.normal(shift, 1, size=seeds), 2)
        assert paired.sign_flip_p(differences) == pytest.approx(literal_sign_flip(differences))


@pytest.mark.parametrize(("seeds", "smallest"), [(2, 0.5), (3, 0.25), (5, 0.0625), (6, 0.03125), (8, 0.0078125)])
def test_the_smallest_sign_flip_p_is_reached_when_all_differences_agree(seeds, smallest):
    differences = np.arange(1, seeds + 1) / 10
    assert paired.sign_flip_p(differences) == paired.sign_flip_p(-differences) == smallest
    assert paired.paired(differences, np.zeros(seeds))["smallest_p"] == smallest


def test_sums_that_are_equal_on_paper_count_as_equal():
    # Accuracies of 10,000 images: their differences are off by rounding, which would break ties by chance.
    ours = np.array([79.7, 79.66, 77.49, 79.14, 79.81, 81.52])
    theirs = np.array([79.4, 78.96, 77.29, 78.94, 80.71, 81.12])
    assert paired.sign_flip_p(ours - theirs) == literal_sign_flip([3, 7, 2, 2, -9, 4]) == 0.59375
    assert paired.sign_flip_p(np.array([0.1, 0.2, -0.3])) == 1
    assert paired.sign_flip_p(np.array([0.1 + 0.2, -0.3])) == 1


def test_no_difference_at_all_is_no_evidence():
    found = paired.paired(np.full(7, 80.0), np.full(7, 80.0))
    assert (found["seeds"], found["mean_difference"], found["p_sign_flip"], found["detectable_effect"]) == (7, 0, 1, 0)
    assert np.isnan([found["low"], found["high"], found["p_t"]]).all()


def test_the_same_difference_in_all_seeds_gets_no_infinite_t():
    found = paired.paired(np.array([80.1, 81.1]), np.array([80.0, 81.0]))
    assert np.isnan([found["low"], found["high"], found["p_t"]]).all() and found["p_sign_flip"] == 0.5


def test_one_seed_and_no_seed_have_neither_test_nor_interval():
    for count in (0, 1):
        found = paired.paired(np.full(count, 80.5), np.full(count, 80.0))
        assert found["seeds"] == count
        assert np.isnan([found[name] for name in ("low", "high", "p_t", "p_sign_flip", "detectable_effect")]).all()
    assert np.isnan(paired.paired(np.array([]), np.array([]))["mean_difference"])


def test_the_interval_is_students_on_paired_differences():
    ours, theirs = np.array([82.0, 83, 87]), np.array([80.0, 81, 83])
    found = paired.paired(ours, theirs)
    half = 4.302652729911275 * np.std([2, 2, 4], ddof=1) / np.sqrt(3)
    assert (found["low"], found["high"]) == pytest.approx((8 / 3 - half, 8 / 3 + half))
    assert found["p_t"] == pytest.approx(stats.ttest_1samp([2, 2, 4], 0).pvalue)


def test_the_detectable_effect_is_found_in_four_of_five_experiments():
    differences = np.array([-1.0, 0, 1, 2, -2, 0, 1, -1])
    effect, spread = paired.detectable(differences), differences.std(ddof=1)
    simulated = np.random.default_rng(3).normal(effect, spread, size=(20_000, len(differences)))
    assert np.mean(stats.ttest_1samp(simulated, 0, axis=1).pvalue <= 0.05) == pytest.approx(0.8, abs=0.015)


def test_holm_by_hand_with_an_untestable_comparison_counted():
    # Sorted .01 .02 .04 and the untestable 1: times 4, 3, 2, 1, never falling.
    np.testing.assert_allclose(paired.holm([0.04, 0.01, np.nan, 0.02]), [0.08, 0.04, np.nan, 0.06])
    assert len(paired.holm([])) == 0


@pytest.mark.parametrize(("comparisons", "seeds"), [(1, 6), (2, 7), (3, 7), (4, 8), (9, 9), (10, 9)])
def test_the_seeds_that_holm_needs_are_the_fewest_that_can_reach_five_percent(comparisons, seeds):
    assert paired.seeds_needed(comparisons) == seeds
    assert comparisons * 2 / 2**seeds <= 0.05 < comparisons * 2 / 2 ** (seeds - 1)


def runs_of(**top1):
    """A table of runs: variant -> accuracies of seeds 0, 1, ... (None: no run)."""
    rows = [{"network": "cait", "seed": -1, "test_top1": 90.0}]
    for variant, values in top1.items():
        rows += [
            {"network": variant, "seed": seed, "test_top1": value}
            for seed, value in enumerate(values)
            if value is not None
        ]
    return pd.DataFrame(rows)


NOTHING = pd.DataFrame(columns=["variant", "epoch", "fraction", "gain"])
NO_CHECKPOINTS = pd.DataFrame(columns=list(variants.MCNEMAR_COLUMNS))


def who(runs, baseline="soft", teacher="cait"):
    """Everyone in a table of runs but the network cait is a variant."""
    students = tuple(name for name in dict.fromkeys(runs["network"]) if name != "cait")
    return Names(("cait",), {}, teacher, students, baseline)


def compare(runs, baseline="soft"):
    return variants.compare(runs, NOTHING, NO_CHECKPOINTS, variants.others(runs, who(runs, baseline)), baseline)


def test_only_seeds_that_both_have_are_compared():
    runs = runs_of(soft=[80.0, 81, None, 83], hard=[81.0, None, 99, 85])
    assert variants.differences(runs, ["hard"], "soft").to_dict("list") == {
        "variant": ["hard", "hard"],
        "baseline": ["soft", "soft"],
        "seed": [0, 3],
        "difference": [1.0, 2.0],
    }
    (row,) = compare(runs).to_dict("records")
    assert (row["seeds"], row["mean_difference"]) == (2, 1.5)


def test_every_variant_but_teacher_and_baseline_is_compared_and_holm_counts_them():
    steps = np.arange(1, 9) / 10
    runs = runs_of(soft=np.full(8, 80.0), a=80 + steps, b=80 - steps, c=np.full(8, 80.0))
    table = compare(runs).set_index("variant")
    assert list(table.index) == ["a", "b", "c"]
    assert list(table["p_sign_flip"]) == [2 / 2**8, 2 / 2**8, 1]
    assert list(table["p_holm"]) == [3 * 2 / 2**8, 3 * 2 / 2**8, 1]
    assert set(table["smallest_p_holm"]) == {3 * 2 / 2**8}
    assert table.loc["a", "verdict"].startswith("significantly better")
    assert table.loc["b", "verdict"].startswith("significantly worse")
    assert table.loc["c", "verdict"].startswith("no difference found")


def test_verdicts_say_what_a_number_of_seeds_cannot_do():
    steps = np.arange(1, 7) / 10
    one, three = compare(runs_of(soft=[80.0], hard=[90.0])), compare(runs_of(soft=[80.0] * 3, hard=[90.0, 91, 92]))
    assert one["verdict"].iloc[0] == "one seed: no interval and no test"
    assert three["verdict"].iloc[0].startswith("3 seeds: no sign-flip test can reach 5 % (smallest p 0.25)")
    six = compare(runs_of(soft=[80.0] * 6, hard=80 + steps, none=80 - steps))
    assert set(six["verdict"]) == {"6 seeds: Holm over 2 comparisons needs 7 seeds to reach 5 %; see the interval"}
    alone = compare(runs_of(soft=[80.0] * 6, hard=80 + steps))
    assert alone["verdict"].iloc[0] == "significantly better (sign-flip p 0.031 after Holm, 6 seeds)"
    apart = compare(runs_of(soft=[80.0, None], hard=[None, 81.0]))
    assert apart["verdict"].iloc[0] == "no seed in common: nothing can be said"


def test_a_baseline_without_runs_is_refused_and_one_without_others_compares_nothing():
    runs = runs_of(soft=[80.0])
    with pytest.raises(StudyError, match=r"statistics.baseline: no run of a variant 'sotf'; there are soft"):
        variants.others(runs, who(runs, "sotf"))
    assert variants.others(runs, Names(("cait",), {}, None, (), None)) == []
    assert compare(runs).empty and list(compare(runs).columns) == list(variants.VARIANT_COLUMNS)
    assert variants.differences(runs, [], "soft").empty
    assert variants.trajectory(curves_of({"soft": [[1, 2]]}), [], "soft").empty


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


def test_mcnemar_counts_the_images_that_only_one_checkpoint_gets_right(tmp_path):
    labels = np.arange(60) % 3
    folders = students(tmp_path, labels, soft=[[0, 1, 2], []], hard=[[2, 3], list(range(30))])
    table = variants.mcnemar(folders, labels, ["hard"], "soft")
    assert table[["seed", "only_variant_right", "only_baseline_right"]].to_numpy().tolist() == [[0, 2, 1], [1, 0, 30]]
    exact = stats.binomtest(1, 3).pvalue
    assert list(table["p"]) == pytest.approx([exact, stats.chi2.sf((30 - 1) ** 2 / 30, 1)])


def test_checkpoints_that_agree_in_every_image_have_p_one(tmp_path):
    labels = np.arange(9) % 3
    table = variants.mcnemar(students(tmp_path, labels, soft=[[1]], hard=[[1]]), labels, ["hard"], "soft")
    assert table["p"].iloc[0] == 1 and variants.evaluation_error(table) == 0


def test_the_error_of_a_difference_is_that_of_its_paired_images():
    rows = pd.DataFrame({"only_variant_right": [30], "only_baseline_right": [10], "images": [400]})
    each = np.repeat([1.0, -1.0, 0.0], [30, 10, 360])
    assert variants.evaluation_error(rows) == pytest.approx(100 * each.std() / np.sqrt(400))
    assert np.isnan(variants.evaluation_error(rows[:0]))


def test_logits_of_another_number_of_images_are_refused(tmp_path):
    folders = students(tmp_path, np.arange(9) % 3, soft=[[1]], hard=[[1]])
    with pytest.raises(StudyError, match=r"logits_test.npy has 9 images and the test split 8"):
        variants.mcnemar(folders, np.arange(8) % 3, ["hard"], "soft")


def test_labels_are_those_of_the_test_images_in_the_order_of_the_table(tmp_path):
    table = {"split": ["test", "train", "test", "validation", "test"], "label": [4, 9, 2, 9, 3]}
    pq.write_table(pa.table(table), tmp_path / "splits.parquet")
    assert list(variants.labels_of(tmp_path / "splits.parquet")) == [4, 2, 3]


def curves_of(accuracy):
    """Training curves: variant -> for each seed the validation top-1 of epochs 1, 2, ... (NaN: not measured)."""
    rows = [{"network": "cait", "seed": -1, "epoch": 99, "validation_top1": 90.0}]
    for variant, seeds in accuracy.items():
        for seed, values in enumerate(seeds):
            for epoch, value in enumerate(values, start=1):
                rows.append({"network": variant, "seed": seed, "epoch": epoch, "validation_top1": value})
    return pd.DataFrame(rows)


def test_gains_are_paired_at_epochs_measured_in_both():
    nan = np.nan
    curves = curves_of({"soft": [[1.0, nan, 5, 6], [2.0, 3, 6, nan]], "hard": [[2.0, 4, 5, 5], [4.0, 5, 5, 9]]})
    table = variants.trajectory(curves, ["hard"], "soft")
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


@pytest.mark.parametrize(
    ("gain", "turns_at"),
    [
        ([1, 2, -1, -2], 0.75),
        ([1, -2, 1, -2], 1.0),
        ([-1, -2, -1, -2], np.nan),
        ([1, 2, 3, 4], np.nan),
        ([-1, 2, -3, 4], np.nan),
        ([0, 0, -1, -1], np.nan),
        ([1, 0, -1, -1], 0.75),
    ],
)
def test_a_gain_turns_where_it_stays_negative_after_having_been_positive(gain, turns_at):
    found = variants.turn(np.arange(1, 5) / 4, np.array(gain))
    assert found["turns_at"] == pytest.approx(turns_at, nan_ok=True)


def test_early_and_late_gains_are_means_over_thirds_without_the_untrained_model():
    found = variants.turn(np.arange(7) / 6, np.array([100.0, 1, 3, 0, 0, -2, -4]))
    assert (found["early_gain"], found["late_gain"]) == (2, -3)
    assert all(np.isnan(value) for value in variants.turn(np.array([0.0]), np.array([3.0])).values())


# --- alignment ---


def cka_of(network, values, epoch=5, seed=0, tokens=True, images=200):
    """A CKA table of one seed, values [student blocks, teacher blocks]."""
    rows = []
    for (student, teacher), value in np.ndenumerate(np.asarray(values)):
        key = {"network": network, "seed": seed, "epoch": epoch, "block": student}
        key |= {"other": "cait", "other_seed": -1, "other_epoch": -1, "other_block": teacher}
        measured = {"cka_images": value / 2, "cka_tokens": value if tokens else np.nan}
        rows.append({**key, **measured, "images": images, "tokens_per_image": 16})
    return pd.DataFrame(rows)


def mismatch_of(cka, **columns):
    """A table of mismatch of the same pairs, the same for all of them but in `columns`."""
    keys = cka[["network", "seed", "epoch", "block", "other", "other_block"]]
    same = {name: 0.5 for name in alignment.MEASURES.values()}
    return keys.assign(**same | columns)


def alignment_table(runs, pairs, baseline, cka=None):
    """The rows of all pairs of 3 x 4 blocks, unless `cka` is given."""
    cka = cka_of(baseline, np.zeros((3, 4))) if cka is None else cka
    compared = variants.others(runs, who(runs, baseline))
    return alignment.table(runs, pairs, compared, baseline, "cait", cka, mismatch_of(cka))


def test_similarity_is_that_of_the_baselines_last_epoch_and_a_mean_over_seeds():
    cka = pd.concat(
        [
            cka_of("soft", [[0.4, 0.6]]),
            cka_of("soft", [[0.6, 0.8]], seed=1, images=100),
            cka_of("soft", [[9, 9]], epoch=2),
            cka_of("hard", [[7, 7]]),
            cka_of("soft", [[5, 5]]).assign(other="vit"),
        ]
    )
    last = {"other_rank_95": 5 + 2 * cka["other_block"], "rank_95": np.where(cka["epoch"] == 5, 3, 4)}
    mismatch = mismatch_of(cka, **last)
    runs = runs_of(soft=[80.0], hard=[81.0])
    table = alignment.table(runs, {}, ["hard"], "soft", "cait", cka, mismatch)
    without = alignment.table(runs, {}, ["hard"], "soft", "cait", cka, None)
    assert without[list(alignment.MEASURES)].isna().all(axis=None) and list(without["cka"]) == list(table["cka"])
    assert list(table["cka"]) == pytest.approx([0.5, 0.7])
    assert list(table["cka_kind"]) == ["tokens"] * 2 and list(table["cka_rows"]) == [1600] * 2
    assert list(table["teacher_rank_reduced"]) == [5, 7] and list(table["student_rank"]) == [3, 3]
    assert list(table["student_bandwidth"]) == [0.5, 0.5]
    assert set(table["recommendation"]) == {"not enough evidence"} and list(table["seeds"]) == [0, 0]
    assert list(table.columns) == list(alignment.ALIGNMENT_COLUMNS)


def test_images_stand_in_where_tokens_cannot_be_compared():
    table = alignment_table(runs_of(soft=[80.0]), {}, "soft", cka_of("soft", [[0.4]], tokens=False))
    assert table[["cka", "cka_kind", "cka_rows"]].iloc[0].to_list() == [0.2, "images", 200]


def test_where_all_rows_are_alike_there_is_no_cka():
    table = alignment_table(runs_of(soft=[80.0]), {}, "soft", cka_of("soft", [[np.nan, 0.4]]))
    assert table["cka"].isna().tolist() == [True, False] and list(table["cka_kind"]) == ["", "tokens"]
    assert list(table["student_rank"]) == [0.5, 0.5]


def test_an_effect_rests_on_the_comparedthat_align_a_pair_alone_or_on_all_that_align_it():
    pairs = {"soft": [[2, 2]], "both": [[0, 0], [1, 3]], "last": [[1, 3]]}
    table = alignment_table(runs_of(soft=[80.0], both=[80.4], last=[81.0]), pairs, "soft")
    assert len(table) == 12
    table = table[table["variants"] != ""]
    assert table[["student_block", "teacher_block"]].to_numpy().tolist() == [[0, 0], [1, 3]]
    assert list(table["variants"]) == ["both (with 1-3)", "last"]
    assert list(table["alone"]) == [False, True]
    assert list(table["effect"]) == pytest.approx([0.4, 1.0])
    assert "never aligned alone" in table["evidence"].iloc[0]


def effects_of(differences, pairs=None, **more):
    """The one tried pair's row for variant minus baseline over seeds."""
    top1 = {"soft": [80.0] * len(differences), "last": 80 + np.asarray(differences), **more}
    table = alignment_table(runs_of(**top1), pairs or {"last": [[1, 3]]}, "soft")
    return table[table["variants"] != ""].iloc[-1]


def test_a_recommendation_needs_six_seeds_and_a_test():
    steps = np.arange(1, 7) / 10
    assert effects_of(steps)["recommendation"] == "align"
    assert effects_of(-steps)["recommendation"] == "do not align"
    assert effects_of(10 * steps[:5])["recommendation"] == "not enough evidence"
    assert "no test can reach 5 % with fewer than 6 seeds" in effects_of(steps[:5])["evidence"]


def test_no_effect_found_needs_seeds_that_could_have_found_one():
    noise = np.array([0.1, -0.1, 0.2, -0.2, 0.05, 0.0])
    assert effects_of(noise)["recommendation"] == "no effect found"
    assert effects_of(noise[:5])["recommendation"] == "not enough evidence"
    # A second comparison: six seeds cannot reach 5 % after Holm.
    crowded = effects_of(noise, {"last": [[1, 3]], "first": [[0, 0]]}, first=[80.0] * 6)
    assert crowded["recommendation"] == "not enough evidence"
    assert "Holm over 2 comparisons needs 7 seeds" in crowded["evidence"]
    assert effects_of(np.zeros(6))["recommendation"] == "no effect found"


def test_pairs_of_the_same_comparedare_one_comparison():
    table = alignment_table(
        runs_of(soft=[80.0] * 6, last2=80 + np.arange(1, 7) / 10), {"last2": [[0, 2], [1, 3]]}, "soft"
    )
    table = table[table["variants"] != ""]
    assert list(table["p_holm"]) == [0.03125] * 2 and list(table["recommendation"]) == ["align"] * 2


def test_a_seed_that_one_of_a_pairs_comparedlacks_is_left_out():
    row = effects_of([1.0, 2, 3], {"last": [[1, 3]], "other": [[1, 3]]}, other=[81.0, None, 85.0])
    assert row["seeds"] == 2 and row["effect"] == pytest.approx((1 + 1 + 3 + 5) / 4)
    assert row["evidence"].startswith("last +2.00, other +3.00: +2.50 points over 2 seeds")
    apart = runs_of(soft=[80.0, 80.0], last=[81.0, None], both=[None, 81.0])
    table = alignment_table(apart, {"last": [[1, 3]], "both": [[1, 3]]}, "soft")
    (row,) = table[table["variants"] != ""].to_dict("records")
    assert (row["seeds"], row["recommendation"]) == (0, "not enough evidence") and np.isnan(row["effect"])
    assert row["evidence"] == "no seed that all of these variants and the baseline have"


def test_pairs_may_come_as_json():
    pairs = json.loads('{"last": [[1, 3]]}')
    assert effects_of([0.1, 0.2], pairs)["variants"] == "last"


# --- networks beside each other ---


def literal_best_match(picture, largest):
    """The definition, a loop over the blocks of both."""
    pick = max if largest else min
    sides = []
    for lines in (picture.tolist(), picture.T.tolist()):
        known = [[value for value in line if not np.isnan(value)] for line in lines]
        best = [pick(line) for line in known if line]
        sides.append(sum(best) / len(best) if best else np.nan)
    return sum(sides) / 2


@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize("size", [(1, 1), (1, 5), (4, 3), (24, 12)])
def test_the_best_match_is_its_definition_and_does_not_depend_on_the_side(size, largest):
    picture = GENERATOR.normal(size=size)
    if picture.size > 4:
        picture[0], picture[-1, 0] = np.nan, np.nan
    if size[0] == 1 and picture.size > 1:
        picture[0, 1:] = GENERATOR.normal(size=size[1] - 1)
    found = networks.best_match(picture, largest)
    assert found == pytest.approx(literal_best_match(picture, largest))
    assert networks.best_match(picture.T, largest) == pytest.approx(found)


def test_without_any_value_there_is_no_best_match():
    assert np.isnan(networks.best_match(np.full((3, 4), np.nan)))


NETWORKS = Names(
    ("vit", "vit2", "cait"), {"vit": "vit_untrained", "cait": "cait_permuted"}, None, (), None, (("vit", "vit2"),)
)


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        ("vit", "cait", "networks"),
        ("vit2", "vit", "seeds"),
        ("cait_permuted", "vit_untrained", "controls"),
        ("cait_permuted", "cait", "own control"),
        ("vit", "cait_permuted", None),
    ],
)
def test_pairs_are_told_apart_by_what_they_answer(first, second, kind):
    assert networks.kind_of(first, second, NETWORKS) == kind


def pair_table(first, second, values, epoch=-1, **columns):
    """A table of pairs of blocks, values [L1, L2] in every column."""
    rows = []
    for (block, other), value in np.ndenumerate(np.asarray(values, dtype=float)):
        key = {"network": first, "seed": -1, "epoch": epoch, "block": block}
        key |= {"other": second, "other_seed": -1, "other_epoch": -1, "other_block": other, "images": 300}
        rows.append(key | {name: value if of is None else of for name, of in columns.items()})
    return pd.DataFrame(rows)


def cka_pair(first, second, values, tokens=None, epoch=-1):
    return pair_table(first, second, values, epoch, cka_images=None, cka_tokens=tokens, tokens_per_image=4)


def test_every_pair_of_networks_has_one_row_with_what_was_measured_of_it():
    cka = pd.concat(
        [
            cka_pair("vit", "cait", [[0.9, 0.1], [0.2, 0.5]]),
            cka_pair("vit", "cait", [[0, 0], [0, 0]], epoch=-2),
            cka_pair("cait", "vit", [[0, 0], [0, 0]]),
            cka_pair("vit_untrained", "cait_permuted", [[0.4]]),
            cka_pair("vit", "vit_untrained", [[0.3]]),
            cka_pair("vit", "cait_permuted", [[0.8]]),
            cka_pair("soft", "cait", [[0.8]]),
        ]
    )
    neighbours = pair_table("cait", "vit", [[0.2, 0.6]], neighbours=None, neighbours_chance=0.05)
    procrustes = pair_table("vit", "vit2", [[0.2, 0.6]], procrustes=None, procrustes_shuffled=1.2)
    table = networks.table({"cka": cka, "neighbours": neighbours, "procrustes": procrustes}, NETWORKS)
    assert list(table.columns) == list(networks.NETWORK_COLUMNS)
    assert list(table["kind"]) == ["networks", "seeds", "controls", "own control"]
    first, second = table.iloc[0], table.iloc[1]
    assert first["cka"] == pytest.approx(0.7) and first["cka_kind"] == "tokens" and first["cka_rows"] == 1200
    assert first["neighbours"] == pytest.approx((0.6 + 0.4) / 2) and first["neighbours_chance"] == 0.05
    assert np.isnan(first["procrustes"])
    assert second["procrustes"] == pytest.approx((0.2 + 0.4) / 2) and second["procrustes_shuffled"] == 1.2
    assert np.isnan(second["cka"]) and second["cka_kind"] == ""


def test_all_pairs_are_read_by_images_where_one_has_no_tokens():
    cka = pd.concat([cka_pair("vit", "cait", [[0.9]]), cka_pair("vit", "vit2", [[0.8]], tokens=np.nan)])
    table = networks.table({"cka": cka}, NETWORKS)
    assert list(table["cka_kind"]) == ["images"] * 2 and list(table["cka_rows"]) == [300] * 2


def test_a_study_that_compared_nothing_has_no_row():
    table = networks.table({}, NETWORKS)
    assert table.empty and list(table.columns) == list(networks.NETWORK_COLUMNS)
