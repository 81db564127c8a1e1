"""Similarity of blocks compared with the untrained student and the ceiling; effects of alignment; dose and place."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from distillation_dynamics.questions import alignment, dose, variants
from distillation_dynamics.questions import gain as trajectory
from distillation_dynamics.questions.dose import effects
from distillation_dynamics.statistics import terms
from frames import frame
from losses import FIRST, LAST, SOFT, aligning, cross_entropy, runs_of, shares_of, soft, who, with_pairs

STEPS = np.arange(1, 7) / 10


@pytest.fixture(autouse=True)
def no_warnings():
    """What is expected to be degenerate must not warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


# --- likeness ---


def cka_of(network, values, epoch=5, seed=0, tokens=True, images=200, other="cait"):
    """A CKA table of one seed, values [student blocks, teacher blocks]."""
    rows = []
    for (student, teacher), value in np.ndenumerate(np.asarray(values, dtype=float)):
        key = {"network": network, "seed": seed, "epoch": epoch, "block": student}
        key |= {"other": other, "other_seed": None, "other_epoch": None, "other_block": teacher}
        measured = {"cka_images": value / 2, "cka_tokens": value if tokens else np.nan}
        rows.append({**key, **measured, "images": images, "tokens_per_image": 16})
    return frame(rows)


def pairs_table(cka, listed=None, seeds=()):
    """The rows of alignment.parquet of soft beside cait."""
    found = alignment.likeness(cka, "soft", "cait")
    top = alignment.ceiling(cka, "cait", seeds, found.kind)
    return alignment.table(found, top, listed or {}, "soft")


def nearest_table(cka, top=None):
    """The rows of nearest.parquet of soft and cait."""
    return alignment.nearest(alignment.likeness(cka, "soft", "cait"), top or {}, "soft")


def test_similarity_is_that_of_the_baselines_last_epoch_and_a_mean_over_seeds():
    cka = pd.concat(
        [
            cka_of("soft", [[0.4, 0.6]]),
            cka_of("soft", [[0.6, 0.8]], seed=1, images=100),
            cka_of("soft", [[9, 9]], epoch=2),
            cka_of("hard", [[7, 7]]),
            cka_of("soft", [[5, 5]], other="vit"),
        ]
    )
    table = pairs_table(cka)
    assert list(table["cka"]) == pytest.approx([0.5, 0.7]) and list(table["cka_seeds"]) == [2, 2]
    assert list(table["cka_kind"]) == ["tokens"] * 2 and list(table["cka_rows"]) == [1600] * 2
    # Epoch 0 was not compared.
    assert table[["untrained_cka", "gain", "gain_low", "ceiling"]].isna().all(axis=None)
    assert set(table["gain_seeds"]) == {0} and list(table.columns) == list(alignment.ALIGNMENT_COLUMNS)


def test_images_stand_in_for_all_pairs_where_tokens_of_one_cannot_be_compared():
    table = pairs_table(cka_of("soft", [[0.4]], tokens=False))
    assert table[["cka", "cka_kind", "cka_rows"]].iloc[0].to_list() == [0.2, "images", 200]
    cka = cka_of("soft", [[0.4, 0.6]])
    cka.loc[0, "cka_tokens"] = np.nan
    assert pairs_table(cka)["cka"].to_list() == [0.2, 0.3]


def test_where_all_rows_are_alike_there_is_no_cka():
    cka = cka_of("soft", [[np.nan, 0.4]])
    table = pairs_table(cka)
    assert table["cka"].isna().tolist() == [True, False] and list(table["cka_kind"]) == ["", "tokens"]
    assert nearest_table(cka)["teacher_block"].to_list() == [1]
    assert nearest_table(cka_of("soft", [[np.nan, np.nan]])).empty


def test_the_gain_is_that_of_the_same_seed_with_a_t_interval():
    after, before = np.array([0.8, 0.7, 0.9]), np.array([0.7, 0.5, 0.9])
    parts = [cka_of("soft", [[a, 0.1]], seed=seed) for seed, a in enumerate(after)]
    parts += [cka_of("soft", [[b, 0.1]], seed=seed, epoch=0) for seed, b in enumerate(before)]
    parts.append(cka_of("soft", [[0.2, 0.1]], seed=7))
    table = pairs_table(pd.concat(parts))
    first = table.iloc[0]
    low, high = stats.ttest_rel(after, before).confidence_interval()
    assert first["cka"] == pytest.approx((2.4 + 0.2) / 4) and first["untrained_cka"] == pytest.approx(0.7)
    assert (first["gain"], first["gain_low"], first["gain_high"]) == pytest.approx((0.1, low, high))
    assert (first["gain_seeds"], first["cka_seeds"]) == (3, 4)
    # Without spread there is no interval.
    assert table.iloc[1]["gain"] == 0 and np.isnan(table.iloc[1]["gain_low"])


