"""Fall and rise over depth, their test, what of them is scale, the references of width, and the words for all of it."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from asked import said
from distillation_dynamics import metrics
from distillation_dynamics.questions.shape import references, scale
from distillation_dynamics.questions.shape import shapes as shape
from distillation_dynamics.spec.tables import PUBLISHED_IMAGE_SET
from distillation_dynamics.statistics import thresholds
from distillation_dynamics.statistics.u_shape import fall_and_rise
from frames import frame
from made_up import names
from streams import layer_entropy

GENERATOR = np.random.default_rng(11)
SMALLEST = np.log2(1.05)


@pytest.fixture(autouse=True)
def no_warnings():
    """What is expected to be degenerate must not warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


# --- the test ---


def literal_p(difference):
    """One-sided p of a positive mean by Hall's transformation of t, never below that of t; and -skewness / sqrt(n)."""
    images = len(difference)
    skewness = stats.skew(difference, bias=False)
    ratio = difference.mean() / difference.std(ddof=1)
    hall = ratio + skewness * ratio**2 / 3 + skewness**2 * ratio**3 / 27 + skewness / (6 * images)
    p = stats.ttest_1samp(difference, 0, alternative="greater").pvalue
    return max(p, stats.t.sf(np.sqrt(images) * hall, images - 1)) if skewness < 0 else p, -skewness / np.sqrt(images)


def literal(values, scale):
    """The definition of fall_and_rise.tested, a loop over interior blocks."""
    images, blocks = values.shape
    p, p_checked, none = [], [], []
    for m in range(1, blocks - 1):
        ends = [values[:, 0], values[:, -1]]
        if scale == "log":
            differences = [np.log2(end / values[:, m]) - SMALLEST for end in ends]
            differences += [end - 1.05 * values[:, m] for end in ends]
        elif scale == "bits":
            differences = [end - values[:, m] - SMALLEST for end in ends]
        else:
            differences = [(end - values[:, m]) / np.abs(values.mean(axis=0)).max() - 0.05 for end in ends]
        worst, skew = (max(part) for part in zip(*map(literal_p, differences), strict=True))
        agreed = all((difference > 0).all() for difference in differences)
        p.append(worst)
        p_checked.append(1 if images < 20 or (skew > 0.08 and not agreed) else worst)
        none.append(min(literal_p(-difference)[0] for difference in differences))
    return [min(1, (blocks - 2) * min(part)) for part in (p_checked, p)] + [min(1, len(differences) * max(none))]


@pytest.mark.parametrize("kind", ["log", "bits", "linear"])
@pytest.mark.parametrize("images", [5, 24, 60])
def test_the_test_of_fall_and_rise_is_its_definition(kind, images):
    for bend in (-0.3, 0, 0.3, 2):
        for skewed in (False, True):
            noise = GENERATOR.normal(size=(images, 6))
            noise = np.exp(noise) - 1.6 if skewed else noise
            curve = 3 + bend * np.linspace(-1, 1, 6) ** 2 + 0.2 * noise
            values = np.exp(curve) if kind == "log" else curve if kind == "bits" else curve - 3
            found = fall_and_rise.tested(values, fall_and_rise.scale_of(values, kind == "bits"))
            np.testing.assert_allclose(found[:3], literal(values, kind), rtol=1e-9)


def test_data_sets_tested_together_are_those_tested_alone():
    values = np.exp(GENERATOR.normal(size=(2, 3, 25, 5)))
    together = fall_and_rise.tested(values, fall_and_rise.LOG)
    for place in np.ndindex(2, 3):
        assert [part[place] for part in together] == list(fall_and_rise.tested(values[place], fall_and_rise.LOG))


@pytest.mark.parametrize(
    ("profile", "p", "none"),
    [([2.0, 1, 2], 0, 1), ([2.0, 2, 2], 1, 0), ([3.0, 2, 1], 1, 0), ([2.0, 1.93, 2], 1, 0), ([0.0, 0, 0], 1, 0)],
)
def test_a_change_that_is_the_same_in_all_images_is_certain(profile, p, none):
    values = np.tile(profile, (30, 1))
    for scale_name in (fall_and_rise.BITS, fall_and_rise.LINEAR if profile[0] == 0 else fall_and_rise.LOG):
        assert fall_and_rise.tested(values, scale_name)[:3] == (p, p, none)


