"""The summary of a study: what it says of made-up tables, and that it keeps its seven lines of 25 words."""

import itertools

import numpy as np
import pandas as pd
import pytest

from distillation_dynamics import extensions
from distillation_dynamics.questions.claims import _finding
from distillation_dynamics.report import summary
from distillation_dynamics.statistics import westfall_young
from distillation_dynamics.statistics.evidence import Evidence
from frames import frame
from made_up import names

MOST_WORDS = 25
WHO = names(("cait", "resnet"), ("none", "soft", "spectral_first", "spectral_last"), teacher="cait")
ALONE = names(("vit",), (), teacher=None)
NOTHING = {"shape": None, "depth": None, "networks": None, "claims": None}


def difference(mean=0.5, width=0.2, p=0.03, seeds=6, **more):
    """A row of a table of comparisons, tested over so many seeds."""
    low, high = (np.nan, np.nan) if seeds < 2 else (mean - width, mean + width)
    row = {"mean_difference": mean if seeds else np.nan, "low": low, "high": high, "seeds": seeds, "joint_seeds": seeds}
    return row | {"p_joint": p, "detectable_effect": 0.6 if seeds > 1 else np.nan} | more


def runs(who=WHO, seeds=6, top1=80.0):
    """A row a network, and one a student and seed."""
    members = [(name, None) for name in who.networks]
    members += [(name, seed) for name in who.variants for seed in range(seeds)]
    rows = [{"network": name, "seed": seed, "test_top1": top1 + (seed or 0) / 10} for name, seed in members]
    return frame(rows).assign(test_images=10_000)


def said(who=WHO, seeds=6, **tables):
    """The lines of a summary of these tables, and its other paragraphs."""
    tables = {"runs": runs(who, seeds), "variants": pd.DataFrame(), "dose_and_place": contrasts()} | tables
    first, *rest = summary.paragraphs(Evidence({name: one for name, one in tables.items() if one is not None}, who))
    lines = first.splitlines()
    check(lines)
    return lines, rest


def check(lines):
    """Hold the limits."""
    assert len(lines) <= summary.MOST_LINES
    for line in lines:
        assert len(line.removeprefix("- ").split()) <= MOST_WORDS, line


def contrasts(*rows):
    """Rows of dose_and_place.parquet."""
    return pd.DataFrame(rows, columns=["contrast", "variant", "other", *difference()])


def planned(**families):
    """planned.parquet: family -> its rows by comparison."""
    rows = [{"family": family, "comparison": c} | row for family, own in families.items() for c, row in own.items()]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        ({"a minus b": difference()}, "a minus b, +0.50 [+0.30, +0.70] points (p 0.03, 6 seeds)."),
        (
            {"a minus b": difference(-0.1, p=0.8)},
            "no detectable difference: a minus b, -0.10 [-0.30, +0.10] points (6 seeds detect 0.60).",
        ),
        (
            {"a minus b": difference(seeds=2)},
            "2 seeds, too few for a test; a minus b, +0.50 [+0.30, +0.70] points.",
        ),
        (
            {"a minus b": difference(seeds=1), "c minus d": difference(-0.7, seeds=1)},
            "1 seed, too few for a test; largest of 2: c minus d, -0.70 points (no interval).",
        ),
        ({"a minus b": difference(seeds=0)}, "1 comparison, but no seed that both sides share."),
        (
            {"a minus b": difference(0.1, p=0.9), "c minus d": difference(-0.3, p=0.5)},
            "no detectable difference in 2 comparisons; largest: c minus d, -0.30 [-0.50, -0.10] points "
            "(6 seeds detect 0.60).",
        ),
        (
            {
                "a minus b": difference(0.4),
                "(a minus b) minus (c minus d)": difference(-0.3),
                "c minus d": difference(1, p=1),
            },
            "1 of 3 comparisons higher, 1 lower; largest: a minus b, +0.40 [+0.20, +0.60] points (p 0.03, 6 seeds).",
        ),
        (
            {"a minus b": difference(0.4), "c minus d": difference(0.3)},
            "2 of 2 comparisons higher; largest: a minus b, +0.40 [+0.20, +0.60] points (p 0.03, 6 seeds).",
        ),
    ],
)
def test_a_family_is_a_line_with_its_largest_difference(rows, line):
    lines, _ = said(planned=planned(teacher_content=rows))
    assert lines[0] == f"- **teacher content**: {line}"