@pytest.mark.parametrize("turned", [False, True])
def test_the_ceiling_is_the_same_block_of_a_teacher_of_another_seed(turned):
    pair = ("twin", "cait") if turned else ("cait", "twin")
    twin = cka_of(pair[0], [[0.9, 0.1], [0.2, 0.8]], epoch=2, seed=None, other=pair[1])
    cka = pd.concat([cka_of("soft", [[0.4, 0.6]]), twin])
    assert pairs_table(cka, seeds=(("cait", "twin"),))["ceiling"].to_list() == [0.9, 0.8]
    assert pairs_table(cka)["ceiling"].isna().all()


def trained_more(seeds, gain=0.3, jitter=0.01):
    """Students of which the untrained one is nearest to block 0 already; block 0 gains `gain` more than the others."""
    draw, parts = np.random.default_rng(0), []
    for seed in range(seeds):
        before = np.array([[0.6, 0.4, 0.3]]) + draw.normal(0, jitter, (1, 3))
        after = before + np.array([[gain, 0, 0]]) + draw.normal(0, jitter, (1, 3))
        parts += [cka_of("soft", before, epoch=0, seed=seed), cka_of("soft", after, seed=seed)]
    return pd.concat(parts)


def test_a_block_stands_out_only_where_training_made_it_more_alike_than_the_others():
    (row,) = nearest_table(trained_more(8), {0: 0.95}).to_dict("records")
    assert (row["teacher_block"], row["untrained_block"], row["ceiling"]) == (0, 0, 0.95)
    assert row["contrast"] == pytest.approx(0.3, abs=0.02) and row["p_joint"] == 2 / 2**8
    assert row["contrast_low"] < row["contrast"] < row["contrast_high"]
    assert row["verdict"] == alignment.STANDS_OUT
    (same,) = nearest_table(trained_more(8, gain=0)).to_dict("records")
    assert same["cka"] > 0.5 and same["verdict"] == alignment.NOT_SHOWN
    # All blocks gain equally: no block stands out.
    cka = trained_more(8, gain=0)
    cka.loc[cka["epoch"] > 0, "cka_tokens"] += 0.2
    assert nearest_table(cka)["verdict"].to_list() == [alignment.NOT_SHOWN]
    assert nearest_table(trained_more(5))["verdict"].to_list() == [alignment.TOO_FEW]
    assert nearest_table(trained_more(1))[["contrast", "p_joint", "gain_low"]].isna().all(axis=None)
    assert nearest_table(cka[cka["epoch"] > 0])["verdict"].to_list() == [alignment.NOT_COMPARED]


def test_the_other_seeds_choose_the_block_whose_gain_is_tested():
    cka = trained_more(3, gain=0.1, jitter=0)
    # In the last seed another block is nearest after training: it is judged by block 0 all the same.
    last = (cka["seed"] == 2) & (cka["epoch"] > 0) & (cka["other_block"] == 2)
    cka.loc[last, "cka_tokens"] = 0.9
    (row,) = nearest_table(cka).to_dict("records")
    assert row["contrast"] == pytest.approx(np.mean([0.1, 0.1, 0.1 - 0.3]))


def test_pairs_name_the_variants_that_align_them_and_their_other_pairs():
    listed = {"soft": SOFT, "one": with_pairs([(0, 1)]), "both": with_pairs([(0, 1), (0, 0)])}
    table = pairs_table(cka_of("soft", [[0.4, 0.6]]), listed=listed)
    assert list(table["aligned_by"]) == ["both (with 0-1)", "one, both (with 0-0)"]


# --- effects ---


def compared(runs, listed):
    """The rows of variants.parquet against soft."""
    against = who(runs).against
    gains = dict.fromkeys(against, dict.fromkeys(trajectory.GAIN_COLUMNS, np.nan))
    return variants.compare(runs, gains, {}, {"soft": SOFT} | listed, against)