@pytest.mark.parametrize("size", [(10, 2), (1, 5), (4, 1)])
def test_without_an_interior_block_or_a_second_image_nothing_is_tested(size):
    assert np.isnan(fall_and_rise.tested(np.ones(size), fall_and_rise.BITS)).all()
    found = fall_and_rise.sizes(np.ones(size), fall_and_rise.BITS)
    assert np.isnan(found["fall_low"]) and (found["valley_block"] is None) == (size[1] < 3)


def test_two_images_and_a_huge_outlier_make_no_u():
    assert fall_and_rise.tested(np.array([[2.0, 1, 2], [2.1, 1, 2]]), fall_and_rise.LOG).p == 1
    values = np.array([1.0, 0.5, 1.0]) * np.exp(0.01 * GENERATOR.normal(size=(30, 3)))
    assert fall_and_rise.tested(values, fall_and_rise.LOG).p < 1e-10
    values[0, 1] = 1e12
    assert fall_and_rise.tested(values, fall_and_rise.LOG).p == 1


def test_a_u_of_the_typical_image_alone_is_none():
    # Equal means, and a middle block so skewed that its typical value is lower.
    values = np.ones((400, 3)) + 0.01 * GENERATOR.normal(size=(400, 3))
    values[:, 1] = np.exp(GENERATOR.normal(size=400))
    values[:, 1] /= values[:, 1].mean()
    found = fall_and_rise.tested(values, fall_and_rise.LOG)
    assert fall_and_rise.sizes(values, fall_and_rise.LOG)["valley"] > 0.3 and found.p > 0.05


def test_fall_and_rise_are_those_of_the_mean_logarithm_and_of_bits():
    values = np.array([[4.0, 1, 2], [1.0, 1, 8]])
    found = fall_and_rise.sizes(values, fall_and_rise.LOG)
    # log2: falls 2 and 0, rises 1 and 3.
    assert (found["fall"], found["rise"]) == (pytest.approx(50), pytest.approx(300))
    assert found["valley"] == pytest.approx(1) and found["valley_block"] == 1
    found = fall_and_rise.sizes(values, fall_and_rise.BITS)
    assert (found["fall"], found["rise"], found["valley"]) == (1.5, 4, 1.5)
    found = fall_and_rise.sizes(values - 1, fall_and_rise.LINEAR)
    assert (found["fall"], found["rise"]) == (pytest.approx(37.5), pytest.approx(100))


def test_the_scale_is_that_of_the_values():
    assert [fall_and_rise.scale_of(np.array(values), bits) for values, bits in (([1, 2], False), ([0, 2], False))] == [
        "log",
        "linear",
    ]
    assert fall_and_rise.scale_of(np.array([0.0, 2]), True) == "bits"


def test_the_interval_is_students_and_reaches_further_where_values_are_skewed():
    symmetric = np.array([-2.0, -1, 0, 1, 2]) + 7
    expected = stats.ttest_1samp(symmetric, 0).confidence_interval(1 - 0.05 / 3)
    assert fall_and_rise.interval(symmetric, 3) == pytest.approx((expected.low, expected.high))
    skewed = -np.exp(GENERATOR.normal(size=40))
    low, high = fall_and_rise.interval(skewed, 1)
    plain = stats.ttest_1samp(skewed, 0).confidence_interval(0.95)
    assert low < plain.low and high == pytest.approx(plain.high)
    # At its lower end the test has p = 2.5 %.
    assert literal_p(skewed - low)[0] == pytest.approx(0.025)
    assert np.isnan(fall_and_rise.interval(np.ones(1), 1)).all() and fall_and_rise.interval(np.ones(9), 2) == (1, 1)


# --- what scale makes of it ---


def written(path, curves, images=120, noise=0.01, network="dino", epoch=None):
    """Write a scalars table of one network, metric -> mean curve; bits scatter by differences, others by factors."""
    blocks = len(next(iter(curves.values())))
    columns = {"block": np.repeat(np.arange(blocks), images), "image": np.tile(np.arange(images), blocks)}
    table = frame({"network": network, "seed": None, "epoch": epoch, "probe": "balanced", **columns})
    for metric, curve in curves.items():
        scatter = noise * GENERATOR.normal(size=(images, blocks))
        values = curve + scatter if metric in shape.IN_BITS else curve * np.exp(scatter)
        table[metric] = values.T.ravel()
    table.assign(group=table["image"]).to_parquet(path)
    return path


