"""Claims on networks (A to D) and on the entropy of students (I), every verdict of each; and what all claims share."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from asked import methods, said
from conftest import ROOT
from distillation_dynamics import extensions
from distillation_dynamics.errors import StudyError
from distillation_dynamics.questions import claims
from distillation_dynamics.questions.claims import _finding
from distillation_dynamics.questions.claims._finding import (
    ALL_SCALE,
    AS_SCALE,
    CONTRADICTED,
    NOT_SEEN,
    NOT_TESTABLE,
    SUPPORTED,
)
from distillation_dynamics.statistics.spectra import differ_after_holm
from frames import frame
from made_up_claims import (
    SETTING,
    TERMS,
    WHO,
    alone,
    attention,
    differences,
    doses,
    look,
    rows_of,
    setting_of,
    term,
)


def test_of_nothing_nothing_can_be_said():
    for who, setting in ((WHO, SETTING), (alone(), None)):
        found = rows_of({}, who, setting)
        assert len(found) == 13 and set(found["verdict"]) == {NOT_TESTABLE} and found["sentence"].str.len().min() > 10
        assert list(found.reset_index()[list(claims.CLAIM_COLUMNS)].columns) == list(claims.CLAIM_COLUMNS)
    # Tables that lack the columns are as good as none.
    empty = {name: pd.DataFrame({"network": ["cait"], "x": [1]}) for name in ("shape", "depth", "runs", "effects")}
    assert set(rows_of(empty)["verdict"]) == {NOT_TESTABLE}


def test_every_claim_is_a_file_with_a_phrase_and_a_rule_and_stands_in_the_documents():
    text = (ROOT / "docs/analysis.md").read_text(encoding="utf-8")
    found = extensions.claims()
    assert len(found) == 13 == len({claim.claim for claim in found.values()})
    for claim in found.values():
        # Words, and no letters alone.
        assert len(claim.claim.split()) >= 3 and claim.claim[0].islower() and "; contradicted: " in claim.rule
        assert f"| {claim.letter or '-'} | {claim.claim} | {claim.rule} |" in text


def test_a_claim_without_its_rule_is_refused(tmp_path, monkeypatch):
    folder = tmp_path / "questions/claims"
    folder.mkdir(parents=True)
    (folder / "mine.py").write_text("PLACE = 1\nCLAIM = LETTER = 'x'\nTEXT = 'x'\nDECIDES = 'x'\n")
    (folder / "_shared.py").write_text("")
    monkeypatch.setattr(extensions, "ROOT", tmp_path)
    with pytest.raises(StudyError, match=r"mine\.py: RULE: is not given"):
        extensions.claims()
    (folder / "mine.py").write_text("PLACE = 1\nCLAIM = LETTER = TEXT = DECIDES = RULE = 'x'\n")
    with pytest.raises(StudyError, match=r"mine\.py: there is no function look"):
        extensions.claims()


def test_a_list_of_names_is_cut_for_a_sentence():
    assert _finding.few(["a", "b"]) == "a and b" and _finding.few(list("abcde")) == "a, b and 3 more"


# --- shapes ---

PAPER = ("entropy", "intensity", "activation_magnitude")
FREE = ("entropy_standardised", "intensity_per_rms")
ATTENDING = {"depth": attention(cait=True, vit=True, resnet=False)}
MANY = {"valley": 0.1, "valley_low": 0.0, "valley_high": 0.2, "scale": "bits", "images": 320}


def shapes(**hollow):
    """Rows of shape.parquet: network -> metrics that are U-shaped, among those of the claim and without scale."""
    return pd.DataFrame(
        [
            {"network": name, "probe": "balanced", "metric": metric, "relative_range": 0.5}
            | {"verdict": "U-shaped" if metric in chosen else "not U-shaped", **MANY}
            for name, chosen in hollow.items()
            for metric in PAPER + FREE
        ]
    )


def open_in(rows, network, *metrics, verdict="not resolved"):
    """These rows, with metrics of a network open."""
    rows.loc[(rows["network"] == network) & rows["metric"].isin(metrics), "verdict"] = verdict
    return rows


def at(rows, letter="A", **tables):
    """The finding on a U of these rows."""
    return look(letter, ATTENDING | {"shape": rows} | tables)


@pytest.mark.parametrize(
    ("hollow", "verdict", "scale", "sentence"),
    [
        (
            {"cait": PAPER + FREE},
            SUPPORTED,
            "",
            "A U in all three metrics of this Transformer, more than scale; ",
        ),
        ({"cait": PAPER}, SUPPORTED, AS_SCALE, "A U in all three metrics of this Transformer, of scale; shallowest: "),
        ({"cait": (*PAPER, FREE[0])}, SUPPORTED, AS_SCALE, "A U in all three metrics of this Transformer, of scale;"),
        ({"cait": PAPER[:1] + FREE}, NOT_SEEN, "", "A U in 1 of 3 profiles, 0 open; deepest: cait's entropy 0.10 ["),
        (
            {"cait": FREE},
            CONTRADICTED,
            "",
            "None of three metrics has a U in this Transformer; deepest valley: ",
        ),
        ({"cait": (), "vit": ()}, CONTRADICTED, "", "None of three metrics has a U in these 2 Transformers; deepest"),
        ({"cait": PAPER + FREE, "vit": ()}, NOT_SEEN, "", "A U in 3 of 6 profiles, 0 open; deepest: "),
        # Those of controls, students and networks without attention are not the claim's.
        ({"cait_untrained": PAPER, "soft": PAPER}, NOT_TESTABLE, "", "The shape of no trained Transformer of three"),
        ({"resnet": PAPER + FREE}, NOT_TESTABLE, "", "The shape of no trained Transformer of three blocks or more was"),
        # A valley of the ResNet beside Transformers without one.
        ({"resnet": PAPER, "cait": (), "vit": ()}, CONTRADICTED, "", "None of three metrics has a U in these 2 Trans"),
        ({"resnet": (), "cait": PAPER + FREE}, SUPPORTED, "", "A U in all three metrics of this Transformer, more"),
    ],
)
def test_shape(hollow, verdict, scale, sentence):
    found = at(shapes(**hollow))
    assert (found["verdict"], found["scale"]) == (verdict, scale) and found["sentence"].startswith(sentence)
    assert "resnet" not in found["number"] + found["control"]


@pytest.mark.parametrize("verdict", ["not resolved", "undecided", "flat"])
def test_what_is_open_is_said_to_be_and_decides_nothing(verdict):
    found = at(open_in(shapes(cait=PAPER + FREE), "cait", "entropy", "intensity", verdict=verdict))
    assert found["verdict"] == NOT_TESTABLE
    assert found["sentence"] == f"Not told in this Transformer: entropy of cait is {verdict}, and 1 more."
    # One that is not U-shaped makes three impossible; the others might be.
    found = at(open_in(shapes(cait=()), "cait", "entropy", verdict=verdict))
    assert found["verdict"] == NOT_SEEN and found["sentence"].startswith("A U in 0 of 3 profiles, 1 open; deepest: ")
    rows = shapes(cait=PAPER + FREE)
    found = at(rows[rows["metric"] != "entropy"])
    assert found["verdict"] == NOT_TESTABLE and "entropy of cait was not measured" in found["sentence"]


def test_number_control_and_images_of_a_shape():
    rows = pd.concat([shapes(cait=PAPER[:1]), shapes(cait=PAPER + FREE).assign(probe="other")])
    found = at(rows)
    assert found["number"].startswith("cait: entropy yes (0.10 [0.00, 0.20] bits), intensity no (0.10 [")
    assert found["control"] == "scale taken out, U-shaped: cait 0 of 2" and "320 images" in found["sentence"]
    unmeasured = rows[rows["metric"].isin(PAPER) & (rows["probe"] == "balanced")].assign(verdict="U-shaped")
    found = at(unmeasured)
    assert found["verdict"] == NOT_TESTABLE and "not measured with the scale taken out" in found["sentence"]
    # Of a network of which nothing tells whether it has attention nothing is said.
    for kinds, sentence in ((None, "Whether cait has attention was not measured."), ((), "The shape of no trained")):
        own = {"shape": rows} if kinds is None else {"shape": rows, "depth": attention(cait=False)}
        assert look("A", own)["sentence"].startswith(sentence)


@pytest.mark.parametrize(
    ("epochs", "updates", "verdict", "sentence"),
    [
        ((2, 4), (99, 99), NOT_SEEN, "Not seen after 2 to 4 epochs: no U in these 2 Transformers; deepest: "),
        ((2, 30), (99, 99), CONTRADICTED, "None of three metrics has a U in these 2 Transformers"),
        # Weights from elsewhere count as trained to their end.
        ((2, 0), (99, 0), CONTRADICTED, "None of three metrics has a U in these 2 Transformers"),
    ],
)
def test_short_trainings_contradict_no_u(epochs, updates, verdict, sentence):
    runs = pd.DataFrame({"network": ["cait", "vit"], "epochs": epochs, "updates": updates})
    found = at(shapes(cait=(), vit=()), runs=runs)
    assert found["verdict"] == verdict and found["sentence"].startswith(sentence)
    assert len(found["sentence"].split()) <= 25


UNTRAINED = {"cait_untrained": (), "vit_untrained": ()}


@pytest.mark.parametrize(
    ("hollow", "verdict", "sentence"),
    [
        ({"cait": PAPER, "vit": PAPER} | UNTRAINED, SUPPORTED, "A U in all metrics of 2 Transformers, in no control;"),
        ({"cait": PAPER, "cait_untrained": ()}, NOT_TESTABLE, "Universal takes several Transformers, and here is one"),
        ({"cait": PAPER, "vit": ()} | UNTRAINED, CONTRADICTED, "Not universal: no U in vit; deepest: "),
        (
            {"cait": PAPER, "vit": PAPER, "cait_untrained": PAPER, "vit_untrained": ()},
            CONTRADICTED,
            "Not learned: untrained, cait_untrained has the same U; ",
        ),
        (
            {"cait": PAPER, "vit": PAPER, "cait_untrained": PAPER[:1], "vit_untrained": ()},
            NOT_SEEN,
            "Untrained, cait_untrained has a U in entropy: ",
        ),
        (
            {"cait": PAPER, "vit": PAPER[:1]} | UNTRAINED,
            NOT_SEEN,
            "vit has no U in intensity and activation magnitude; deepest: ",
        ),
        ({"cait": PAPER, "vit": PAPER, "cait_untrained": ()}, NOT_TESTABLE, "A control of vit was not measured."),
        ({"resnet": ()}, NOT_TESTABLE, "The shape of no trained Transformer"),
    ],
)
def test_learned_and_universal(hollow, verdict, sentence):
    found = at(shapes(**hollow), "B")
    assert found["verdict"] == verdict and found["sentence"].startswith(sentence)


@pytest.mark.parametrize(
    ("epochs", "updates", "verdict", "sentence"),
    [
        ((2, 4), (99, 99), NOT_SEEN, "Not seen after 2 to 4 epochs: no U in cait and vit; deepest: "),
        ((2, 2), (99, 99), NOT_SEEN, "Not seen after 2 epochs: no U in cait and vit; deepest: "),
        ((30, 30), (99, 99), CONTRADICTED, "Not universal: no U in cait and vit; deepest: "),
        ((2, 300), (99, 99), CONTRADICTED, "Not universal: no U in vit; deepest: "),
        # Weights from elsewhere count as trained to their end.
        ((2, 0), (99, 0), CONTRADICTED, "Not universal: no U in vit; deepest: "),
    ],
)
def test_a_short_training_refutes_no_u(epochs, updates, verdict, sentence):
    runs = pd.DataFrame({"network": ["cait", "vit"], "epochs": epochs, "updates": updates})
    found = at(shapes(cait=(), vit=()), "B", runs=runs)
    assert found["verdict"] == verdict and found["sentence"].startswith(sentence)


def test_a_control_that_is_flat_or_open_is_none():
    rows = shapes(cait=PAPER, vit=PAPER, **UNTRAINED)
    rows.loc[rows["network"] == "cait_untrained", "relative_range"] = 1e-5
    found = at(rows, "B")
    assert found["verdict"] == NOT_TESTABLE and found["sentence"].startswith("cait_untrained is flat over depth")
    found = at(open_in(shapes(cait=PAPER, vit=PAPER, **UNTRAINED), "vit_untrained", "entropy"), "B")
    assert found["verdict"] == NOT_TESTABLE and "entropy of vit_untrained is not resolved" in found["sentence"]
    found = at(open_in(shapes(cait=PAPER, vit=PAPER, **UNTRAINED), "vit", "entropy"), "B")
    assert found["verdict"] == NOT_TESTABLE and "Not told: entropy of vit is not resolved." in found["sentence"]
    same = shapes(cait=PAPER, vit=PAPER, cait_untrained=PAPER, vit_untrained=())
    found = at(open_in(same, "cait_untrained", "entropy"), "B")
    assert found["verdict"] == NOT_SEEN and "intensity and activation magnitude" in found["sentence"]


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
            row |= {
                "attention_entropy": 1.0 if kinds.get(name, True) else np.nan,
                "channels": 64,
                "pca_rank_95_p99": 20.0,
            }
            rows.append(row)
    return frame(rows)


NULL = "The order of channels is arbitrary, and the null shows it: no "


@pytest.mark.parametrize(
    ("low", "verdict", "sentence"),
    [
        (
            {"cait": {2, 3}},
            SUPPORTED,
            "Low-pass in the middle alone; cait, block 2: 0.600 of the frequencies, ",
        ),
        ({"cait": {2}, "vit": {3}}, SUPPORTED, "Low-pass in the middle alone; cait, block 2: "),
        ({"cait": {2, 5}}, NOT_SEEN, "Middle and other blocks differ; cait, block 2: "),
        ({"cait": {5}}, CONTRADICTED, "Blocks differ from permuted channels, others than the middle; cait, block 2: "),
        # The null is true: whatever is trained, no order of channels can be told.
        ({"cait": set()}, NOT_TESTABLE, f"{NULL}block of cait differs after Holm, least p 0.3."),
        ({"cait": {-3}, "vit": set()}, NOT_TESTABLE, f"{NULL}block of these networks differs after Holm, "),
        ({"cait": {2}, "vit": {5}}, NOT_SEEN, "Networks disagree; cait, block 2: "),
        ({"cait": {2}, "vit": set()}, NOT_SEEN, "Networks disagree; cait, block 2: "),
        ({"resnet": {2}}, NOT_TESTABLE, "No spectrum over depth of a network with attention was tested."),
    ],
)
def test_low_pass_in_the_middle(low, verdict, sentence):
    found = look("C", {"depth": spectra({"resnet": False}, **low)})
    assert found["verdict"] == verdict and found["sentence"].startswith(sentence)
    if "resnet" not in low:
        assert "of the frequencies, permuted 0.850 to 0.950, p " in found["number"]
        assert f"({len([b for b in low['cait'] if b > 0])} of 6 blocks differ)" in found["number"]


def test_p_values_are_adjusted_for_the_blocks_of_a_network():
    rows = spectra({}, cait={2})
    assert look("C", {"depth": rows})["verdict"] == SUPPORTED
    rows.loc[rows["block"] == 2, "amplitude_p"] = 0.01  # of 6 blocks: .06
    assert look("C", {"depth": rows})["verdict"] == NOT_TESTABLE


@pytest.mark.parametrize(
    ("p", "low"),
    [
        ([0.04, 0.01, 0.02], [True] * 3),
        # What stands behind one that is not small enough is none, however small.
        ([0.03, 0.01, 0.045], [False, True, False]),
        ([0.017, 0.01, 0.9], [True, True, False]),
        ([], []),
    ],
)
def test_holm_steps_down_from_the_smallest_p(p, low):
    assert list(differ_after_holm(pd.Series(p, dtype=float))) == low


@pytest.mark.parametrize(
    ("low", "verdict", "sentence"),
    [
        ({"cait": set(), "vit": {2}, "resnet": {5}}, SUPPORTED, "Low-pass without attention, like chance with it; res"),
        ({"cait": {5}, "resnet": set()}, CONTRADICTED, "Low-pass with attention, like chance without it; cait: 0.600"),
        ({"cait": set(), "resnet": set()}, NOT_TESTABLE, f"{NULL}last block of these networks differs after "),
        ({"cait": {5}, "resnet": {5}}, NOT_SEEN, "The kinds do not differ as claimed: 2 of 2 are low-pass; "),
        ({"cait": {5}, "vit": set(), "resnet": {5}}, NOT_SEEN, "The kinds do not differ as claimed: 2 of 3"),
        ({"cait": {-5}, "resnet": {5}}, NOT_SEEN, "The kinds do not differ as claimed: 1 of 2"),
        ({"cait": set()}, NOT_TESTABLE, "No network without attention was measured."),
        ({"resnet": {5}}, NOT_TESTABLE, "No network with attention was measured."),
    ],
)
def test_late_stages(low, verdict, sentence):
    runs = pd.DataFrame({"network": ("cait", "vit", "resnet"), "test_top1": [80.0, 81.0, np.nan]})
    found = look("D", {"depth": spectra({"resnet": False}, **low), "runs": runs})
    assert found["verdict"] == verdict and found["sentence"].startswith(sentence)
    if len(low) > 1:
        assert "cait: top-1 80.0 %, rank 20 of 64 directions" in found["control"]
        assert "resnet: top-1 not measured" in found["control"]


def test_what_late_stages_lack_is_said_as_it_is():
    rows = spectra({"resnet": False}, cait={5}, resnet={5})
    found = look("D", {"depth": rows.drop(columns="attention_entropy")})
    assert found["sentence"] == "Whether cait and resnet have attention was not measured."
    nothing = look("D", {"depth": rows.assign(amplitude_p=np.nan)})
    assert nothing["sentence"] == "No spectrum of a last block was tested against permuted channels."


# --- entropy of students ---


def entropies(seeds=6, standardised=None, spread=0.02, **curves):
    """Depth rows: variant -> entropy by block, a little other in each seed."""
    rows = []
    for name, curve in curves.items():
        for seed in range(seeds):
            for block, value in enumerate(curve):
                other = value if standardised is None else standardised.get(name, curve)[block]
                row = {"network": name, "seed": seed, "epoch": 5, "probe": "balanced", "block": block}
                size = 1 + spread * seed * (1 + 0.5 * (name != "soft"))
                rows.append(row | {"entropy_fixed_range": value * size, "entropy_standardised": other * size})
    return {"depth": pd.DataFrame(rows)}


def validated(**top1):
    """Rows of epochs.parquet: network -> validation top-1 of epochs 1, 2, ..."""
    rows = [
        {"network": name, "epoch": e, "validation_top1": v} for name, own in top1.items() for e, v in enumerate(own, 1)
    ]
    return {"epochs": pd.DataFrame(rows)}


U, RISING, FLAT, SHALLOW = [3, 1, 1, 3], [1, 2, 3, 4], [2, 2.0, 2, 2.001], [2.04, 2, 2, 3]
FINISHED, UNFINISHED = validated(soft=[70, 75, 77, 77.1]), validated(soft=[70, 75, 77, 78])


def soft(curve, **more):
    """The finding on the baseline's own U."""
    return look("I soft", entropies(soft=curve, **more) | FINISHED)


