"""Tests of shapes and comparisons of networks: literal references, worked examples, awkward input."""

import itertools
import warnings

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from scipy import stats

from distillation_dynamics.errors import StudyError
from distillation_dynamics.questions import networks
from distillation_dynamics.questions.shape import shapes as shape
from distillation_dynamics.spec.tables import Names
from distillation_dynamics.statistics import thresholds, u_shape
from distillation_dynamics.statistics.u_shape import published_reading
from frames import frame

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
        assert published_reading.valley_p(values) == pytest.approx(literal_valley_p(values), rel=1e-9)


def test_data_sets_tested_together_get_the_p_of_each_alone():
    values = GENERATOR.normal(size=(2, 3, 15, 6))
    together = published_reading.valley_p(values)
    assert together.shape == (2, 3)
    for place in np.ndindex(2, 3):
        assert together[place] == published_reading.valley_p(values[place])


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
    assert published_reading.valley_p(np.tile(np.array(profile, dtype=float), (10, 1))) == p
    # The level of an image cancels.
    level = np.arange(10.0)[:, None] * (np.ptp(profile) > 1e-6)
    assert published_reading.valley_p(np.array(profile, dtype=float) + level) == p


def test_without_an_interior_block_or_a_second_image_there_is_no_p():
    for size in ((10, 2), (10, 1), (1, 5)):
        assert np.isnan(published_reading.valley_p(GENERATOR.normal(size=size)))
    assert np.isnan(published_reading.valley_p(GENERATOR.normal(size=(4, 10, 2)))).all()


def test_a_huge_outlier_takes_the_evidence_away_and_does_not_make_any():
    values = np.array([1.0, 0.0, 1.0]) + 0.1 * GENERATOR.normal(size=(30, 3))
    assert published_reading.valley_p(values) < 1e-10
    values[0, 1] = 1e12
    assert published_reading.valley_p(values) > 0.5


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
    assert published_reading.depth(np.array(profile)) == pytest.approx(expected)


def test_depth_does_not_change_with_the_unit_and_level_of_a_metric():
    profiles = GENERATOR.normal(size=(50, 9))
    np.testing.assert_allclose(
        published_reading.depth(1e3 * profiles + 5), published_reading.depth(profiles), rtol=1e-9
    )


def test_depth_with_two_blocks_an_end_keeps_them_out_of_the_interior():
    # Ends (4 + 2) / 2 and (1 + 5) / 2, interior 2 alone, range 5 - 1.
    assert published_reading.depth(np.array([4.0, 2, 2, 1, 5]), ends=2) == pytest.approx(0.25)
    assert np.isnan(published_reading.depth(np.ones(4), ends=2))
    assert np.isnan(published_reading.depth(np.ones(2)))


def test_the_interval_of_the_depth_is_scipys_bca_of_whole_images():
    values = np.array([1.0, 0.2, 0, 0.5]) + 0.5 * GENERATOR.normal(size=(40, 4))

    def statistic(indices):
        return published_reading.depth(values[indices].mean(axis=0))

    expected = stats.bootstrap(
        (np.arange(40),),
        statistic,
        vectorized=False,
        n_resamples=published_reading.RESAMPLES,
        batch=500,
        method="BCa",
        rng=np.random.default_rng(published_reading.SEED),
    ).confidence_interval
    assert published_reading.Resampled(values).depth_interval() == pytest.approx(
        (expected.low, expected.high), abs=1e-9
    )


def test_the_interval_holds_the_depth_and_shrinks_with_the_number_of_images():
    values = np.array([1.0, 0, 0.6]) + 0.3 * GENERATOR.normal(size=(900, 3))
    widths = []
    for images in (30, 900):
        low, high = published_reading.Resampled(values[:images]).depth_interval()
        assert low < published_reading.depth(values[:images].mean(axis=0)) < high
        widths.append(high - low)
    assert widths[1] == pytest.approx(widths[0] / np.sqrt(30), rel=0.5)


@pytest.mark.parametrize("values", [np.ones((10, 4)), np.ones((1, 4)), np.ones((10, 2)), np.tile([2.0, 0, 1], (9, 1))])
def test_a_degenerate_interval_is_nan_without_a_warning(values):
    assert np.isnan(published_reading.Resampled(values).depth_interval()).all()