def depth_of(curves, channels=384, network="dino", epoch=None, **more):
    """The rows of depth.parquet that go with it."""
    rows = {"network": network, "seed": None, "epoch": epoch, "probe": "balanced", "channels": channels} | curves | more
    return frame(rows | {"block": np.arange(len(next(iter(curves.values()))))})


DINO_RMS = np.array([1.0, 0.75, 0.59, 0.8, 1.5, 3, 5, 8, 12, 18, 25, 30.7])
DINO = {
    "intensity": 0.886 / np.sqrt(384) * DINO_RMS,
    "rms": DINO_RMS,
    "intensity_permuted": 0.8863 / np.sqrt(384) * DINO_RMS,
    "entropy_standardised": np.array([4.92, 5, 5.05, 5.1, 5.15, 5.19, 5.18, 5.15, 5.1, 5.05, 5, 4.97]),
}


NO_SHAPES = pd.DataFrame(columns=[*shape.SHAPE_COLUMNS])
NO_REFERENCES = pd.DataFrame(columns=[*references.REFERENCE_COLUMNS])


@pytest.fixture
def dino(tmp_path):
    """Shapes of a network as a pretrained ViT-S/14: intensity falls by 41 %, then grows 52-fold, all of it scale."""
    alone = references.references_of(
        depth_of(DINO, entropy_bins=100, range_low=-60, range_high=60, fixed_low=-9, fixed_high=9)
    )
    return shape.shapes_of([written(tmp_path / "s.parquet", DINO)], alone)[0], alone


def test_a_u_that_the_linear_range_hides_is_found_and_said_to_be_scale(dino):
    table, _ = dino
    row = table.set_index("metric").loc["intensity"].to_dict()
    assert row["verdict"] == "U-shaped" and row["verdict_published"] == "not U-shaped" and row["depth"] < 0.02
    assert row["fall"] == pytest.approx(41, abs=0.5) and row["rise"] / 100 + 1 == pytest.approx(52, abs=0.5)
    assert row["fall_low"] < row["fall"] < row["fall_high"] and row["p_adjusted"] < 1e-60
    for name in ("fall_scale_share", "rise_scale_share", "rms_correlation"):
        assert row[name] == pytest.approx(1, abs=0.01)
    text = section(table)
    assert "intensity falls by 41 % to block 2 and rises 52-fold to the last: a U of scale; the" in text
    assert (
        "Intensity of dino is U-shaped: it falls by 41 % to block 2 and rises 52-fold to the last; the published"
        in text
    )
    assert "less than 0.10: the linear range is that of its largest values" in text
    assert table.set_index("metric").loc["entropy_standardised", "verdict"] == "not U-shaped"


def test_a_network_of_near_identities_is_flat(tmp_path):
    curve = 1 + 0.0008 * np.linspace(-1, 1, 12) ** 2
    table, _ = shape.shapes_of([written(tmp_path / "s.parquet", {"activation_magnitude": curve}, noise=1e-5)])
    row = table.iloc[0].to_dict()
    assert row["verdict"] == "flat" and row["p_any"] < 1e-9 and row["verdict_published"] == "U-shaped"
    text = section(table)
    assert text.startswith("**dino is flat in activation magnitude (120 images).**")
    assert ": its blocks differ by only 0.079 %, whatever p and depth 1 of the range." in text


@pytest.mark.parametrize(("metric", "curve"), [("intensity", [1, 0.97, 1.0]), ("entropy", [4.0, 3.95, 4])])
def test_a_fall_below_the_smallest_change_is_none_and_is_said_to_be(metric, curve, tmp_path):
    table, _ = shape.shapes_of([written(tmp_path / "s.parquet", {metric: np.array(curve)})])
    row = table.iloc[0].to_dict()
    assert (row["verdict"], row["verdict_published"]) == ("not U-shaped", "U-shaped")
    assert ("less than 0.07 bits" if metric == "entropy" else "less than a factor of 1.05") in section(table)