def test_soft_distillation_forms_the_u_by_itself():
    found = soft(U)
    assert found["verdict"] == SUPPORTED and found["scale"] == ""
    assert found["sentence"].startswith("It falls and rises by 0.07 bits or more; the least: soft's fall +2.10 [")
    assert "6 seeds" in found["sentence"]
    found = soft(U, standardised={"soft": FLAT})
    assert (found["verdict"], found["scale"]) == (SUPPORTED, AS_SCALE) and "as its scale does" in found["sentence"]
    for curve, part in (
        (RISING, "soft's fall -1.05 ["),
        (FLAT, "soft's fall +0.00 ("),
        (SHALLOW, "soft's fall +0.04 ["),
    ):
        found = soft(curve)
        assert found["verdict"] == CONTRADICTED and f"after a finished training: {part}" in found["sentence"]
    # .04 bits, as the published student has at epoch 30 of 300, after a short training: no evidence.
    found = look("I soft", entropies(soft=SHALLOW) | UNFINISHED)
    assert found["verdict"] == NOT_TESTABLE and found["sentence"].startswith(
        "Training is not finished, soft gains 1.0 points an epoch at its end; soft's fall +0.04 ["
    )
    found = look("I soft", entropies(soft=SHALLOW))
    assert found["verdict"] == NOT_TESTABLE and "is finished was not measured" in found["sentence"]
    # A U that is there needs no more training.
    assert look("I soft", entropies(soft=U) | UNFINISHED)["verdict"] == SUPPORTED
    assert soft([2.068, 2, 2, 3], spread=0.05)["verdict"] == NOT_SEEN
    assert soft([2.05, 2, 2, 3], spread=1.0)["verdict"] == NOT_TESTABLE
    assert soft(U, seeds=1)["verdict"] == NOT_TESTABLE and soft(U[:2])["verdict"] == NOT_TESTABLE
    other = setting_of(TERMS | {"soft": term("last")})
    assert "not soft distillation" in look("I soft", entropies(soft=U), setting=other)["sentence"]
    without = entropies(soft=U)["depth"].drop(columns="entropy_standardised")
    found = look("I soft", {"depth": without})
    assert found["verdict"] == NOT_TESTABLE and "scale may be all" in found["sentence"]