def test_many_images_are_resampled_in_groups_with_the_same_mean_and_spread():
    values = np.array([1.0, 0, 0.6]) + 0.5 * GENERATOR.normal(size=(2501, 3))
    values = values[np.argsort(values[:, 1])]  # images in an order that is not random: groups must not care
    grouped = published_reading.Resampled(values)
    assert grouped.groups == published_reading.GROUPS
    np.testing.assert_allclose(grouped.profiles(np.arange(1000)[None])[0], values.mean(axis=0), rtol=1e-12)
    indices = np.random.default_rng(1).integers(1000, size=(1000, 1000))
    spread = grouped.profiles(indices).std(axis=0)
    np.testing.assert_allclose(spread, values.std(axis=0) / np.sqrt(2501), rtol=0.15)


def test_the_share_of_each_block_as_minimum_follows_the_images():
    values = np.zeros((200, 4))
    values[:, 0], values[:, 3] = 5, 5
    values[:, 1:3] = GENERATOR.normal(size=(200, 2))
    values[:, 1] += values[:, 2].mean() - values[:, 1].mean()  # equal means: either is lowest half of the time
    shares = published_reading.Resampled(values).minimum_shares()
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
        assert published_reading.fits(profile) == pytest.approx(
            (best_fit(profile, valleys), best_fit(profile, monotone))
        )


def test_fits_of_known_curves():
    # The best monotone curve is 3, 1, 1, 1: residuals 2 of a total of 5.
    assert published_reading.fits(np.array([3.0, 1, 0, 2])) == pytest.approx((1, 0.6))
    assert published_reading.fits(np.array([0.0, 1, 2])) == pytest.approx((1, 1))
    assert np.isnan(published_reading.fits(np.full(4, 0.1))).all()


def test_adjusted_p_values_are_benjamini_and_hochbergs_and_leave_nan_out_of_the_family():
    # By hand: sorted .01 .02 .03 .5 times 4/rank = .04 .04 .04 .5.
    np.testing.assert_allclose(
        published_reading.adjusted(np.array([0.03, np.nan, 0.01, 0.5, 0.02])), [0.04, np.nan, 0.04, 0.5, 0.04]
    )
    assert np.isnan(published_reading.adjusted(np.array([np.nan]))).all()


def test_the_published_reading_needs_evidence_and_depth():
    p, depths = np.array([0.05, 0.05, 0.06, np.nan]), np.array([0.10, 0.09, 0.9, np.nan])
    assert list(published_reading.published(p, depths)) == ["U-shaped", "not U-shaped", "not U-shaped", ""]


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
    found = u_shape.verdicts(*(np.array([value]) for value in (p, p_skewed, p_none, blocks, flat)))
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
        part["group"] = part["image"]
        for name, values in metrics.items():
            part[name] = (values + (100 * epoch if probe == "balanced" else 1e6)).T.ravel()
        parts.append(part.assign(**key))
    # Rows in no order: a reader must not rely on one.
    frame(pd.concat(parts)).sample(frac=1, random_state=0).to_parquet(path)
    return path


def test_the_last_epoch_of_each_network_is_read_on_all_images_but_the_published(tmp_path):
    values = np.array([5.0, 1, 1, 4]) + GENERATOR.normal(size=(12, 4)) * 0.1
    keys = [("soft", 1, epoch, probe) for epoch in (0, 3, 9) for probe in ("balanced", "published")]
    keys += [("vit_untrained", None, 0, "balanced"), ("vit_untrained", None, 0, "textures")]
    path = scalars(tmp_path / "s.parquet", keys, rms=values)
    assert sorted(shape.networks(path)) == [
        ("soft", 1, 9, "balanced"),
        ("vit_untrained", None, 0, "balanced"),
        ("vit_untrained", None, 0, "textures"),
    ]
    ((metric, read),) = shape.read_values(path, "soft", 1, 9, "balanced")
    assert metric == "rms"
    np.testing.assert_array_equal(read, values + 900)
    table, minimum = shape.shapes_of([path])
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
    control = scalars(tmp_path / "c.parquet", [("control", None, 0, "balanced")], intensity=up)
    table, minimum = shape.shapes_of([path, control], controls=["control"])
    assert list(table.columns) == list(shape.SHAPE_COLUMNS) and list(minimum.columns) == list(shape.MINIMUM_COLUMNS)
    by = table[table["network"] == "soft"].set_index("metric")
    assert list(by.index) == ["intensity", "rms", "intensity_permuted"]
    assert list(by["role"]) == ["paper", "scale", "null"]
    assert list(by["verdict"]) == ["U-shaped", "not U-shaped", "U-shaped"]
    assert list(by["images"]) == [60, 60, 58] and list(by["images_left_out"]) == [0, 0, 2]
    for _, family in table.groupby(["role", table["network"] == "control"]):
        # The tests of a null, of scale and of controls do not count among those of the claim.
        np.testing.assert_allclose(family["p_adjusted"], stats.false_discovery_control(family["p"]))
    whole = np.delete(broken, [3, 7], axis=0)
    assert by.loc["intensity_permuted", "p_any"] == pytest.approx(literal_valley_p(whole), rel=1e-6)
    assert by.loc["intensity_permuted", "depth"] == pytest.approx(published_reading.depth(whole.mean(axis=0)))
    assert minimum.groupby(["network", "metric"])["share"].sum().to_numpy() == pytest.approx(1)
    assert len(minimum) == 5 * len(table)