def test_a_u_of_entropy_is_held_against_bits_of_scale_and_of_gaussian_tokens(tmp_path):
    rms = np.array([2.0, 1, 2, 4])
    alone = references.references_of(
        depth_of({"rms": rms}, 64, entropy_bins=100, range_low=-20, range_high=20, fixed_low=-20, fixed_high=20)
    )
    entropy = alone["entropy"].to_numpy()
    table, _ = shape.shapes_of([written(tmp_path / "s.parquet", {"entropy": entropy, "rms": rms})], alone)
    row = table.set_index("metric").loc["entropy"]
    assert row["fall_rms"] == pytest.approx(1, abs=0.01) and row["rise_rms"] == pytest.approx(2, abs=0.01)
    assert row["fall_gaussian"] == pytest.approx(entropy[0] - entropy[1]) and row["fall_scale_share"] == pytest.approx(
        1, abs=0.01
    )
    without, _ = shape.shapes_of([written(tmp_path / "s.parquet", {"entropy": entropy})])
    row = without.iloc[0].to_dict()
    assert np.isnan(row["fall_scale_share"]) and "| -, - |" in section(without)


def section(table, references=NO_REFERENCES):
    """What is said of the shapes of one network, dino, which has no control."""
    return "\n".join(said("shape", names(("dino",), teacher=None, controls=()), shape=table, references=references))


def row_of(**more):
    """What is said of a row as shapes have them, a fall by 20 % and a rise by 30 %."""
    row = dict.fromkeys(shape.SHAPE_COLUMNS, np.nan)
    row |= {"probe": "balanced", "role": "paper", "seed": None, "blocks": 5, "p": 0.01, "images_left_out": 0}
    row |= {"metric": "intensity", "network": "dino", "scale": "log", "images": 50, "valley_block": 2, "valley": 0.3}
    row |= {"fall": 20.0, "fall_low": 15.0, "fall_high": 25.0, "rise": 30.0, "rise_low": 22.0, "rise_high": 41.0}
    row |= {"verdict": "U-shaped", "verdict_published": "U-shaped", "depth": 0.5, "p_adjusted": 0.01, "p_skewed": 0.01}
    row |= {"p_none": 1.0, "p_any_adjusted": 0.01, "skew": 0.0, "relative_range": 0.3, "rms_correlation": 0.5}
    row |= {"fall_gaussian": 10.0, "fall_scale_share": 0.5, "rise_scale_share": 0.4, "fall_null": np.nan}
    return section(frame([row | more]))


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({}, ""),
        ({"verdict": "not U-shaped", "verdict_published": "not U-shaped"}, ""),
        ({"verdict_published": "not U-shaped", "depth": 0.013}, "less than 0.10: the linear range"),
        ({"verdict_published": "not U-shaped", "p_any_adjusted": 0.3}, "but p = 0.3 of its means by themselves"),
        ({"verdict": "not U-shaped"}, "only in the typical image (mean logarithm), not in the mean over images"),
        (
            {"verdict": "not U-shaped", "valley": 0.01},
            "less than a factor of 1.05, the smallest change",
        ),
        ({"verdict": "not U-shaped", "valley": 0.01, "scale": "linear"}, "less than 5 % of the largest mean"),
        (
            {"verdict": "undecided", "p_adjusted": 1, "skew": 0.2},
            "too skewed for 50 images: -skewness / sqrt(n) is 0.2",
        ),
        ({"verdict": "undecided", "images": 9}, "with 9 images, fewer than 20, the skewness"),
        ({"verdict": "undecided", "p_skewed": 0.2}, "falls by 20 % [15, 25] to block 2 and rises by 30 % [22, 41]"),
    ],
)
def test_a_verdict_that_contradicts_the_eye_says_why(changed, reason):
    text = row_of(**changed)
    assert reason in text and bool(reason) == (f"Intensity of dino is {changed.get('verdict', 'U-shaped')}:" in text)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, "| 50, 40 |"),
        ({"fall_scale_share": 0.95, "rise_scale_share": 1.2}, "| 95, 120 |"),
        ({"fall_scale_share": -0.2}, "| -20, 40 |"),
        ({"rise_scale_share": np.nan}, "| 50, - |"),
    ],
)
def test_the_share_of_scale_is_said(changed, expected):
    assert expected in row_of(**changed)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (
            {"fall": -3.21, "fall_low": -4.0, "fall_high": -2.0},
            "| -3.2 % [-4, -2] | 2 of 0 to 4 | 30 % [22, 41] |",
        ),
        (
            {"scale": "bits", "fall": 0.314, "rise": 1.0},
            "| 0.31 bits [15.00, 25.00] | 2 of 0 to 4 | 1.00 bits [",
        ),
        ({"rise": 5100.0}, "| 52-fold ["),
        ({"fall": np.nan}, "| U-shaped | - | 2 of 0 to 4 |"),
    ],
)
def test_a_change_is_said_in_its_unit(changed, expected):
    assert expected in row_of(**changed)