@pytest.mark.parametrize(
    ("top1", "finished"),
    [
        ([77, 77.19], True),
        ([77, 77.21], False),
        ([60, 70, 76, np.nan, 77, np.nan, np.nan, 77.5], True),
        ([np.nan] * 3 + [77], False),
    ],
)
def test_training_is_finished_where_the_last_quarter_gains_little_an_epoch(top1, finished):
    found = look("I soft", entropies(soft=SHALLOW) | validated(soft=top1))
    assert found["verdict"] == (CONTRADICTED if finished else NOT_TESTABLE)


@pytest.mark.parametrize(
    ("letter", "variant", "less", "more", "same", "wide"),
    [
        ("I last", "last", [3, 1, 1, 2], [3, 1, 1, 4], [3, 1, 1, 2.98], [3, 1, 1, 2.7]),
        ("I first", "first", [2, 1, 1, 3], [4, 1, 1, 3], [2.98, 1, 1, 3], [2.7, 1, 1, 3]),
    ],
)
def test_what_aligning_does_to_the_entropy(letter, variant, less, more, same, wide):
    found = look(letter, entropies(soft=U, **{variant: less}))
    assert (found["verdict"], found["scale"]) == (SUPPORTED, "")
    part = "rise" if letter == "I last" else "fall"
    assert found["sentence"].startswith(f"The {part} is smaller by more than 0.07 bits: {variant} -")
    # All of it is scale: nothing is left with the scale taken out.
    scale = entropies(soft=U, **{variant: less}, standardised={"soft": FLAT, variant: FLAT})
    found = look(letter, scale)
    assert (found["verdict"], found["scale"]) == (SUPPORTED, ALL_SCALE) and ", all of it scale: " in found["sentence"]
    found = look(letter, entropies(soft=U, **{variant: more}, standardised={"soft": FLAT, variant: FLAT}))
    assert (found["verdict"], found["scale"]) == (CONTRADICTED, ALL_SCALE) and "is larger, all of it" in found[
        "sentence"
    ]
    found = look(letter, entropies(soft=U, **{variant: more}))
    assert (found["verdict"], found["scale"]) == (CONTRADICTED, "")
    found = look(letter, entropies(soft=U, **{variant: same}, spread=0.002))
    assert found["verdict"] == NOT_SEEN and "nor its absence is certain" in found["sentence"]
    found = look(letter, entropies(soft=U, **{variant: wide}, spread=0.2))
    assert found["verdict"] == NOT_TESTABLE and "wider than 0.07 bits" in found["sentence"]
    assert look(letter, entropies(soft=U, **{variant: less}, seeds=1))["verdict"] == NOT_TESTABLE
    assert look(letter, entropies(soft=U))["verdict"] == NOT_TESTABLE
    without = entropies(soft=U, **{variant: less})["depth"].drop(columns="entropy_standardised")
    assert "scale may be all" in look(letter, {"depth": without})["sentence"]