def effects_of(listed, shares=None, **differences):
    """The rows of effects.parquet; `differences`: variant -> test top-1 less that of soft by seed."""
    count = len(next(iter(differences.values())))
    runs = runs_of(soft=[80.0] * count, **{name: 80 + np.asarray(by_seed) for name, by_seed in differences.items()})
    return effects.effects_of(compared(runs, listed), {"soft": SOFT} | listed, terms.shares(shares))


def test_objectives_of_opposite_effect_on_one_pair_are_never_averaged():
    listed = {"s": with_pairs(LAST), "p": with_pairs(LAST, objective="projector")}
    table = effects_of(listed, s=STEPS, p=-STEPS)
    assert table[["objective", "pairs", "verdict"]].to_numpy().tolist() == [
        ["spectral", "3-5", effects.HELPS],
        ["projector", "3-5", effects.HARMS],
    ]
    assert list(table["mean_difference"]) == pytest.approx([0.35, -0.35])
    assert set(table["p_joint"]) == {2 / 2**6} and set(table["joint_comparisons"]) == {2}


def test_doses_of_one_pair_stay_apart_and_say_their_share_of_the_loss():
    listed = {"weak": with_pairs(LAST, share=0.08), "strong": with_pairs(LAST)}
    table = effects_of(listed, shares_of(weak=(0.1, 0.06), strong=(0.5, 0.3)), weak=STEPS, strong=-STEPS)
    assert list(table["share_first"]) == pytest.approx([0.1, 0.5])
    assert list(table["share_all"]) == pytest.approx([0.08, 0.4])
    assert np.isnan(table["weight"].iloc[0]) and table["weight"].iloc[1] == 0.2
    assert effects_of(listed, weak=STEPS, strong=-STEPS)[["share_first", "share_all"]].isna().all(axis=None)


def test_pairs_that_were_only_aligned_together_have_one_effect_together():
    table = effects_of({"both": with_pairs([*FIRST, *LAST])}, both=STEPS)
    assert table[["pairs", "verdict"]].to_numpy().tolist() == [["0-0, 3-5", effects.HELPS]]


def test_a_variant_that_changes_something_else_tells_nothing_of_the_term_alone():
    more = (*with_pairs(FIRST), aligning(LAST, "projector"))
    smoothed = (cross_entropy(label_smoothing=0.0), soft(), aligning(FIRST))
    table = effects_of({"more": more, "smoothed": smoothed}, more=STEPS, smoothed=STEPS)
    assert len(table) == 3 and set(table["verdict"]) == {effects.MIXED} and not table["alone"].any()


def test_an_effect_needs_six_seeds_a_test_and_seeds_that_could_have_found_one():
    noise = np.array([0.1, -0.1, 0.2, -0.2, 0.05, 0.0])
    listed = {"last": with_pairs(LAST)}
    assert effects_of(listed, last=10 * STEPS[:5])["verdict"].to_list() == [effects.UNKNOWN]
    assert effects_of(listed, last=noise)["verdict"].to_list() == [effects.NO_EFFECT]
    assert effects_of(listed, last=noise[:1])["verdict"].to_list() == [effects.UNKNOWN]
    assert effects_of({"hard": (cross_entropy(),)}, hard=STEPS).empty


# --- dose and place ---

FOUR = {
    "first": with_pairs(FIRST),
    "last": with_pairs(LAST),
    "last_low": with_pairs(LAST, share=0.08),
    "first_high": with_pairs(FIRST, share=0.45),
}
SHARES = shares_of(first=(0.08, 0.04), last=(0.54, 0.4), last_low=(0.11, 0.1), first_high=(0.4, 0.3))


def dose_table(listed=FOUR, shares=SHARES, seeds=8, spread=0.1, **means):
    """The rows of dose_and_place.parquet; each variant has a mean difference to soft (0), give or take `spread`."""
    draw = np.random.default_rng(0)
    common = draw.normal(size=seeds)
    top1 = {name: means.get(name, 0) + common + draw.normal(0, spread, seeds) for name in listed}
    members = dose.members({"soft": SOFT} | listed, terms.shares(shares), dict.fromkeys(listed, "soft"))
    return dose.table(pd.DataFrame(top1), members)


