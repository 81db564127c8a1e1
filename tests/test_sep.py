"""Spectral energy patterns and their null against literal Fourier transforms in float64."""

import numpy as np
import pytest
import torch

from distillation_dynamics.metrics import sep
from distillation_dynamics.metrics.blocks import checked
from distillation_dynamics.metrics.permutation import band, permutations
from distillation_dynamics.spec.measure import Settings
from streams import measure

SHAPES = [(4, 8, 2, 3), (3, 7, 2, 2), (2, 1, 2, 2), (1, 2, 1, 1), (1, 33, 1, 1)]


def draw(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def tokens_of(block):
    return np.moveaxis(block.astype(np.float64), 1, 3).reshape(-1, block.shape[1])


def reference_shares(block):
    """Mean over tokens that are not zero of each one's energy share by bin, [C], one token after the other."""
    shares = []
    for token in tokens_of(block):
        power = np.abs(np.fft.fft(token)) ** 2
        if power.sum() > 0:
            shares.append(power / power.sum())
    return np.mean(shares, axis=0)


def reference_folded(block):
    shares = reference_shares(block)
    channels = len(shares)
    return np.cumsum([sum(shares[j] for j in {k, (channels - k) % channels}) for k in range(channels // 2 + 1)])


def reference_bandwidth(cumulative, level):
    return next(k + 1 for k, share in enumerate(cumulative) if share >= level - 1e-9) / len(cumulative)


def features_of(tokens):
    """Features [1, C, N, 1] of tokens [N, C]."""
    return np.asarray(tokens, dtype=np.float64).T[None, :, :, None]


def gram_of(block):
    """What the metric sums over a block."""
    return sep._unit_gram(checked(block, 0), 0).numpy()


def published(block):
    return sep._two_sided(gram_of(block))


def folded_of(block):
    return sep.gram_sep_folded(gram_of(block))


def permuted(block, count, seed=0):
    return sep._permuted(gram_of(block), count, seed)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
def test_sep_equals_a_literal_reference(shape, kind):
    block = draw(shape)
    block[0, :, 0, 0] *= 1e4
    np.testing.assert_allclose(folded_of(kind(block)), reference_folded(block), atol=1e-13)
    np.testing.assert_allclose(published(kind(block)), np.cumsum(reference_shares(block)), atol=1e-13)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_null_is_the_pattern_of_tokens_whose_channels_were_permuted(shape):
    block = draw(shape)
    orders = permutations(shape[1], 5, seed=3)
    expected = [reference_folded(block[:, order]) for order in orders]
    np.testing.assert_allclose(permuted(block, 5, seed=3), expected, atol=1e-13)


def test_the_stream_equals_the_functions_whatever_the_batches():
    blocks = [draw((6, 9, 2, 2), 1), draw((6, 16, 1, 3), 2)]
    settings = Settings(permutations=21, seed=5)
    batches = [[torch.from_numpy(b[i:j]) for b in blocks] for i, j in ((0, 1), (1, 4), (4, 6))]
    found = measure(sep.Metric(settings), batches)
    assert set(found) == set(sep.BIN_COLUMNS) | set(sep.BLOCK_COLUMNS)
    for number, block in enumerate(blocks):
        channels, half = block.shape[1], block.shape[1] // 2 + 1
        curves = {name: found[name][number] for name in sep.BIN_COLUMNS}
        assert all(values.shape == (channels,) for values in curves.values())
        assert all(np.isnan(values[half:]).all() for name, values in curves.items() if name != "sep")
        curve, folded = published(block), folded_of(block)
        null = permuted(block, 21, seed=5)
        np.testing.assert_allclose(curves["sep"], curve, atol=1e-13)
        np.testing.assert_allclose(curves["sep_folded"][:half], folded, atol=1e-13)
        for key, expected in zip(("null", "null_low", "null_high"), band(null), strict=True):
            np.testing.assert_allclose(curves[f"sep_folded_{key}"][:half], expected, atol=1e-13)
        for level, percent in zip(sep.LEVELS, (80, 90, 95, 99), strict=True):
            assert found[f"bandwidth_{percent}"][number] == reference_bandwidth(curve, level)
            assert found[f"bandwidth_folded_{percent}"][number] == reference_bandwidth(folded, level)
            widths = [reference_bandwidth(drawn, level) for drawn in null]
            name = f"bandwidth_folded_{percent}_null"
            assert found[name][number] == pytest.approx(np.mean(widths))
            limits = found[f"{name}_low"][number], found[f"{name}_high"][number]
            np.testing.assert_allclose(limits, np.percentile(widths, [2.5, 97.5], method="weibull"))


def test_a_token_counts_the_same_whatever_its_size():
    waves = np.array([np.cos(2 * np.pi * k * np.arange(16) / 16) for k in (1, 5)])
    folded = folded_of(features_of(waves * [[1e30], [1e-30]]))
    np.testing.assert_allclose(folded[[0, 1, 4, 5]], [0, 0.5, 0.5, 1], atol=1e-15)


def test_a_gram_weighs_tokens_by_their_energy():
    waves = np.array([np.cos(2 * np.pi * k * np.arange(16) / 16) for k in (1, 5)]) * [[3], [1]]
    folded = sep.gram_sep_folded(waves.T @ waves)
    np.testing.assert_allclose(folded[[0, 1, 4, 5]], [0, 0.9, 0.9, 1], atol=1e-15)


def test_tokens_of_zeros_are_left_out_and_nothing_else_is_nan():
    block = draw((3, 6, 2, 2))
    block[0, :, 1, 1] = block[2] = 0
    np.testing.assert_allclose(folded_of(block), reference_folded(block), atol=1e-13)
    found = measure(sep.Metric(), [[np.zeros((2, 4, 2, 2))]])
    assert all(np.isnan(np.asarray(values)).all() for values in found.values())


def test_rounding_adds_no_bin_to_a_bandwidth():
    shares = np.cumsum([0.7, 0.1, 0.2])
    assert shares[1] < 0.8
    assert sep.bandwidth(shares, 0.8) == pytest.approx(2 / 3)
    assert sep.bandwidth(shares, 0.8 + 1e-9) == 1


def test_half_precision_is_widened_and_chunks_change_nothing(monkeypatch):
    half = draw((7, 5, 2, 2)).astype(np.float16)
    whole = folded_of(half.astype(np.float32))
    monkeypatch.setattr("distillation_dynamics.metrics.blocks.CHUNK_VALUES", 40)
    np.testing.assert_allclose(folded_of(half), whole, atol=1e-15)


def test_permutations_are_orders_of_all_channels_and_repeat_with_their_seed():
    orders = permutations(50, 20, seed=1)
    assert orders.shape == (20, 50) and orders.dtype == np.int64
    np.testing.assert_array_equal(np.sort(orders, axis=1), np.tile(np.arange(50), (20, 1)))
    assert len({tuple(order) for order in orders}) == 20
    np.testing.assert_array_equal(orders, permutations(50, 20, seed=1))
    assert (orders != permutations(50, 20, seed=2)).any()


def test_a_band_is_mean_and_percentiles_over_the_first_axis():
    # The 1st and the 39th of 39 draws: one more falls before or behind them once in 20 times.
    values = np.arange(1, 40)[:, None] + [0, 10]
    np.testing.assert_allclose(band(values), [[20, 30], [1, 11], [39, 49]])
    np.testing.assert_allclose(band(np.arange(1.0, 80)), [40, 2, 78])
    np.testing.assert_allclose(band(np.array([3.0])), [3, 3, 3])
