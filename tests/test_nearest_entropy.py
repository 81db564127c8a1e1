"""Entropy without bins: closed forms, a literal version, awkward values."""

import numpy as np
import pytest
import torch
from scipy.special import digamma

from distillation_dynamics import metrics
from distillation_dynamics.metrics import nearest_entropy
from distillation_dynamics.outputs import NotFinite, Outputs
from streams import measure


def literal(values, neighbour=4):
    """Return the estimate of one token: of each value the distances to all others, sorted."""
    values = np.asarray(values, dtype=np.float64)
    distances = [np.sort(np.abs(np.delete(values, i) - values[i]))[neighbour - 1] for i in range(len(values))]
    return (digamma(len(values)) - digamma(neighbour) + np.log(2) + np.mean(np.log(distances))) / np.log(2)


def measured(values, name="entropy_nearest"):
    """Return a column of one block [B, C, H, W]."""
    return metrics.measure("nearest_entropy", [values])[name][0]


@pytest.mark.parametrize("channels", [5, 6, 45, 384])
@pytest.mark.parametrize("kind", [np.float32, np.float64, np.float16])
def test_it_equals_a_literal_version(channels, kind):
    values = np.random.default_rng(0).standard_t(3, size=(3, channels, 2, 3)).astype(kind)
    expected = [[literal(token) for token in image.reshape(channels, -1).T] for image in values]
    np.testing.assert_allclose(measured(values), np.mean(expected, axis=1), rtol=1e-6)
    deviations = values.astype(np.float64).std(axis=1).reshape(3, -1)
    scale_free = np.mean(expected - np.log2(deviations), axis=1)
    np.testing.assert_allclose(measured(values, "entropy_nearest_standardised"), scale_free, rtol=1e-6)
    assert measured(values, "tied_tokens").tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("draw", "bits"),
    [("standard_normal", np.log2(2 * np.pi * np.e) / 2), ("random", 0.0), ("standard_exponential", np.log2(np.e))],
)
def test_it_comes_near_the_entropy_of_known_densities(draw, bits):
    values = getattr(np.random.default_rng(0), draw)((8, 384, 10, 10))
    assert measured(values).mean() == pytest.approx(bits, abs=0.015)
    assert measured(8 * values).mean() == pytest.approx(bits + 3, abs=0.015)
    assert measured(values[:, :48]).mean() == pytest.approx(bits, abs=0.06)


def test_only_the_scale_moves_it_and_standardising_takes_that_out():
    values = np.random.default_rng(0).normal(size=(2, 64, 3, 3))
    for moved, bits in ((values + 5, 0), (-values, 0), (values * 1024, 10), (values[:, ::-1].copy(), 0)):
        np.testing.assert_allclose(measured(moved), measured(values) + bits, atol=1e-9)
        scale_free = measured(values, "entropy_nearest_standardised")
        np.testing.assert_allclose(measured(moved, "entropy_nearest_standardised"), scale_free, atol=1e-9)


def test_a_huge_outlier_moves_it_by_its_own_share_alone():
    values = np.random.default_rng(0).normal(size=(2, 384, 3, 3)).astype(np.float32)
    before = measured(values)
    values[:, 0] = 1e6
    assert np.abs(measured(values) - before).max() < 30 / 384
    values[:, :2] = [[[[3e38]], [[-3e38]]]]
    assert np.isfinite(measured(values)).all()


def test_tokens_without_a_density_are_left_out():
    values = np.random.default_rng(0).normal(size=(3, 16, 1, 2)).astype(np.float32)
    values[0, :4, 0, 0] = 1
    expected = [np.mean([literal(token) for token in image[:, 0].T]) for image in values]
    np.testing.assert_allclose(measured(values), expected, rtol=1e-6)
    values[0, :5, 0, 0] = 1
    values[1] = 3
    values[2] = values[2].clip(0)
    np.testing.assert_allclose(measured(values)[0], literal(values[0, :, 0, 1]), rtol=1e-6)
    assert measured(values, "tied_tokens").tolist() == [0.5, 1, 1]
    for name in ("entropy_nearest", "entropy_nearest_standardised"):
        assert np.isnan(measured(values, name)[1:]).all()


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_few_channels_have_the_neighbours_that_there_are(channels):
    values = np.random.default_rng(0).normal(size=(2, channels, 2, 1))
    found = measured(values)
    if channels == 1:
        assert np.isnan(found).all()
        return
    expected = [[literal(token, channels - 1) for token in image[..., 0].T] for image in values]
    np.testing.assert_allclose(found, np.mean(expected, axis=1), rtol=1e-6)


def test_batches_and_chunks_move_nothing_but_rounding(monkeypatch):
    blocks = [torch.randn(5, 32, 3, 2), torch.randn(5, 48, 2, 2)]
    whole = measure(nearest_entropy.Metric(), [blocks])
    monkeypatch.setattr(nearest_entropy, "CHUNK_VALUES", 1)
    parts = measure(nearest_entropy.Metric(), [[b[:2] for b in blocks], [b[2:] for b in blocks]])
    for name, columns in whole.items():
        for ours, other in zip(columns, parts[name], strict=True):
            np.testing.assert_allclose(ours, other, rtol=1e-13)


def test_what_is_no_number_is_refused():
    with pytest.raises(NotFinite, match="block 0"):
        nearest_entropy.Metric().update(Outputs(features={0: torch.full((1, 4, 1, 1), torch.nan)}))