def test_families_come_first_and_those_beyond_five_are_counted():
    families = {f"family{number}": {"a minus b": difference()} for number in range(7)}
    assert said(planned=planned(**families))[1][-1].endswith("The report has 2 more families.")
    families.popitem()
    lines, rest = said(planned=planned(**families))
    assert [line.split("**")[1] for line in lines[:5]] == list(families)[:5]
    assert rest[-1].endswith("The report has 1 more family.") and len(lines) == 7


def test_without_families_distillation_is_told_apart_from_variants_and_both_from_contrasts():
    rows = [difference(-0.7, variant="none"), difference(0.1, p=0.9, variant="spectral_first")]
    rows += [difference(0.2, p=0.8, variant="spectral_last")]
    other = difference(-0.3, p=0.4, contrast="place", variant="spectral_last", other="spectral_first")
    mixed = other | {"contrast": "place and dose"}
    lines, _ = said(variants=pd.DataFrame(rows).assign(baseline="soft"), dose_and_place=contrasts(other, mixed))
    assert lines[:3] == [
        "- **distillation**: soft minus none, +0.70 [+0.50, +0.90] points (p 0.03, 6 seeds).",
        "- **variants**: no detectable difference in 2 comparisons; largest: spectral_last minus soft, +0.20 [+0.00, "
        "+0.40] points (6 seeds detect 0.60).",
        "- **place**: no detectable difference: spectral_last minus spectral_first, -0.30 [-0.50, -0.10] points (6 "
        "seeds detect 0.60).",
    ]


def shape(*rows):
    """shape.parquet: (network, seed, metric, verdict, valley) a row."""
    named = dict.fromkeys(("network", "seed", "metric", "verdict", "valley"))
    known = pd.DataFrame(rows, columns=list(named)).assign(probe="balanced", p=0.5, images=320, scale="log")
    known = known.assign(valley_low=known["valley"] - 0.1, valley_high=known["valley"] + 0.1, verdict_published="-")
    ends = {"fall": 30.0, "fall_low": 28.0, "fall_high": 32.0, "rise": 20.0, "rise_low": 19.0, "rise_high": 21.0}
    nulls = {"fall_null": np.nan, "rise_null": np.nan, "p_skewed": 1.0, "depth": 0.2, "rms_per_bin": 9.0}
    shares = {"fall_scale_share": 1.0, "rise_scale_share": 0.95, "valley_block": 2}
    return known.assign(**ends, **nulls, **shares).astype({"seed": "Int64"})


def test_a_u_is_counted_by_networks_and_students_and_the_deepest_valley_named():
    rows = [("resnet", None, "intensity", "U-shaped", 0.4), ("resnet", None, "entropy", "not U-shaped", -0.1)]
    rows += [("cait", None, "entropy", "undecided", 0.1), ("soft", 0, "entropy", "not U-shaped", -0.4)]
    rows += [("soft", 1, "activation_magnitude", "U-shaped", 0.2), ("resnet_untrained", None, "entropy", "U-shaped", 9)]
    lines, _ = said(shape=shape(*rows))
    assert lines[0] == (
        "- **U over depth**: in 1 of 2 networks and 1 of 2 students (1 open); deepest valley: resnet's intensity, "
        "0.40 [0.30, 0.50] doublings, 320 images."
    )
    lines, _ = said(shape=shape(rows[1], rows[3]))
    assert lines[0] == (
        "- **U over depth**: in 0 of 1 network and 0 of 1 student; nearest: resnet's entropy, -0.10 [-0.20, "
        "0.00] doublings, 320 images."
    )


def test_one_network_without_students_is_told_by_its_profiles_scale_and_control():
    rows = [("vit", None, "intensity", "U-shaped", 0.4), ("vit", None, "activation_magnitude", "not U-shaped", 0.0)]
    rows += [("vit", None, "entropy", "undecided", 0.0), ("vit_untrained", None, "intensity", "not U-shaped", 0.0)]
    lines, (note,) = said(ALONE, shape=shape(*rows))
    assert lines == [
        "- **vit**: U in intensity, none in magnitude, open in entropy; intensity falls 30 % [28, 32], rises 20 % [19, "
        "21], 320 images.",
        "- **Scale** alone makes 1 of 1 U-shaped profile; vit_untrained has 0 (320 images).",
        "- **Accuracy**: vit 80.00 % (10,000 test images).",
        "- **Cannot show**: effects of distillation (no students), or of other weights; intervals are over these "
        "320 images alone.",
    ]
    assert note.startswith("Brackets are 95 % intervals over images.")


