"""The null of the amplitudes: its draws are exact, few fall outside its band by chance, and it holds on odd widths."""

import numpy as np
import pytest
import torch

from distillation_dynamics.metrics import permutation
from distillation_dynamics.metrics.permutation import AmplitudeNull, band, permutations


def tokens_of(channels, tokens, seed, common):
    """Tokens [1, C, 1, N] whose channels are exchangeable, with or without a mean vector that all tokens share."""
    generator = np.random.default_rng(seed)
    values = generator.exponential(size=(channels, tokens)) * generator.exponential(size=(channels, 1))
    return values[None, :, None] + common * 3 * generator.standard_normal((1, channels, 1, 1))


def amplitude(block):
    """Mean amplitude [C // 2 + 1] of a block [B, C, H, W], literally."""
    return np.abs(np.fft.rfft(block, axis=1)).mean(axis=(0, 2, 3)) / block.shape[1]


@pytest.mark.parametrize("channels", [4, 6, 12, 48])
def test_every_draw_is_the_amplitude_of_some_order_of_the_channels(channels):
    """Of a token that is zero but for one channel every amplitude is 1 / C, whatever the order."""
    block = torch.zeros(1, channels, 1, 1, dtype=torch.float64)
    block[0, channels // 3] = 1
    null = AmplitudeNull(channels, 200, 0)
    null.update(block)
    np.testing.assert_allclose(null.sums, 1 / channels, rtol=1e-12)
    # Of two channels, what differs are the d-th roots that they get: the same with probability (C / d - 1) / (C - 1).
    block[0, 0] = 1
    null = AmplitudeNull(channels, 20000, 0)
    null.update(block)
    for order in set(null.orders.tolist()) - {1}:
        drawn = null.sums[:, null.orders == order].ravel() * channels
        roots = 2 * np.abs(np.cos(np.pi * np.arange(order) / order))
        assert np.abs(drawn[:, None] - roots).min(axis=1).max() < 1e-9
        same = (channels / order - 1) / (channels - 1)
        assert np.mean(drawn > 2 - 1e-9) == pytest.approx(same, abs=0.03)


@pytest.mark.parametrize("channels", [12, 45, 53, 96])
def test_mean_and_band_are_those_of_plain_permutations(channels):
    block = tokens_of(channels, 30, 1, common=1)
    plain = np.stack([amplitude(block[:, order]) for order in permutations(channels, 4000, 7)])
    null = AmplitudeNull(channels, 4000, 0)
    null.update(torch.from_numpy(block))
    ours, expected = null.bands(amplitude(block), 1), band(plain)
    spread = plain.std(axis=0)[1:]
    np.testing.assert_allclose(ours[0][1:], expected[0][1:], atol=5 * spread.max() / np.sqrt(2000))
    for mine, theirs in zip(ours[1:3], expected[1:], strict=True):
        # A percentile of 4000 draws is known to some 3 % of their spread where they are many values.
        assert (np.abs(mine - theirs)[1:] < 0.25 * spread + 1e-12).all()


@pytest.mark.parametrize("channels, common", [(48, 1), (45, 0), (53, 1)])
def test_one_bin_in_twenty_falls_outside_by_chance_whatever_its_order(channels, common):
    trials, outside, orders = 200, [], None
    for trial in range(trials):
        block = tokens_of(channels, 12, trial, common)
        null = AmplitudeNull(channels, 200, trial)
        null.update(torch.from_numpy(block))
        observed = amplitude(block)
        _, low, high, _ = null.bands(observed, 1)
        outside.append((observed < low * (1 - 1e-9)) | (observed > high * (1 + 1e-9)))
        orders = null.plan.orders
    share = np.mean(outside, axis=0)
    assert share[0] == 0
    for order in set(orders.tolist()) - {1}:
        bins = orders == order
        # Bins of one order are nearly independent; four standard errors, of a share that is 5 to 6 %.
        error = 4 * np.sqrt(0.06 * 0.94 / (trials * np.sum(bins)))
        assert 0.045 - error < share[bins].mean() < 0.06 + error, (order, share[bins].mean())


def test_batches_and_chunks_only_add_up():
    block = torch.from_numpy(tokens_of(24, 40, 3, 1)).reshape(1, 24, 8, 5).movedim(2, 0).reshape(8, 24, 1, 5)
    whole, parts = AmplitudeNull(24, 50, 0), AmplitudeNull(24, 50, 0)
    together = whole.update(block)
    apart = [parts.update(part) for part in block.split(3)]
    np.testing.assert_allclose(np.concatenate(apart, axis=1), together, rtol=1e-12)
    np.testing.assert_allclose(parts.sums, whole.sums, rtol=1e-12)
    for number, order in enumerate(whole.plan.shuffles):
        for image in range(8):
            np.testing.assert_allclose(together[number, image], amplitude(block[image : image + 1, order].numpy()))


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_no_order_of_three_channels_changes_an_amplitude(channels):
    block = tokens_of(channels, 5, 0, 1)
    null = AmplitudeNull(channels, 200, 0)
    assert null.update(torch.from_numpy(block)) is None
    for values in null.bands(amplitude(block), 1)[:3]:
        np.testing.assert_array_equal(values, amplitude(block))


@pytest.mark.parametrize("channels", [5, 7, 48, 105, 384, 383])
def test_there_are_as_many_draws_of_every_bin_as_asked_for_and_all_of_them_the_first_time_again(channels):
    null = AmplitudeNull(channels, 200, 3)
    for order in set(null.plan.orders.tolist()) - {1}:
        assert null.sums[:, null.orders == order].size >= 200
    block = torch.from_numpy(tokens_of(channels, 4, 0, 1)).float()
    null.update(block)
    again = AmplitudeNull(channels, 200, 3)
    again.update(block)
    np.testing.assert_array_equal(null.sums, again.sums)


def test_the_largest_float32_values_do_not_overflow():
    block = torch.full((2, 48, 2, 2), 3e38)
    null = AmplitudeNull(48, 200, 0)
    drawn = null.update(block)
    assert np.isfinite(drawn).all() and np.isfinite(null.sums).all()


def test_the_fewest_blocks_that_are_turned():
    assert permutation._classes(384, 2) == 48 and permutation._classes(384, 32) == 32
    assert permutation._classes(384, 96) == 96