def test_an_image_without_one_of_the_blocks_is_refused_by_name(tmp_path):
    path = scalars(tmp_path / "s.parquet", [("soft", 0, 1, "balanced")], rms=GENERATOR.normal(size=(6, 3)))
    table = pq.read_table(path)
    pq.write_table(table.slice(1), path)
    with pytest.raises(
        StudyError, match="soft, seed 0, epoch 1, image set balanced does not hold every image once in every block"
    ):
        shape.shapes_of([path])


def test_missing_and_unreadable_scalars_are_refused_by_name_and_those_of_other_metrics_have_no_row(tmp_path):
    with pytest.raises(StudyError, match=r"gone.parquet does not exist"):
        shape.shapes_of([tmp_path / "gone.parquet"])
    (tmp_path / "torn.parquet").write_bytes(b"PAR1")
    with pytest.raises(StudyError, match=r"torn.parquet is not readable Parquet"):
        shape.shapes_of([tmp_path / "torn.parquet"])
    path = scalars(tmp_path / "s.parquet", [("soft", 0, 1, "balanced")], other=np.ones((6, 3)))
    for table, columns in zip(shape.shapes_of([path]), (shape.SHAPE_COLUMNS, shape.MINIMUM_COLUMNS), strict=True):
        assert table.empty and list(table.columns) == list(columns)


@pytest.mark.parametrize(
    ("profile", "expected"), [([2.0, 2, 2], 0), ([0.0, 0, 0], 0), ([1.0, 2, 4], 0.75), ([-4.0, -2, -4], 0.5)]
)
def test_the_range_of_a_curve_is_read_relative_to_its_size(profile, expected):
    assert shape.relative_range(np.array(profile)) == expected


def test_an_untrained_network_of_identities_is_flat_and_a_real_curve_is_not():
    identity = 3 + 1e-6 * GENERATOR.normal(size=24)
    assert shape.relative_range(identity) < thresholds.FLAT < shape.relative_range(3 + 0.01 * np.arange(24))


# --- networks compared ---


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
    ("vit", "vit2", "cait"), {"vit": "vit_untrained", "cait": "cait_permuted"}, None, {}, {}, (("vit", "vit2"),)
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


def pair_table(first, second, values, epoch=None, **columns):
    """A table of pairs of blocks, values [L1, L2] in every column."""
    rows = []
    for (block, other), value in np.ndenumerate(np.asarray(values, dtype=float)):
        key = {"network": first, "seed": None, "epoch": epoch, "block": block}
        key |= {"other": second, "other_seed": None, "other_epoch": None, "other_block": other, "images": 300}
        rows.append(key | {name: value if of is None else of for name, of in columns.items()})
    return frame(rows)


def cka_pair(first, second, values, tokens=None, epoch=None):
    return pair_table(first, second, values, epoch, cka_images=None, cka_tokens=tokens, tokens_per_image=4)


def test_every_pair_of_networks_has_one_row_with_what_was_measured_of_it():
    cka = pd.concat(
        [
            cka_pair("vit", "cait", [[0.9, 0.1], [0.2, 0.5]], epoch=2),
            cka_pair("vit", "cait", [[0, 0], [0, 0]], epoch=1),
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