@pytest.mark.parametrize(
    ("verdicts", "said_of"),
    [
        (["not U-shaped"] * 3, "no U in intensity, entropy and magnitude; intensity falls"),
        (["undecided"] * 3, "shape undecided in intensity, entropy and magnitude; intensity falls"),
        (
            ["not U-shaped", "undecided", "undecided"],
            "no U in intensity, open in entropy and magnitude; intensity falls",
        ),
    ],
)
def test_a_network_without_a_u_says_in_what(verdicts, said_of):
    metrics = ("intensity", "entropy", "activation_magnitude")
    rows = [("vit", None, metric, verdict, 0.1) for metric, verdict in zip(metrics, verdicts, strict=True)]
    lines, _ = said(ALONE, shape=shape(*rows))
    assert lines[0].startswith(f"- **vit**: {said_of}") and "Scale" not in lines[1]


def test_more_networks_than_three_are_counted():
    who = names(("a", "b", "c", "d"), (), teacher=None)
    lines, _ = said(who, shape=shape(*[(name, None, "entropy", "U-shaped", 0.3) for name in who.networks]))
    assert lines[0].startswith("- **U over depth**: in 4 of 4 networks; deepest valley: a's entropy, 0.30 [0.20, 0.40]")
    lines, _ = said(who, runs=runs(who).assign(test_top1=[70.0, 80.0, 90.0, 75.0]))
    assert lines[0] == "- **Accuracy**: a 70.00 % and c 90.00 % (10,000 test images)."


def depth(p, directions=16.0):
    """depth.parquet with spectra and ranks of a teacher of two blocks and a student."""
    rows = [("cait", None, 0, p, 64), ("cait", None, 1, 0.5, 64), ("soft", 0, 0, 0.5, 32), ("soft", 0, 1, 0.5, 32)]
    known = pd.DataFrame(rows, columns=["network", "seed", "block", "amplitude_p", "channels"])
    band = {f"bandwidth_folded_95{end}": value for end, value in (("", 0.8), ("_null", 0.9), ("_null_low", 0.85))}
    band |= {"bandwidth_folded_95_null_high": 0.95, "epoch": 1, "probe": "balanced", "images": 320}
    return known.assign(**band, pca_rank_95_p99=directions).astype({"seed": "Int64"})


@pytest.mark.parametrize(("p", "count"), [(0.001, 1), (0.3, 0)])
def test_spectra_are_held_against_permuted_channels(p, count):
    lines, _ = said(depth=depth(p))
    assert (
        f"- **Spectra over channels**: {count} of 2 blocks differ from permuted channels; least p {p} (cait, block 0): "
        "bandwidth 0.80, permuted [0.85, 0.95], 320 images."
    ) in lines


@pytest.mark.parametrize(("controls", "said_of"), [(True, "; their untrained controls 0.30 (90"), (False, "0.70 (90")])
def test_the_most_alike_networks_stand_beside_their_controls(controls, said_of):
    pair = {"kind": "networks", "cka": 0.7, "images": 90}
    rows = [pair | {"network": "a", "other": "b"}, pair | {"network": "a", "other": "c", "cka": 0.5}]
    rows += [pair | {"network": "b_untrained", "other": "a_untrained", "kind": "controls", "cka": 0.3}] * controls
    lines, _ = said(names(("a", "b", "c"), (), teacher=None), networks=pd.DataFrame(rows))
    (line,) = [line for line in lines if "Likeness" in line]
    assert line.startswith("- **Likeness**: most alike of 2 pairs: a and b, CKA 0.70") and said_of in line


def test_accuracy_is_that_of_teacher_baseline_and_labels_alone():
    lines, _ = said(seeds=3)
    assert lines[0] == (
        "- **Accuracy**: teacher cait 80.00 %, soft 80.10 [79.85, 80.35] % and labels alone, none 80.10 [79.85, "
        "80.35] % (3 seeds, 10,000 test images)."
    )
    assert said(runs=runs().assign(test_top1=np.nan))[0][0].startswith("- **Cannot show**")