def test_variants_that_disagree_on_the_entropy_are_counted_and_all_of_it_may_be_scale():
    flat = dict.fromkeys(("soft", "last", "last_low", "p_last"), FLAT)
    rows = entropies(soft=U, last=[3, 1, 1, 2], last_low=[3, 1, 1, 4], p_last=[3, 1, 1, 3.5], standardised=flat)
    found = look("I last", rows)
    assert (found["verdict"], found["scale"]) == (NOT_SEEN, ALL_SCALE)
    assert found["sentence"].startswith("Variants disagree: for it last; against it last_low and p_last; last_low +1.")


def in_bins(tables, per_bin=5.0, **other):
    """Return tables of entropies with so many bins a token, and the entropies in other bins: column -> factor."""
    depth = tables["depth"]
    more = {f"entropy_fixed_range_{name}": depth["entropy_fixed_range"] * factor for name, factor in other.items()}
    return {"depth": depth.assign(rms_per_bin_fixed_range=per_bin, **more)}


@pytest.mark.parametrize("letter", ["I soft", "I last", "I first"])
def test_an_entropy_whose_bins_decide_it_decides_no_claim(letter):
    less = {"first": [2, 1, 1, 3]} if letter == "I first" else {"last": [3, 1, 1, 2]}
    tables = entropies(soft=U, **less)
    assert look(letter, in_bins(tables, shifted=1.01, without_extreme=0.99))["verdict"] == SUPPORTED
    found = look(letter, in_bins(tables, per_bin=1.9))
    assert found["verdict"] == NOT_TESTABLE and "spread over too few bins: their places decide" in found["sentence"]
    for name in ("shifted", "without_extreme"):
        found = look(letter, in_bins(tables, **{name: -1}))
        assert found["verdict"] == NOT_TESTABLE and found["sentence"].startswith("In other bins, as good, the verdict")


