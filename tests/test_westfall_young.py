"""Joint sign flips: against a literal version, on awkward differences, with known error rate and power."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from distillation_dynamics.statistics import paired, westfall_young


@pytest.fixture(autouse=True)
def no_warnings():
    """No warning may come from values that are allowed."""
    with np.errstate(all="raise", under="ignore"):
        yield


def literal_t(differences):
    """|t| of one comparison, infinite without spread, 0 where nothing differs."""
    if not any(differences):
        return 0.0
    spread = np.std(differences, ddof=1)
    mean = abs(np.mean(differences))
    return mean / (spread / np.sqrt(len(differences))) if spread > 1e-9 * max(map(abs, differences)) else np.inf


def literal(differences):
    """Step-down maximum of |t| over all 2^n flips, one after another."""
    seeds, comparisons = differences.shape
    seen = [literal_t(differences[:, one]) for one in range(comparisons)]
    order = sorted(range(comparisons), key=lambda one: -seen[one])
    p, least = np.empty(comparisons), 0.0
    for place, one in enumerate(order):
        count = 0
        for signs in itertools.product([-1, 1], repeat=seeds):
            flipped = differences * np.array(signs)[:, None]
            count += max(literal_t(flipped[:, other]) for other in order[place:]) >= seen[one] * (1 - 1e-7)
        least = max(least, count / 2**seeds)
        p[one] = least
    return p


@pytest.mark.parametrize(("seeds", "comparisons"), [(2, 3), (3, 1), (5, 4), (7, 3)])
def test_adjusted_p_are_those_of_a_literal_version(seeds, comparisons):
    draw = np.random.default_rng(seeds)
    for shift in (0, 1.5):
        differences = np.round(draw.normal(shift, 1, size=(seeds, comparisons)) + draw.normal(size=(seeds, 1)), 2)
        np.testing.assert_allclose(westfall_young.adjusted(differences), literal(differences))


def test_ties_zeros_and_constants_are_those_of_a_literal_version():
    differences = np.array([[1, 0, 1, 0.5], [1, 0, -1, 0.5], [1, 0, 1, -1], [1, 0, -1, 1e3]], dtype=float)
    p = westfall_young.adjusted(differences)
    np.testing.assert_allclose(p, literal(differences))
    # The same difference in all seeds has an infinite t, as the third has under two flips; no difference has none.
    assert p[0] == 4 / 2**4 and p[1] == 1


def test_one_comparison_has_the_p_of_scipys_sign_flip_test():
    for seed in range(5):
        differences = np.random.default_rng(seed).normal(0.5, 1, size=8)
        expected = stats.permutation_test(
            (differences,), lambda x, axis: x.mean(axis=axis), permutation_type="samples", vectorized=True
        )
        assert westfall_young.adjusted(differences[:, None])[0] == pytest.approx(expected.pvalue)


@pytest.mark.parametrize("comparisons", [1, 3, 12])
@pytest.mark.parametrize(("seeds", "smallest"), [(2, 0.5), (5, 0.0625), (6, 0.03125), (8, 0.0078125)])
def test_no_number_of_comparisons_makes_the_smallest_p_larger(seeds, smallest, comparisons):
    differences = np.outer(1 + np.arange(seeds) / 10, np.r_[1, -np.ones(comparisons - 1)])
    assert set(westfall_young.adjusted(differences)) == {smallest}
    assert westfall_young.smallest_p(seeds) == smallest
    assert (
        westfall_young.adjusted(differences[:1]).shape == (comparisons,)
        and np.isnan(westfall_young.adjusted(differences[:1])).all()
    )


def test_flips_are_all_or_drawn_and_what_was_seen_is_among_them():
    every = np.vstack([*westfall_young.flips(6)])
    signs = {tuple(row) for row in every} | {tuple(-row) for row in every}
    assert signs == set(itertools.product([-1.0, 1.0], repeat=6)) and (every[0] == 1).all()
    # In blocks, each flip once.
    blocks = [block @ 2.0 ** np.arange(16) for block in westfall_young.flips(16)]
    assert len(blocks) == 2 and len(set(np.concatenate(blocks))) == 2**15
    drawn = np.vstack([*westfall_young.flips(21)])
    assert drawn.shape == (2**19 + 1, 21) and (drawn[0] == 1).all() and set(np.unique(drawn)) == {-1.0, 1.0}
    assert westfall_young.smallest_p(21) == 1 / len(drawn) == westfall_young.LEAST_DRAWN
    assert np.array_equal(drawn, np.vstack([*westfall_young.flips(21)]))
    assert westfall_young.smallest_p(20) == 2 / 2**20 and sum(map(len, westfall_young.flips(20))) == 2**19


def test_twenty_seeds_are_counted_and_more_are_drawn():
    same = np.outer(1 + np.arange(26) / 100, [1.0, -1, 1])
    assert set(westfall_young.adjusted(same[:20])) == {2 / 2**20}
    assert set(westfall_young.adjusted(same)) == {westfall_young.LEAST_DRAWN}
    # Drawn ones come near the p of a normal sum.
    draw = np.random.default_rng(0).normal(0.3, 1, size=(40, 1))
    expected = 2 * stats.norm.sf(abs(draw.sum()) / np.sqrt(np.square(draw).sum()))
    assert westfall_young.adjusted(draw)[0] == pytest.approx(expected, abs=0.005)


def test_a_p_that_no_drawn_flip_beats_is_said_to_be_at_most():
    assert westfall_young.p_said(westfall_young.LEAST_DRAWN) == "<= 1.9e-06"
    assert westfall_young.p_said(2 / 2**20) == "1.9e-06" and westfall_young.p_said(np.nan) == "-"
    assert westfall_young.p_said(0.03125) == "0.031" and westfall_young.p_said(1.0) == "1"


def test_a_unit_and_a_huge_outlier_change_nothing_but_the_evidence():
    differences = np.random.default_rng(2).normal(1, 1, size=(7, 3))
    np.testing.assert_array_equal(
        westfall_young.adjusted(differences), westfall_young.adjusted(differences * [1e-200, 1, -1e200])
    )
    differences[0, 0] = -1e12
    assert westfall_young.adjusted(differences)[0] == pytest.approx(1)


def rejected(differences_of, repeats, who=slice(None)):
    """The share of experiments in which any of `who` has p <= .05."""
    return np.mean([(westfall_young.adjusted(differences_of(seed))[who] <= 0.05).any() for seed in range(repeats)])


@pytest.mark.parametrize("seeds", [6, 8])
def test_without_any_effect_five_percent_of_studies_find_one_however_the_differences_hang_together(seeds):
    def normal(seed):
        draw = np.random.default_rng(seed)
        return draw.normal(size=(seeds, 9)) - draw.normal(size=(seeds, 1))

    def skewed(seed):
        # Accuracies are skewed, their differences symmetric.
        draw = np.random.default_rng(seed)
        return draw.lognormal(size=(seeds, 9)) - draw.lognormal(size=(seeds, 1))

    limit = 0.05 + 3 * np.sqrt(0.05 * 0.95 / 1000)
    assert rejected(normal, 1000) <= limit and rejected(skewed, 1000) <= limit


def test_true_effects_beside_it_do_not_make_a_false_one_more_likely():
    def study(seed):
        draw = np.random.default_rng(seed)
        return draw.normal(size=(8, 4)) - draw.normal(size=(8, 1)) + np.array([5.0, -5, 5, 0])

    assert rejected(study, 1000, slice(3, None)) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 1000)


@pytest.mark.parametrize("comparisons", [1, 5])
def test_the_detectable_effect_is_found_in_four_of_five_experiments(comparisons):
    draw = np.random.default_rng(1)
    mixing = np.eye(comparisons) + 0.5
    differences = draw.normal(size=(8, comparisons)) @ mixing
    effect = westfall_young.detectable(differences)
    root = np.linalg.cholesky(np.cov(differences.T).reshape(comparisons, comparisons))
    found = 0
    for _ in range(1500):
        again = draw.normal(size=(8, comparisons)) @ root.T
        again[:, 0] += effect[0]
        found += westfall_young.adjusted(again)[0] <= 0.05
    assert found / 1500 == pytest.approx(0.8, abs=0.035)


def test_a_detectable_effect_follows_the_spread_of_its_own_comparison():
    differences = np.random.default_rng(3).normal(size=(8, 3)) * [1, 10, 0]
    small, large, none = westfall_young.detectable(differences)
    assert large / small == pytest.approx(10 * differences[:, 1].std() / differences[:, 0].std() / 10, rel=0.1)
    assert none == 0
    for seeds in (1, 5):
        assert np.isnan(westfall_young.detectable(differences[:seeds])).all()


def frame(**columns):
    return pd.DataFrame({name: pd.Series(values, dtype=float) for name, values in columns.items()})


def test_the_joint_test_rests_on_the_seeds_that_all_have():
    steps = np.arange(1, 9) / 10
    found = westfall_young.test(frame(a=steps, b=-steps, c=[np.nan, *steps[1:]]))
    assert list(found["joint_seeds"]) == [7] * 3 and list(found["joint_comparisons"]) == [3] * 3
    assert set(found["p_joint"]) == {2 / 2**7} == set(found["smallest_p"])


def test_a_comparison_without_those_seeds_is_left_out_and_costs_the_others_nothing():
    steps = np.arange(1, 9) / 10
    found = westfall_young.test(frame(a=steps, b=-steps, c=[1.0, 2, 3] + [np.nan] * 5))
    assert list(found["joint_seeds"]) == [8, 8, 0] and list(found["joint_comparisons"]) == [2, 2, 0]
    assert list(found["p_joint"][:2]) == [2 / 2**8] * 2
    assert found.loc["c", ["p_joint", "smallest_p", "detectable_effect"]].isna().all()
    # Two that share too few: the one with fewer seeds goes, of equal ones the last.
    apart = westfall_young.test(frame(a=[*steps, np.nan, np.nan], b=[np.nan] * 3 + [1.0, 2, 3, 4, 5, 6, 7]))
    assert list(apart["joint_seeds"]) == [8, 0]
    same = westfall_young.test(frame(a=[*steps[:6], np.nan, np.nan], b=[np.nan, np.nan, *steps[:6]]))
    assert list(same["joint_seeds"]) == [6, 0]


def test_with_few_seeds_there_is_a_p_that_cannot_reach_five_percent_and_with_one_none():
    found = westfall_young.test(frame(a=[1.0, 2, 3], b=[1.0, 2, np.nan]))
    assert list(found["joint_seeds"]) == [2, 2] and set(found["p_joint"]) == {0.5}
    assert found["detectable_effect"].isna().all()
    for columns in ({"a": [1.0]}, {"a": [np.nan, np.nan]}, {}):
        found = westfall_young.test(frame(**columns))
        assert len(found) == len(columns) and found["p_joint"].isna().all() and not found["joint_seeds"].any()


@pytest.mark.parametrize(
    ("seeds", "p", "mean", "width", "decided"),
    [
        (5, 0.0625, 9.0, 1.0, westfall_young.UNTESTED),
        (8, 0.01, 1.0, 0.5, westfall_young.BETTER),
        (8, 0.05, -1.0, 0.5, westfall_young.WORSE),
        (8, 0.2, 1.0, 1.5, westfall_young.NOT_FOUND),
        (8, 0.2, 1.0, np.nan, westfall_young.NOT_FOUND),
        # However large the difference seen or its interval: the test of all decides.
        (8, 0.2, -3.0, 3.5, westfall_young.NOT_FOUND),
        (8, 0.2, 1.0, 0.5, westfall_young.NOT_FOUND),
        (8, 0.2, -1.0, 0.5, westfall_young.NOT_FOUND),
    ],
)
def test_a_decision_needs_seeds_and_the_test_of_all(seeds, p, mean, width, decided):
    row = {"joint_seeds": seeds, "p_joint": p, "mean_difference": mean, "detectable_effect": 2.0}
    row |= {"low": mean - width, "high": mean + width}
    assert westfall_young.decision(row) == decided
    left = westfall_young.largest(row)
    assert np.isnan(left) if np.isnan(width) else left == abs(mean) + width


# --- one comparison ---


def test_sums_that_are_equal_on_paper_count_as_equal():
    # Accuracies of 10,000 images: their differences are off by rounding, which would break ties by chance.
    ours = np.array([79.7, 79.66, 77.49, 79.14, 79.81, 81.52])
    theirs = np.array([79.4, 78.96, 77.29, 78.94, 80.71, 81.12])
    assert paired.paired(ours - theirs)["p_sign_flip"] == 0.59375
    assert paired.paired([0.1, 0.2, -0.3])["p_sign_flip"] == 1
    assert paired.paired([0.1 + 0.2, -0.3])["p_sign_flip"] == 1


def test_no_difference_at_all_is_no_evidence():
    found = paired.paired(np.zeros(7))
    assert (found["seeds"], found["mean_difference"], found["p_sign_flip"]) == (7, 0, 1)
    assert np.isnan([found["low"], found["high"]]).all()


def test_the_same_difference_in_all_seeds_has_no_interval():
    found = paired.paired(np.array([80.1, 81.1]) - np.array([80.0, 81.0]))
    assert np.isnan([found["low"], found["high"]]).all() and found["p_sign_flip"] == 0.5


def test_one_seed_and_no_seed_have_neither_test_nor_interval():
    for count in (0, 1):
        found = paired.paired(np.full(count, 0.5))
        assert found["seeds"] == count and np.isnan([found[name] for name in ("low", "high", "p_sign_flip")]).all()
    assert np.isnan(paired.paired([])["mean_difference"])


def test_the_interval_is_students_on_paired_differences():
    found = paired.paired([2.0, 2, 4])
    half = 4.302652729911275 * np.std([2, 2, 4], ddof=1) / np.sqrt(3)
    assert (found["low"], found["high"]) == pytest.approx((8 / 3 - half, 8 / 3 + half))
