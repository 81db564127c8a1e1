"""Entropy in other bins: shifted by half of one, over the range without the most extreme image; RMS per bin."""

import itertools

import numpy as np
import pytest
import torch

from distillation_dynamics.files import read_json, write_json
from distillation_dynamics.metrics import _histogram, entropy
from distillation_dynamics.metrics._limits import Limits
from distillation_dynamics.metrics.accumulator import Context
from distillation_dynamics.outputs import NotFinite
from distillation_dynamics.spec.measure import Settings
from streams import measure


def drawn():
    """Return features [L, B, C, H, W] of blocks of growing scale; image 4 has the largest value, 2 the smallest."""
    generator = np.random.default_rng(0)
    values = generator.normal(size=(3, 6, 24, 2, 3)) * 4.0 ** np.arange(3)[:, None, None, None, None]
    values[-1, 4, 3, 0, 0], values[-1, 2, 0, 1, 1] = 120, -90
    return values.astype(np.float32)


def streamed(features, sizes, bins=100, reference=None, folder=None):
    """Return the columns of features that come in batches of these sizes."""
    ends = np.cumsum([0, *sizes])
    batches = [[torch.from_numpy(b[i:j]) for b in features] for i, j in itertools.pairwise(ends)]
    metric = entropy.Metric(Settings(entropy_bins=bins), Context(reference=reference))
    found = measure(metric, batches)
    if folder is not None:
        metric.save(folder)
    return found


def literal(features, edges):
    """Return the mean token entropy [L, B] of features in bins with these edges; values outside in the end bins."""
    found = np.empty((*features.shape[:2], *features.shape[3:]))
    for at in np.ndindex(*found.shape):
        token = features[at[0], at[1], :, at[2], at[3]].clip(edges[0], edges[-1])
        share = np.histogram(token, bins=edges)[0] / len(token)
        found[at] = -(share[share > 0] * np.log2(share[share > 0])).sum()
    return found.mean(axis=(2, 3))


def shifted(edges):
    """Return the edges of bins from one middle to the next."""
    return np.concatenate([edges[:1], edges[:-1] + np.diff(edges) / 2, edges[-1:]])


@pytest.mark.parametrize("sizes", [(6,), (3, 2, 1), (1,) * 6])
@pytest.mark.parametrize("bins", [2, 7, 100, 101])
def test_other_bins_equal_a_literal_reference(sizes, bins, tmp_path):
    features = drawn()
    write_json(tmp_path / "range.json", {"low": -11.0, "high": 30.0, "inner_low": -10.0, "inner_high": 25.0})
    found = streamed(features, sizes, bins, tmp_path / "range.json")
    rest = np.delete(features, 4, axis=1)
    for name, limits, inner in (
        ("entropy", (features.min(), features.max()), (rest.min(), rest.max())),
        ("entropy_fixed_range", (-11.0, 30.0), (-10.0, 25.0)),
    ):
        edges = _histogram.bin_edges(bins, *map(float, limits))
        np.testing.assert_allclose(found[name], literal(features, edges), atol=1e-12)
        np.testing.assert_allclose(found[f"{name}_shifted"], literal(features, shifted(edges)), atol=1e-12)
        edges = _histogram.bin_edges(bins, *map(float, inner))
        np.testing.assert_allclose(found[f"{name}_without_extreme"], literal(features, edges), atol=1e-12)
    wide = features.astype(np.float64)
    scores = ((wide - wide.mean(axis=2, keepdims=True)) / wide.std(axis=2, keepdims=True)).astype(np.float32)
    edges = _histogram.bin_edges(bins, -5, 5)
    np.testing.assert_allclose(found["entropy_standardised"], literal(scores, edges), atol=1e-12)
    np.testing.assert_allclose(found["entropy_standardised_shifted"], literal(scores, shifted(edges)), atol=1e-12)
    assert (found["inner_low"], found["inner_high"]) == ([rest.min()] * 3, [rest.max()] * 3)


def test_rms_per_bin_equals_a_literal_reference(tmp_path):
    features = drawn() + 3
    write_json(tmp_path / "range.json", {"low": -11.0, "high": 30.0, "inner_low": -10.0, "inner_high": 25.0})
    found = streamed(features, (4, 2), 50, tmp_path / "range.json")
    deviation = features.astype(np.float64).std(axis=2).mean(axis=(2, 3))
    low, high = float(features.min()), float(features.max())
    np.testing.assert_allclose(found["rms_per_bin"], deviation / (high - low) * 50, rtol=1e-12)
    np.testing.assert_allclose(found["rms_per_bin_fixed_range"], deviation / 41 * 50, rtol=1e-12)
    np.testing.assert_array_equal(found["rms_per_bin_standardised"], np.full((3, 6), 5.0))