def test_a_variant_whose_bins_decide_is_left_out_of_a_claim():
    tables = in_bins(entropies(soft=U, last=[3, 1, 1, 2], p_last=[3, 1, 1, 4]))
    tables["depth"].loc[tables["depth"]["network"] == "p_last", "rms_per_bin_fixed_range"] = 0.5
    found = look("I last", tables)
    assert found["verdict"] == SUPPORTED and "p_last" not in found["number"]


# --- the report ---


def test_the_report_lists_every_claim_with_its_verdict_sentence_number_and_control():
    given = differences(first=(0.0, 0.1), last=(-0.6, 0.2))
    found = rows_of({"differences": given, "effects": doses(first=0.1, last=0.1)}).reset_index()
    rows = found[list(claims.CLAIM_COLUMNS)]
    answer, *rest = said("claims", WHO, claims=rows.assign(scale=[AS_SCALE, *rows["scale"][1:]]))
    text = "\n\n".join(rest)
    assert answer.startswith("**Of 13 claims, in this study 2 supported and 11 not testable here.**")
    assert "| Aligning the last blocks hurts | supported | There is harm: last -0.60 [-0.69, -0.51] points," in text
    assert "| Distilling features helps convolutional students and not ViTs | not testable here, as scale | " in text
    assert text.count("| not testable here |") == 10
    how = methods("claims", WHO, claims=rows)
    assert "- Aligning the last blocks hurts (F last). Decides: last blocks minus" in how
    assert found.set_index("claim").loc["late alignment hurts", "estimate"].startswith("last -0.60 [-0.69, -0.51]")
    # A cell of a table holds no line and no bar.
    assert not rows.map(lambda value: "|" in str(value) or "\n" in str(value)).any(axis=None)


def test_a_study_of_networks_alone_is_asked_of_networks():
    who = replace(alone("cait", "vit"))
    found = rows_of(ATTENDING | {"shape": shapes(cait=(), vit=())}, who, None)
    assert found.loc["A", "verdict"] == CONTRADICTED and found.loc["F last", "verdict"] == NOT_TESTABLE