def test_what_cannot_be_shown_is_the_last_line():
    rows = pd.DataFrame([difference(variant="spectral_last", baseline="soft")])
    assert said(variants=rows, depth=depth(0.3))[0][-1] == (
        "- **Cannot show**: effects below 0.60 points (6 seeds), harm from too few channels (16 directions needed, 32 "
        "channels there), other teachers, images or recipes."
    )
    few = pd.DataFrame([difference(seeds=2, variant="spectral_last", baseline="soft")])
    assert said(seeds=2, variants=few, depth=depth(0.3, directions=40.0))[0][-1] == (
        "- **Cannot show**: any effect by a test (2 seeds of the 6 it takes), other teachers, images or recipes."
    )


def claims(*rows):
    """claims.parquet: (text, verdict, scale, estimate) a row."""
    return pd.DataFrame(rows, columns=["text", "verdict", "scale", "estimate"])


def test_claims_with_a_verdict_are_rows_and_the_others_are_counted():
    rows = [("Late hurts", "not testable here", "", "One width"), ("A U", "supported", "as scale", "vit 0.4 bits")]
    _, (table, other, _) = said(claims=claims(*rows))
    assert table.splitlines()[2:] == ["| A U | supported, as scale | vit 0.4 bits |"]
    assert other == "1 of 2 claims is not testable here; the report says why."
    _, (other, _) = said(ALONE, claims=claims(*rows[:1], *rows[:1]))
    assert other == "2 of 2 claims are not testable here; the report says why."
    rows.append(("B", "contradicted", "", "1 bit"))
    assert said(claims=claims(*rows[:0:-1]))[1][0].splitlines()[2:] == [
        "| A U | supported, as scale | vit 0.4 bits |",
        "| B | contradicted | 1 bit |",
    ]


@pytest.mark.parametrize(
    ("sentence", "estimate"),
    [
        ("All students have attention: none is convolutional.", "All students have attention: none is convolutional"),
        ("2 seeds: a test needs 6. last -0.2 [-0.4, +0.1] points, 2 seeds.", "last -0.2 [-0.4, +0.1] points, 2 seeds"),
        ("It is open: last +0.1 [+0.0, +0.2] points; 0.4 would be found.", "last +0.1 [+0.0, +0.2] points"),
        ("The null shows it: no block differs, least p 0.3.", "no block differs, least p 0.3"),
        ("There is harm: last -0.2 (no interval) points.", "last -0.2 (no interval) points"),
    ],
)
def test_the_number_of_a_claim_is_what_its_sentence_ends_with(sentence, estimate):
    assert _finding.estimate(sentence) == estimate


def test_every_summary_keeps_its_limits_however_long_what_it_tells_is():
    long = "(first_high minus first_high_shuffled) minus (last_high minus last_high_shuffled)"
    rows = {
        p: {long: difference(p=p), "a minus b": difference(p=p), "c minus d": difference(-0.1, p=p)}
        for p in (0.03, 0.9)
    }
    metrics = ("intensity", "entropy", "activation_magnitude")
    verdicts = itertools.product(["U-shaped", "not U-shaped", "undecided"], repeat=3)
    for own, (p, family) in itertools.product(verdicts, rows.items()):
        known = shape(*[("cait", None, metric, verdict, -0.5) for metric, verdict in zip(metrics, own, strict=True)])
        both = pd.concat([known, known.assign(network="soft", seed=0)], ignore_index=True)
        said(planned=planned(one=family, two=family), shape=both, depth=depth(p))
        said(names(("cait",), (), teacher=None), shape=known)


def test_decisions_are_those_of_the_joint_test():
    rows = [difference(p=p, seeds=seeds) for p, seeds in ((0.05, 6), (0.051, 6), (0.01, 5))]
    assert [westfall_young.decision(row) for row in rows] == ["better", "not found", "untested"]
    found = summary.family("x", [row | {"comparison": "a minus b"} for row in rows])
    assert (found["higher"], found["lower"], found["of"], found["tested"]) == (1, 0, 3, True)


def test_every_question_reads_what_the_summary_needs():
    read = {table for question in extensions.questions().values() for table in (*question.reads, *question.tables)}
    assert {"runs", "depth", "planned", "variants", "dose_and_place", "shape", "networks", "claims"} <= read