# --- references ---


@pytest.mark.parametrize(("channels", "bits"), [(48, 4.593), (64, 4.761)])
def test_standardised_gaussian_tokens_have_the_entropy_that_the_metric_measures(channels, bits):
    tokens = np.random.default_rng(5).normal(size=(1, 16, channels, 16, 16)).astype(np.float32)
    assert references.standardised_entropy(channels, 100) == pytest.approx(bits, abs=0.004)
    measured = np.mean(metrics.measure("entropy", tokens)["entropy_standardised"])
    assert references.standardised_entropy(channels, 100) == pytest.approx(measured, abs=0.006)


def test_the_entropy_and_intensity_of_gaussian_tokens_are_what_the_metrics_measure_of_them():
    for channels, deviation in ((12, 0.7), (33, 2.0)):
        tokens = deviation * np.random.default_rng(6).normal(size=(1, 32, channels, 12, 12))
        entropy = layer_entropy(tokens.astype(np.float32), limits=(-1.5, 4))[0]
        assert references.gaussian_entropy(channels, deviation, 100, -1.5, 4) == pytest.approx(entropy, abs=0.01)
        intensity = metrics.measure("spectrum", tokens)["amplitude"][0]
        for dc in (True, False):
            expected = deviation * references.gaussian_intensity(channels, dc)
            assert expected == pytest.approx(intensity[0 if dc else 1 :].mean(), rel=0.01)


def test_degenerate_references_have_values():
    assert references.standardised_entropy(1, 100) == 0
    assert references.gaussian_entropy(1, 1.0, 100, 0, 0) == 0
    assert np.isnan(references.gaussian_intensity(1, dc=False))


def test_the_table_of_references_holds_the_last_epoch():
    early = depth_of({"rms": np.ones(2)}, 48, epoch=1)
    late = depth_of({"rms": np.full(2, 2.0)}, 48, epoch=3, attention_entropy_uniform=np.log2(17))
    table = references.references_of(pd.concat([early, late, late.assign(probe=PUBLISHED_IMAGE_SET)]))
    assert list(table.columns) == list(references.REFERENCE_COLUMNS) and len(table) == 2
    assert set(table["epoch"]) == {3} and table["entropy"].isna().all() and table["entropy_standardised"].isna().all()
    np.testing.assert_allclose(table["intensity"], 2 * 0.8825 / np.sqrt(48), rtol=1e-4)
    np.testing.assert_allclose(table["attention_entropy"], np.log2(17))


def test_scale_has_nothing_to_say_of_what_has_no_factors():
    row = {"metric": "intensity", "role": "paper", "scale": "linear", "valley_block": 1}
    assert np.isnan(list(scale.references_of(row, {"intensity": np.ones(3), "rms": np.ones(3)}, {}).values())).all()
    assert thresholds.SMALLEST_FACTOR == 1.05


def test_images_of_one_photograph_count_as_one(tmp_path):
    curve = np.array([3.0, 2.0, 4.0])
    path = written(tmp_path / "scalars.parquet", {"rms": curve}, images=60, noise=0.2)
    table = pd.read_parquet(path)
    # Of 60 images 40 are two crops each of 20 photographs, in any order; the others are alone.
    photograph = np.random.default_rng(1).permutation([*np.repeat(np.arange(20), 2), *range(20, 40)])
    table["group"] = photograph[table["image"]]
    table.to_parquet(path)
    ((metric, values),) = shape.read_values(path, "dino", None, None, "balanced")
    means = table.groupby(["group", "block"])["rms"].mean().unstack()
    assert metric == "rms"
    np.testing.assert_allclose(values, means.to_numpy(), rtol=1e-12)
    row = shape.shapes_of([path])[0].iloc[0]
    assert row["images"] == 40


def test_copies_of_images_bring_no_evidence(tmp_path):
    curve = np.array([3.0, 2.9, 3.05])
    path = written(tmp_path / "scalars.parquet", {"rms": curve}, images=30, noise=0.05)
    once = shape.shapes_of([path])[0].iloc[0]
    table = pd.read_parquet(path)
    copies = [table.assign(image=table["image"] + 30 * number) for number in range(8)]
    pd.concat(copies).to_parquet(path)
    again = shape.shapes_of([path])[0].iloc[0]
    assert again["images"] == 30 and again["p"] == pytest.approx(once["p"])
