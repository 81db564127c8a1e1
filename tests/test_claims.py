"""The papers' claims: every verdict of each, from made-up tables, and what is said where something was not measured."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from asked import said
from distillation_dynamics.questions import claims
from distillation_dynamics.questions.claims.finding import CONTRADICTED, SUPPORTED, UNDECIDED, UNTESTABLE
from distillation_dynamics.spec.base import From
from distillation_dynamics.spec.tables import Setting, Trained
from distillation_dynamics.statistics.evidence import Evidence
from distillation_dynamics.statistics.thresholds import NEUTRAL
from frames import frame
from losses import term as term_of
from made_up import names

SOFT = (term_of("cross_entropy", 0.1), term_of("soft", 0.9))


def term(place, objective="spectral", weight=0.2):
    """Soft distillation and one aligned pair, of students of 4 and a teacher of 8 blocks."""
    return (*SOFT, term_of(objective, weight, pairs=[(0, 0)] if place == "first" else [(3, 7)]))


TERMS = {
    "soft": SOFT,
    "first": term("first"),
    "last": term("last"),
    "last_low": term("last", weight=0.02),
    "p_last": term("last", "projector"),
    "both": (*SOFT, term_of("spectral", 0.2, pairs=[(0, 0), (3, 7)])),
}
NETWORKS = ("cait", "vit", "resnet")
WHO = replace(names(NETWORKS, tuple(TERMS), teacher="cait"), baselines={"student": "soft"})


def setting_of(terms):
    """Students of four blocks, taught by a network of eight."""
    arms = {name: Trained("vit", "cait", (4, 8), 5, own) for name, own in terms.items()}
    return Setting(arms, 10, From("key", files=()))


SETTING = setting_of(TERMS)


def rows_of(tables, who=WHO, setting=SETTING):
    """The rows of all claims."""
    return claims.tables(Evidence(tables, who, setting))["claims"]


def look(claim, tables, who=WHO, setting=SETTING):
    """The row of one claim."""
    return rows_of(tables, who, setting).set_index("claim").loc[claim]


def alone(*networks):
    """A study of these networks and no students."""
    return names(networks, teacher=None)


def test_of_nothing_nothing_can_be_said():
    for who, setting in ((WHO, SETTING), (alone(), None)):
        found = rows_of({}, who, setting)
        assert len(found) == 13 and list(found.columns) == list(claims.CLAIM_COLUMNS)
        assert set(found["verdict"]) == {UNTESTABLE} and found["why"].str.len().min() > 10
    # Tables that lack the columns are as good as none.
    empty = {name: pd.DataFrame({"network": ["cait"], "x": [1]}) for name in ("shape", "depth", "runs", "effects")}
    assert set(rows_of(empty)["verdict"]) == {UNTESTABLE}


# --- shapes ---

PAPER = ("entropy", "intensity", "activation_magnitude")
FREE = ("entropy_standardised", "intensity_per_rms")


def shapes(**hollow):
    """Rows of shape.parquet: network -> metrics that are U-shaped, among those of the claim and without scale."""
    return pd.DataFrame(
        [
            {"network": name, "probe": "balanced", "metric": metric, "relative_range": 0.5}
            | {"verdict": "U-shaped" if metric in chosen else "not U-shaped"}
            for name, chosen in hollow.items()
            for metric in PAPER + FREE
        ]
    )


def attention(**kinds):
    """Rows of depth.parquet that say which networks have attention."""
    rows = [{"network": name, "attention_entropy": 1.0 if has else np.nan} for name, has in kinds.items()]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    "hollow, verdict, why",
    [
        ({"cait": PAPER + FREE}, SUPPORTED, "all are U-shaped in this network, with the scale taken out too"),
        ({"cait": PAPER}, UNDECIDED, "a U of scale"),
        ({"cait": (*PAPER, FREE[0])}, UNDECIDED, "a U of scale"),
        ({"cait": PAPER[:1] + FREE}, UNDECIDED, "some of these metrics are U-shaped in this network"),
        ({"cait": FREE}, CONTRADICTED, "none of these metrics is U-shaped in this network"),
        ({"cait": (), "vit": ()}, CONTRADICTED, "none of these metrics is U-shaped in these 2 networks"),
        ({"cait": PAPER + FREE, "vit": ()}, UNDECIDED, "others are not"),
        # Those of controls and students are not the claim's.
        ({"cait_untrained": PAPER, "soft": PAPER}, UNTESTABLE, "no trained network"),
    ],
)
def test_shape(hollow, verdict, why):
    found = look("A", {"shape": shapes(**hollow)})
    assert found["verdict"] == verdict and why in found["why"]


def test_shape_says_which_metrics_and_leaves_other_images_out():
    rows = shapes(cait=PAPER[:1])
    rows = pd.concat([rows, shapes(cait=PAPER + FREE).assign(probe="other")])
    rows.loc[rows["metric"] == "intensity", "verdict"] = "undecided"
    found = look("A", {"shape": rows})
    assert found["number"] == "cait: entropy yes, intensity undecided, activation_magnitude no"
    assert found["verdict"] == UNDECIDED and found["why"].endswith("in this network: intensity of cait is undecided")
    assert found["control"] == "scale taken out, U-shaped: cait 0 of 2"


@pytest.mark.parametrize(
    "hollow, verdict, why",
    [
        ({"cait": PAPER, "vit": PAPER, "cait_untrained": (), "vit_untrained": ()}, SUPPORTED, "these 2 networks"),
        ({"cait": PAPER, "cait_untrained": ()}, UNTESTABLE, "universal takes several networks"),
        ({"cait": PAPER, "vit": (), "cait_untrained": (), "vit_untrained": ()}, CONTRADICTED, "no U in vit"),
        ({"cait": PAPER, "vit": PAPER, "cait_untrained": PAPER, "vit_untrained": ()}, CONTRADICTED, "cait_untrained"),
        (
            {"cait": PAPER, "vit": PAPER, "cait_untrained": PAPER[:1], "vit_untrained": ()},
            UNDECIDED,
            "cait_untrained has a U in entropy",
        ),
        (
            {"cait": PAPER, "vit": PAPER[:1], "cait_untrained": (), "vit_untrained": ()},
            UNDECIDED,
            "vit is not U-shaped in intensity and activation magnitude",
        ),
        ({"cait": PAPER, "vit": PAPER, "cait_untrained": ()}, UNDECIDED, "was not measured"),
        # A network without attention is none of those that it is about.
        ({"resnet": ()}, UNTESTABLE, "no trained network with attention"),
    ],
)
def test_learned_and_universal(hollow, verdict, why):
    tables = {"shape": shapes(**hollow), "depth": attention(cait=True, vit=True, resnet=False)}
    found = look("B", tables)
    assert found["verdict"] == verdict and why in found["why"]


def test_a_control_that_is_flat_is_none():
    rows = shapes(cait=PAPER, vit=PAPER, cait_untrained=(), vit_untrained=())
    assert look("B", {"shape": rows})["verdict"] == SUPPORTED
    rows.loc[rows["network"] == "cait_untrained", "relative_range"] = 1e-5
    found = look("B", {"shape": rows})
    assert found["verdict"] == UNDECIDED and found["why"] == "cait_untrained is flat over depth and no control"


def open_shapes(of, *metrics, verdict="not resolved", hollow=PAPER):
    """Return rows of two networks and controls without a U, in which `metrics` of `of` are open."""
    rows = shapes(cait=hollow, vit=hollow, cait_untrained=(), vit_untrained=())
    rows.loc[(rows["network"] == of) & rows["metric"].isin(metrics), "verdict"] = verdict
    return rows


@pytest.mark.parametrize("verdict", ["not resolved", "undecided", "flat"])
@pytest.mark.parametrize(
    "hollow, why",
    [
        (PAPER + FREE, "those of these metrics that are decided are U-shaped in these 2 networks: "),
        ((), "none of these metrics that is decided is U-shaped in these 2 networks: "),
        (PAPER[1:2], "some of these metrics are U-shaped, others are not in these 2 networks: "),
    ],
)
def test_an_entropy_that_is_open_is_said_to_be_and_decides_nothing(hollow, why, verdict):
    found = look("A", {"shape": open_shapes("vit", "entropy", verdict=verdict, hollow=hollow)})
    assert found["verdict"] == UNDECIDED and found["why"] == f"{why}entropy of vit is {verdict}"
    assert f"vit: entropy {verdict}, intensity" in found["number"] and "all are" not in found["why"]


def test_a_metric_that_was_not_measured_is_none_of_all():
    rows = shapes(cait=PAPER + FREE)
    found = look("A", {"shape": rows[rows["metric"] != "entropy"]})
    assert found["verdict"] == UNDECIDED and found["why"].endswith("in this network: entropy of cait was not measured")


def test_where_nothing_is_decided_that_is_said():
    found = look("A", {"shape": open_shapes("cait", *PAPER)[lambda rows: rows["network"] == "cait"]})
    assert found["verdict"] == UNDECIDED and found["why"].startswith("none of these metrics is decided in this network")


def test_a_network_without_attention_is_none_that_the_shape_is_claimed_of():
    kinds = {"depth": attention(cait=True, resnet=False)}
    assert "no trained network with attention" in look("A", kinds | {"shape": shapes(resnet=PAPER + FREE)})["why"]
    found = look("A", kinds | {"shape": shapes(resnet=PAPER + FREE, cait=())})
    assert found["verdict"] == CONTRADICTED and "resnet" not in found["number"] + found["control"]


@pytest.mark.parametrize(
    "of, metrics, hollow, verdict, why",
    [
        ("vit", PAPER[:1], PAPER, UNDECIDED, "entropy of vit is not resolved"),
        ("vit", PAPER[:1], (), CONTRADICTED, "not universal: no U in cait"),
        ("vit_untrained", PAPER[:2], PAPER, UNDECIDED, "whether vit_untrained has a U in entropy and intensity is not"),
    ],
)
def test_what_is_open_makes_no_u_universal_and_none_of_it_absent(of, metrics, hollow, verdict, why):
    found = look("B", {"shape": open_shapes(of, *metrics, hollow=hollow)})
    assert found["verdict"] == verdict and why in found["why"] and "vit" not in found["why"].partition("no U in")[2]


def test_a_control_whose_verdict_is_open_does_not_have_the_same_u():
    rows = shapes(cait=PAPER, vit=PAPER, cait_untrained=PAPER, vit_untrained=())
    rows.loc[(rows["network"] == "cait_untrained") & (rows["metric"] == "entropy"), "verdict"] = "not resolved"
    found = look("B", {"shape": rows})
    assert (
        found["verdict"] == UNDECIDED and found["why"] == "cait_untrained has a U in intensity and activation magnitude"
    )


# --- spectra ---


def spectra(kinds, blocks=6, **low):
    """Rows of depth.parquet: network -> its blocks that are low-pass; a negative one only looks so."""
    rows = []
    for name, chosen in low.items():
        for block in range(blocks):
            sure, seems = block in chosen, -block in chosen
            row = {"network": name, "seed": None, "epoch": 2, "probe": "balanced", "block": block}
            row |= {"amplitude_p": 0.002 if sure else 0.3, "bandwidth_folded_95": 0.6 if sure or seems else 0.9}
            row |= {f"bandwidth_folded_95_null{k}": v for k, v in (("", 0.9), ("_low", 0.85), ("_high", 0.95))}
            row |= {"attention_entropy": 1.0 if kinds.get(name, True) else np.nan, "channels": 64, "pca_rank_95": 20.0}
            rows.append(row)
    return frame(rows)


@pytest.mark.parametrize(
    "low, verdict, why",
    [
        ({"cait": {2, 3}}, SUPPORTED, "in the middle alone"),
        ({"cait": {2}, "vit": {3}}, SUPPORTED, "all of these networks"),
        ({"cait": {2, 5}}, UNDECIDED, "neither"),
        ({"cait": {5}}, CONTRADICTED, "no block of the middle"),
        ({"cait": set()}, CONTRADICTED, "no block of the middle"),
        ({"cait": {-3}}, UNDECIDED, "20 permutations a block"),
        ({"cait": {2}, "vit": set()}, UNDECIDED, "neither"),
        ({"resnet": {2}}, UNTESTABLE, "no spectrum"),
    ],
)
def test_low_pass_in_the_middle(low, verdict, why):
    found = look("C", {"depth": spectra({"resnet": False}, **low)})
    assert found["verdict"] == verdict and why in found["why"]
    if verdict != UNTESTABLE:
        assert "of the frequencies, permuted 0.850 to 0.950, p " in found["number"]


def test_p_values_are_adjusted_for_the_blocks_of_a_network():
    rows = spectra({}, cait={2})
    assert look("C", {"depth": rows})["verdict"] == SUPPORTED
    rows.loc[rows["block"] == 2, "amplitude_p"] = 0.01  # of 6 blocks: .06
    assert look("C", {"depth": rows})["verdict"] == UNDECIDED


@pytest.mark.parametrize(
    "p, low",
    [
        ([0.04, 0.01, 0.02], [True] * 3),
        # What stands behind one that is not small enough is none, however small.
        ([0.03, 0.01, 0.045], [False, True, False]),
        ([0.017, 0.01, 0.9], [True, True, False]),
        ([], []),
    ],
)
def test_holm_steps_down_from_the_smallest_p(p, low):
    assert list(claims.networks._low_after_holm(pd.Series(p, dtype=float))) == low


@pytest.mark.parametrize(
    "low, verdict",
    [
        ({"cait": set(), "vit": {2}, "resnet": {5}}, SUPPORTED),
        ({"cait": set(), "resnet": set()}, CONTRADICTED),
        ({"cait": {5}, "resnet": {5}}, CONTRADICTED),
        ({"cait": {5}, "vit": set(), "resnet": {5}}, UNDECIDED),
        ({"cait": {-5}, "resnet": {5}}, UNDECIDED),
        ({"cait": set()}, UNTESTABLE),
        ({"resnet": {5}}, UNTESTABLE),
    ],
)
def test_late_stages(low, verdict):
    runs = pd.DataFrame({"network": NETWORKS, "test_top1": [80.0, 81.0, np.nan]})
    found = look("D", {"depth": spectra({"resnet": False}, **low), "runs": runs})
    assert found["verdict"] == verdict
    if verdict != UNTESTABLE:
        assert "cait: top-1 80.0 %, rank 20 of 64 directions" in found["control"]
        assert "resnet: top-1 not measured" in found["control"]


@pytest.mark.parametrize(
    "low, measured, why",
    [
        ({"cait": {5}, "resnet": {5}}, False, "whether cait and resnet have attention was not measured"),
        ({"cait": {5}}, False, "whether cait has attention was not measured (metric attention)"),
        ({"cait": {5}, "vit": {5}}, True, "no network without attention was measured"),
        ({"resnet": {5}}, True, "no network with attention was measured"),
    ],
)
def test_what_late_stages_lack_is_said_as_it_is(low, measured, why):
    rows = spectra({"resnet": False}, **low)
    found = look("D", {"depth": rows if measured else rows.drop(columns="attention_entropy")})
    assert found["verdict"] == UNTESTABLE and found["why"].startswith(why)
    nothing = look("D", {"depth": rows.assign(amplitude_p=np.nan)})
    assert nothing["why"] == "no spectrum of a last block was tested against permuted channels"


def test_one_kind_that_is_low_pass_is_not_said_to_be_so_too():
    found = look("D", {"depth": spectra({"resnet": False}, cait={5}, vit={5}, resnet={-5})})
    assert found["verdict"] == CONTRADICTED and found["why"] == "in these networks: with attention all are low-pass"


# --- students ---


def effects(seeds=8, **given):
    """Rows of variants.parquet: variant -> (low, high) of its interval in points."""
    return pd.DataFrame(
        {"variant": name, "baseline": "soft", "seeds": seeds, "mean_difference": sum(ends) / 2}
        | {"low": ends[0], "high": ends[1]}
        for name, ends in given.items()
    )


def doses(**shares):
    """Rows of effects.parquet."""
    return pd.DataFrame({"variant": list(shares), "share_first": list(shares.values())})


HARM, NONE, GAIN, OPEN = (-1.1, -0.1), (-0.3, 0.4), (0.3, 1.3), (-1.0, 0.2)


@pytest.mark.parametrize(
    "last, verdict", [(HARM, SUPPORTED), (NONE, CONTRADICTED), (GAIN, CONTRADICTED), (OPEN, UNDECIDED)]
)
def test_aligning_the_last_blocks_at_a_like_share(last, verdict):
    tables = {"variants": effects(first=NONE, last=last), "effects": doses(first=0.1, last=0.11)}
    found = look("F last", tables)
    assert found["verdict"] == verdict and "8 seeds, 11 % of the loss" in found["number"]
    assert "first +0.05 [-0.30, +0.40] points" in found["control"] and "null targets" in found["control"]


@pytest.mark.parametrize(
    "first, verdict", [(HARM, CONTRADICTED), (NONE, SUPPORTED), (GAIN, SUPPORTED), (OPEN, UNDECIDED)]
)
def test_aligning_the_first_block_at_a_like_share(first, verdict):
    tables = {"variants": effects(first=first, last=NONE), "effects": doses(first=0.4, last=0.5)}
    assert look("F first", tables)["verdict"] == verdict
    assert f"{NEUTRAL} points" in look("F first", tables)["why"] or verdict == CONTRADICTED


def test_dose_and_place_are_not_mixed():
    given = effects(first=NONE, last=HARM, p_last=HARM, last_low=NONE)
    unknown = look("F last", {"variants": given})
    assert unknown["verdict"] == UNTESTABLE and "dose and place are not apart" in unknown["why"]
    assert "last -0.60 [-1.10, -0.10]" in unknown["number"]
    apart = look("F last", {"variants": given, "effects": doses(first=0.08, last=0.54)})
    assert apart["verdict"] == UNTESTABLE and "at a like share" in apart["why"]
    # Of another objective there is no first one; the weak one alone has its like.
    matched = look("F last", {"variants": given, "effects": doses(first=0.08, last=0.54, p_last=0.08, last_low=0.1)})
    assert (
        matched["verdict"] == CONTRADICTED
        and matched["number"].startswith("last_low")
        and "p_last" not in matched["number"]
    )


def test_two_variants_of_opposite_sign_decide_nothing():
    tables = {
        "variants": effects(first=NONE, last=HARM, last_low=NONE),
        "effects": doses(first=0.1, last=0.1, last_low=0.1),
    }
    assert look("F last", tables)["verdict"] == UNDECIDED


def test_one_seed_has_no_interval_and_decides_nothing():
    tables = {"variants": effects(first=(np.nan, np.nan), last=(np.nan, np.nan)), "effects": doses(first=0.1, last=0.1)}
    found = look("F last", tables)
    assert found["verdict"] == UNTESTABLE and found["why"] == "one seed has no interval"
    assert look("F last", tables, setting=setting_of({"soft": SOFT}))["why"] == (
        "no variant aligns the last blocks alone"
    )


def repaired(gain):
    """Differences by seed of the strong and the weak variant, which is better by `gain`."""
    rows = [{"variant": "last", "seed": s, "difference": -0.6 + 0.01 * s} for s in range(6)]
    return pd.DataFrame(
        rows + [r | {"variant": "last_low", "difference": r["difference"] + gain * (1 + r["seed"] / 50)} for r in rows]
    )


@pytest.mark.parametrize(
    "low, high, gain, verdict, why",
    [
        (HARM, HARM, 0.1, SUPPORTED, "smallest weight lies below 0 too"),
        (NONE, HARM, 0.6, CONTRADICTED, "the gain is certain"),
        (OPEN, HARM, 0.6, UNDECIDED, "is not below 0"),
        (NONE, HARM, -0.1, UNDECIDED, "is not below 0"),
        (NONE, NONE, 0.1, UNTESTABLE, "nothing to repair"),
    ],
)
def test_a_smaller_weight(low, high, gain, verdict, why):
    tables = {"variants": effects(last=high, last_low=low, p_last=HARM), "differences": repaired(gain)}
    found = look("G", tables)
    assert found["verdict"] == verdict and why in found["why"]
    if verdict != UNTESTABLE:
        assert (
            found["control"].startswith(f"last_low less last: {gain * 1.05 - 1e-9 * np.sign(gain):+.2f} [")
            and "p_last" not in found["number"]
        )


def test_sets_of_variants_that_differ_in_a_smaller_weight_are_said_to():
    terms = TERMS | {"p_low": term("last", "projector", 0.02)}
    who = replace(names(NETWORKS, tuple(terms), teacher="cait"), baselines={"student": "soft"})
    tables = {"variants": effects(last=HARM, last_low=HARM, p_last=HARM, p_low=NONE), "differences": repaired(0.6)}
    rows = [tables["differences"], tables["differences"].replace({"last": "p_last", "last_low": "p_low"})]
    found = look("G", tables | {"differences": pd.concat(rows)}, who, setting_of(terms))
    assert found["verdict"] == UNDECIDED and found["why"] == "the sets of variants differ: supported, contradicted"


def test_a_single_weight_and_missing_differences():
    assert "two weights" in look("G", {"variants": effects(last=HARM)})["why"]
    found = look("G", {"variants": effects(last=HARM, last_low=NONE)})
    assert found["verdict"] == UNDECIDED and "no interval" in found["control"]


def widths(rank=40, **channels):
    """Depth rows: the channels of each variant's blocks, and the teacher's rank."""
    rows = [{"network": "cait", "seed": None, "channels": 64, "pca_rank_95": rank}]
    rows += [{"network": name, "seed": 0, "channels": c, "pca_rank_95": 10} for name, c in channels.items()]
    return frame(rows).assign(epoch=1, probe="balanced", block=3)


@pytest.mark.parametrize(
    "narrow, wide, verdict", [((-2, -1.2), HARM, SUPPORTED), (NONE, HARM, UNDECIDED), (GAIN, HARM, CONTRADICTED)]
)
def test_width(narrow, wide, verdict):
    given = effects(last=wide, last_low=narrow).assign(baseline=["soft", "narrow_soft"])
    depth = widths(soft=48, last=48, last_low=32, narrow_soft=32)
    found = look("E", {"variants": given, "depth": depth})
    assert found["verdict"] == verdict and found["control"].endswith("40 directions, students have 32 to 48 channels")
    few = look("E", {"variants": given, "depth": widths(rank=12, soft=48, last=48, last_low=32, narrow_soft=32)})
    assert few["verdict"] == UNTESTABLE and "needs no more directions" in few["why"]
    other = replace(WHO, arms=WHO.arms | {"last_low": replace(WHO.arms["last_low"], teacher="vit")})
    two = look("E", {"variants": given, "depth": widths(soft=48, last=48, last_low=32, narrow_soft=32, vit=64)}, other)
    assert "last block: 10 (vit), 40 (cait) directions" in two["control"] and two["verdict"] == verdict
    # Against a baseline of another width nothing can be held.
    deep = widths(rank=60, soft=48, last=48, last_low=32)
    mixed = look("E", {"variants": effects(last=wide, last_low=narrow), "depth": deep})
    assert mixed["verdict"] == UNTESTABLE and "one width" in mixed["why"]


@pytest.mark.parametrize("long, verdict", [(HARM, SUPPORTED), (NONE, CONTRADICTED), (OPEN, UNDECIDED)])
def test_length(long, verdict):
    given = effects(last=HARM, last_low=long).assign(baseline=["soft", "long_soft"])
    runs = pd.DataFrame({"network": ["soft", "last", "last_low", "long_soft"], "epochs": [5, 5, 10, 10]})
    found = look("H", {"variants": given, "runs": runs})
    assert found["verdict"] == verdict and found["control"].startswith("shorter: last -0.60")
    one = look("H", {"variants": given, "runs": runs.assign(epochs=5)})
    assert one["verdict"] == UNTESTABLE and "one length" in one["why"]


def test_convolutional_students():
    given = {"variants": effects(first=NONE, last=HARM)}
    kinds = {True: "none is convolutional", False: "no student has attention"}
    for has, why in kinds.items():
        found = look("convolution", given | {"depth": attention(**dict.fromkeys(TERMS, has))})
        assert found["verdict"] == UNTESTABLE and why in found["why"] and "last -0.60" in found["number"]
    assert "not known" in look("convolution", given)["why"]


# --- entropy of students ---


def entropies(seeds=4, standardised=None, **curves):
    """Depth rows: variant -> entropy by block, a little other in each seed."""
    rows = []
    for name, curve in curves.items():
        for seed in range(seeds):
            for block, value in enumerate(curve):
                other = value if standardised is None else standardised.get(name, curve)[block]
                row = {"network": name, "seed": seed, "epoch": 5, "probe": "balanced", "block": block}
                size = 1 + 0.02 * seed * (1 + 0.5 * (name != "soft"))
                rows.append(row | {"entropy_fixed_range": value * size, "entropy_standardised": other * size})
    return {"depth": pd.DataFrame(rows)}


U, RISING, FLAT = [3, 1, 1, 3], [1, 2, 3, 4], [2, 2, 2, 2]


def test_soft_distillation_forms_the_u_by_itself():
    assert look("I soft", entropies(soft=U))["verdict"] == SUPPORTED
    found = look("I soft", entropies(soft=U, standardised={"soft": RISING}))
    assert found["verdict"] == UNDECIDED and "fall +2.06 [" in found["number"] and "fall -1.03 [" in found["control"]
    assert look("I soft", entropies(soft=RISING))["verdict"] == CONTRADICTED
    assert look("I soft", entropies(soft=FLAT))["verdict"] == UNDECIDED  # without spread there is no interval
    assert look("I soft", entropies(soft=U, seeds=1))["verdict"] == UNTESTABLE
    assert look("I soft", entropies(soft=U[:2]))["verdict"] == UNTESTABLE
    other = setting_of(TERMS | {"soft": term("last")})
    assert "not soft distillation" in look("I soft", entropies(soft=U), setting=other)["why"]
    without = entropies(soft=U)["depth"].drop(columns="entropy_standardised")
    found = look("I soft", {"depth": without})
    assert found["verdict"] == UNDECIDED and found["control"] == "standardised: not measured"


@pytest.mark.parametrize("claim, variant, less, more", [
    ("I last", "last", [3, 1, 1, 2], [3, 1, 1, 4]), ("I first", "first", [2, 1, 1, 3], [4, 1, 1, 3]),
])  # fmt: skip
def test_what_aligning_does_to_the_entropy(claim, variant, less, more):
    found = look(claim, entropies(soft=U, **{variant: less}))
    assert found["verdict"] == SUPPORTED and f"{variant} -" in found["number"] and "4 seeds" in found["number"]
    assert look(claim, entropies(soft=U, **{variant: more}))["verdict"] == CONTRADICTED
    scale = entropies(soft=U, **{variant: less}, standardised={variant: more})
    assert look(claim, scale)["verdict"] == UNDECIDED
    assert look(claim, entropies(soft=U, **{variant: less}, seeds=1))["verdict"] == UNTESTABLE
    assert look(claim, entropies(soft=U))["verdict"] == UNTESTABLE
    if claim == "I last":
        mixed = look(claim, entropies(soft=U, last=less, p_last=more))
        assert mixed["verdict"] == UNDECIDED and "p_last" in mixed["number"]
        assert mixed["why"] == "it is smaller in 1 of these variants and larger in 1"
        both = look(claim, entropies(soft=U, last=more, p_last=U))
        assert both["verdict"] == CONTRADICTED


def in_bins(tables, per_bin=5.0, **other):
    """Return tables of entropies with so many bins a token, and the entropies in other bins: column -> factor."""
    depth = tables["depth"]
    more = {f"entropy_fixed_range_{name}": depth["entropy_fixed_range"] * factor for name, factor in other.items()}
    return {"depth": depth.assign(rms_per_bin_fixed_range=per_bin, **more)}


@pytest.mark.parametrize("claim, variant", [("I soft", "soft"), ("I last", "last"), ("I first", "first")])
def test_an_entropy_whose_bins_decide_it_decides_no_claim(claim, variant):
    less = {"last": [3, 1, 1, 2]} if variant == "last" else {"first": [2, 1, 1, 3]}
    tables = entropies(soft=U, **less)
    assert look(claim, in_bins(tables, shifted=1.01, without_extreme=0.99))["verdict"] == SUPPORTED
    found = look(claim, in_bins(tables, per_bin=1.9))
    assert found["verdict"] == UNTESTABLE and "spread over too few bins of their entropy" in found["why"]
    for name in ("shifted", "without_extreme"):
        found = look(claim, in_bins(tables, **{name: -1}))
        assert found["verdict"] == UNDECIDED and found["why"].endswith("lies elsewhere: not resolved")


def test_a_variant_whose_bins_decide_is_left_out_of_a_claim():
    tables = in_bins(entropies(soft=U, last=[3, 1, 1, 2], p_last=[3, 1, 1, 4]))
    tables["depth"].loc[tables["depth"]["network"] == "p_last", "rms_per_bin_fixed_range"] = 0.5
    found = look("I last", tables)
    assert found["verdict"] == SUPPORTED and "p_last" not in found["number"]


# --- the report ---


def test_the_report_lists_every_claim_with_its_verdict_number_control_and_why():
    found = rows_of({"variants": effects(first=NONE, last=HARM), "effects": doses(first=0.1, last=0.1)})
    text = "\n\n".join(said("claims", WHO, claims=found))
    assert "**Of 13 claims, in this study supported: F last and F first; not testable here: convolution, A, " in text
    assert "| F last: Aligning the last blocks hurts | supported | last -0.60 [-1.10, -0.10] points, 8 seeds, " in text
    assert "| A: Entropy and magnitude over depth are U-shaped | not testable here | - | not measured | " in text
    assert text.count("| not testable here |") == 11 and "contradicted:" not in text
    # A cell of a table holds no line and no bar.
    assert not found.map(lambda value: "|" in str(value) or "\n" in str(value)).any(axis=None)