def test_the_most_extreme_image_is_that_whose_absence_narrows_the_range_most(tmp_path):
    features = drawn()
    streamed(features, (2, 4), folder=tmp_path)
    every = {image: np.ptp(np.delete(features, image, axis=1)) for image in range(6)}
    assert min(every, key=every.get) == 4
    kept, rest = read_json(tmp_path / "range.json"), np.delete(features, 4, axis=1)
    assert kept == {
        "low": features.min(), "high": features.max(), "inner_low": rest.min(), "inner_high": rest.max()
    }  # fmt: skip


def limits_of(values, size, groups=()):
    """Return the limits of images [B, ...] in batches, each image its values in two blocks."""
    limits = Limits(groups)
    for batch in torch.tensor(values, dtype=torch.float32)[:, None, None, None].split(size):
        limits.add({0: batch[..., :1], 1: batch[..., 1:]})
    return limits


@pytest.mark.parametrize("size", [1, 2, 8])
@pytest.mark.parametrize("seed", range(8))
def test_limits_equal_those_of_all_values(seed, size):
    values = np.random.default_rng(seed).integers(-6, 6, size=(8, 3)).astype(float)
    limits = limits_of(values, size)
    assert limits.all == (values.min(), values.max())
    rest = [(one.min(), one.max()) for one in (np.delete(values, image, axis=0) for image in range(8))]
    low, high = limits.without_extreme
    assert (low, high) in rest and high - low == min(b - a for a, b in rest)


def test_images_of_one_group_are_left_out_together():
    values = [[-9.0, 1], [0, 8], [-2, 9], [-8, 0], [-1, 2]]
    assert limits_of(values, 2).without_extreme == (-8, 9)
    assert limits_of(values, 2, groups=[0, 1, 2, 0, 3]).without_extreme == (-2, 9)
    assert limits_of(values, 1, groups=[7] * 5).without_extreme == (-9, 9)
    features = drawn()
    groups = np.array([0, 1, 2, 3, 4, 4])
    metric = entropy.Metric(context=Context(groups=groups))
    found = measure(metric, [[torch.from_numpy(b[:3]) for b in features], [torch.from_numpy(b[3:]) for b in features]])
    rest = features[:, :4]
    assert (found["inner_low"], found["inner_high"]) == ([rest.min()] * 3, [rest.max()] * 3)


def test_one_image_leaves_the_range_that_it_has():
    limits = limits_of([[-2.0, 1.0]], 1)
    assert limits.all == limits.without_extreme == (-2, 1)
    features = drawn()[:1, :1]
    found = streamed(features, (1,))
    np.testing.assert_array_equal(found["entropy_without_extreme"], found["entropy"])


def test_constant_features_have_no_entropy_in_any_bins():
    found = streamed(np.full((2, 3, 8, 1, 2), 7, np.float32), (3,))
    for name in ("", "_shifted", "_without_extreme", "_standardised_shifted"):
        np.testing.assert_array_equal(found[f"entropy{name}"], np.zeros((2, 3)))
    for name in ("rms_per_bin", "rms_per_bin_fixed_range"):
        np.testing.assert_array_equal(found[name], np.zeros((2, 3)))


def test_what_is_no_number_is_refused_in_the_first_pass():
    with pytest.raises(NotFinite, match="block 0"):
        limits_of([[1.0, 2.0], [float("nan"), 0.0]], 2)


def test_of_tokens_within_a_bin_the_edges_alone_decide():
    """Tokens of a tenth of a bin: in the middle of a bin there is no entropy, across an edge a bit."""
    values = np.random.default_rng(0).normal(size=(2, 8, 384, 2, 2)).astype(np.float32) * 0.1
    values[1] *= 100
    values[1].ravel()[:2] = -50, 50
    found = {bins: streamed(values, (8,), bins) for bins in (100, 101)}
    assert found[100]["entropy"][0].mean() > 0.99 and found[101]["entropy"][0].mean() < 0.01
    assert found[100]["entropy_shifted"][0].mean() < 0.01 and found[101]["entropy_shifted"][0].mean() > 0.99
    for one in found.values():
        assert np.mean(one["rms_per_bin"], axis=1) == pytest.approx([0.1, 10], rel=0.03)
        assert np.ptp([one["entropy"][1].mean(), one["entropy_shifted"][1].mean()]) < 0.01