def test_place_is_told_at_a_like_dose_and_dose_at_one_place():
    table = dose_table(last=-0.6, first_high=0.9).set_index(["variant", "other"])
    assert set(table.index) == {
        *(("last_low", "first"), ("last", "first_high")),
        *(("last", "last_low"), ("first_high", "first"), ("last", "first")),
    }
    low, high = table.loc[("last_low", "first")], table.loc[("last", "first_high")]
    assert (low["contrast"], low["level"], low["verdict"]) == (dose.OF_PLACE, "smaller", "no difference found")
    assert (high["contrast"], high["level"], high["verdict"]) == (dose.OF_PLACE, "larger", "worse")
    assert high["mean_difference"] == pytest.approx(-1.5, abs=0.1) and high["low"] < -1.5 + 0.2 < high["high"] + 0.2
    assert (high["pairs"], high["other_pairs"], high["share"], high["other_share"]) == pytest.approx(
        ("3-5", "0-0", 0.54, 0.4)
    )
    assert table.loc[("last", "last_low"), ["contrast", "verdict"]].to_list() == [dose.OF_DOSE, "worse"]
    assert table.loc[("first_high", "first"), ["contrast", "verdict"]].to_list() == [dose.OF_DOSE, "better"]
    # At one weight first and last differ in both; nothing is tested of it.
    mixed = table.loc[("last", "first")]
    assert (mixed["contrast"], mixed["verdict"], mixed["joint_comparisons"]) == (dose.OF_BOTH, dose.MIXED, 0)
    assert (mixed["weight"], mixed["other_weight"]) == (0.2, 0.2) and np.isnan(mixed["p_joint"])
    assert set(table.loc[table["contrast"] != dose.OF_BOTH, "joint_comparisons"]) == {4}


def test_contrasts_are_paired_over_seeds():
    table = dose_table(spread=0.01)
    assert table["mean_difference"].abs().max() < 0.05 and table["high"].max() < 0.05
    few = dose_table(seeds=3)
    assert set(few.loc[few["contrast"] != dose.OF_BOTH, "verdict"]) == {dose.TOO_FEW}
    one = dose_table(seeds=1)
    assert one["low"].isna().all() and one["p_joint"].isna().all() and set(one["seeds"]) == {1}


def test_a_seed_that_one_variant_lacks_is_left_out():
    draw = np.random.default_rng(1)
    top1 = pd.DataFrame(draw.normal(size=(8, 4)), columns=list(FOUR))
    top1.loc[7, "first"] = np.nan
    members = dose.members({"soft": SOFT} | FOUR, terms.shares(SHARES), dict.fromkeys(FOUR, "soft"))
    table = dose.table(top1, members).set_index(["variant", "other"])
    assert table.loc[("last_low", "first"), "seeds"] == 7 and table.loc[("last", "last_low"), "seeds"] == 8
    assert set(table.loc[table["contrast"] != dose.OF_BOTH, "joint_seeds"]) == {7}


@pytest.mark.parametrize(
    ("change", "rows"),
    [
        ({"shares": None}, 0),
        ({"listed": {"first": FOUR["first"]}}, 0),
        ({"listed": {"first": FOUR["first"], "last": FOUR["last"]}}, 1),
        # Another objective, other options, or another change: not compared.
        ({"listed": {"first": FOUR["first"], "last_low": with_pairs(LAST, share=0.1, dims=2)}}, 0),
        ({"listed": {"first": FOUR["first"], "last_low": (cross_entropy(0.5), soft(), aligning(LAST))}}, 0),
        ({"listed": {"first": FOUR["first"], "last_low": with_pairs(LAST, weight=0.3)}}, 1),
        # Another number of pairs is neither another place nor another dose.
        ({"listed": {"last_low": with_pairs([*FIRST, *LAST]), "first": FOUR["first"]}}, 0),
        # Another weight and another share: obviously neither place nor dose is the same.
        ({"listed": {"first": FOUR["first"], "last": with_pairs(LAST, weight=0.3)}}, 0),
    ],
)
def test_what_shares_neither_place_nor_dose_is_not_tested(change, rows):
    table = dose_table(**change)
    assert len(table) == rows and list(table.columns) == list(dose.DOSE_COLUMNS)


@pytest.mark.parametrize(("share", "contrast"), [(0.12, dose.OF_PLACE), (0.121, dose.OF_BOTH)])
def test_shares_within_a_factor_of_one_and_a_half_are_one_dose(share, contrast):
    listed = {"first": with_pairs(FIRST), "last": with_pairs(LAST)}
    table = dose_table(listed, shares_of(first=(0.08, 0.08), last=(share, share)))
    assert table["contrast"].to_list() == [contrast]
