"""One test a curve: literal form, error rate, a smooth code, and what cannot be drawn."""

import numpy as np
import pytest
import torch

from distillation_dynamics.metrics import _global, _gram, sep, spectrum
from distillation_dynamics.metrics._global import around, global_test
from distillation_dynamics.metrics.permutation import permutations
from distillation_dynamics.spec.measure import Settings
from streams import measure


def literal(curve, permuted):
    """Distances of all curves from the others, one after the other, and the p value of the first."""
    curves, distances = [curve, *permuted], []
    for number, one in enumerate(curves):
        others = np.array([other for place, other in enumerate(curves) if place != number])
        distances.append(max(np.abs(one - others.mean(axis=0)) / others.std(axis=0, ddof=1)))
    return distances, np.mean([distance >= distances[0] for distance in distances])


@pytest.mark.parametrize("kind", ["normal", "lognormal", "outlier"])
def test_distance_and_p_are_those_of_the_literal_form(kind):
    generator = np.random.default_rng(0)
    permuted = {"normal": generator.normal, "lognormal": generator.lognormal}.get(kind, generator.standard_cauchy)(
        size=(39, 12)
    )
    for curve in (permuted.mean(axis=0), permuted[0] + 1, permuted.max(axis=0) * 3, permuted[3]):
        distances, p = literal(curve, permuted)
        found = global_test(curve, permuted)
        np.testing.assert_allclose(_global.others_distances(np.array([curve, *permuted])), distances, atol=1e-12)
        assert found.distance == pytest.approx(distances[0]) and found.p == pytest.approx(p)
        low, high = around(permuted.mean(axis=0), permuted.std(axis=0, ddof=1), found.critical)
        assert bool(((curve < low) | (curve > high)).any()) == (found.p <= 0.05)
        # Beyond it lies one of the 39 with the observed curve, 2 of 40, and no more.
        assert np.sum(np.array(distances[1:]) > found.critical * (1 + 1e-9)) == 1
        assert np.isclose(distances[1:], found.critical).any()


def test_what_no_order_changes_is_at_no_distance_and_what_has_no_values_is_nan():
    assert global_test(np.ones(4), np.ones((39, 4))) == (0, 1, 0)
    assert np.isnan(global_test(np.full(4, np.nan), np.ones((39, 4)))).all()
    # A bin that only rounding moves does not count.
    permuted = np.random.default_rng(0).normal(size=(39, 2)) * [1, 1e-14] + 5
    assert global_test(np.array([5, 5 + 1e-12]), permuted).distance < 1


def test_ties_count_and_few_permutations_have_no_band():
    permuted = np.array([[0.0], [1], [0], [1], [1]])
    assert global_test(np.array([0.0]), permuted).p == 1
    found = global_test(np.array([9.0]), permuted)
    assert found.p == pytest.approx(1 / 6) and np.isnan(found.critical)


def test_energies_of_a_gram_are_those_of_its_tokens_under_every_order():
    for channels in (1, 2, 7, 12):
        tokens = np.random.default_rng(channels).normal(size=(9, channels))
        for order in permutations(channels, 3, 1):
            expected = (np.abs(np.fft.rfft(tokens[:, order], axis=1)) ** 2).sum(axis=0)
            found = _gram.energies(_gram.lags(tokens.T @ tokens, order[None])[0], channels)
            np.testing.assert_allclose(found, expected, atol=1e-12)


def test_a_metric_tests_its_root_mean_square_amplitude_over_all_batches():
    block = np.random.default_rng(0).normal(size=(6, 16, 2, 3)) * np.linspace(0.2, 3, 16)[:, None, None]
    found = measure(spectrum.Metric(Settings(permutations=39, seed=5)), [[block[:4]], [block[4:]]])
    orders = [np.arange(16), *permutations(16, 39, 5)]
    # The constant term is the same under every order, but for rounding.
    curves = [np.sqrt((np.abs(np.fft.rfft(block[:, order], axis=1)) ** 2).mean(axis=(0, 2, 3)))[1:] for order in orders]
    distances, p = literal(curves[0], curves[1:])
    assert found["amplitude_p"] == [pytest.approx(p)] and found["amplitude_distance"] == [pytest.approx(distances[0])]


def exchangeable(channels, seed):
    """Skewed tokens [1, C, 1, 12] of unequal channels around a mean that all share: what a network's may be like."""
    generator = np.random.default_rng(seed)
    values = generator.exponential(size=(channels, 12)) * generator.exponential(size=(channels, 1))
    return values[None, :, None] + 3 * generator.standard_normal((1, channels, 1, 1))


@pytest.mark.parametrize("channels, trials", [(45, 200), (96, 100), (384, 30)])
def test_one_curve_in_twenty_is_called_different_by_chance(channels, trials):
    p, outside = [], []
    for trial in range(trials):
        block = torch.from_numpy(exchangeable(channels, trial))
        found = measure(spectrum.Metric(Settings(permutations=39, seed=trial)), [[block]])
        folded = measure(sep.Metric(Settings(permutations=39, seed=trial)), [[block]])
        p.append((found["amplitude_p"][0], folded["sep_folded_p"][0]))
        low, high, curve = (found[f"amplitude{name}"][0] for name in ("_band_low", "_band_high", ""))
        outside.append(((curve < low * (1 - 1e-9)) | (curve > high * (1 + 1e-9))).any())
    # Four standard errors of a share of 5 %.
    error = 4 * np.sqrt(0.05 * 0.95 / trials)
    assert (np.abs(np.mean(np.array(p) <= 0.05, axis=0) - 0.05) < error).all()
    assert abs(np.mean(outside) - 0.05) < error + 0.01
    assert np.abs(np.mean(p, axis=0) - 0.5).max() < 4 * np.sqrt(1 / 12 / trials) + 0.013


def test_a_smooth_code_is_called_different():
    noise = np.random.default_rng(0).normal(size=(4, 48, 3, 3))
    smooth = noise + 0.5 * np.roll(noise, 1, axis=1) + 0.5 * np.roll(noise, -1, axis=1)
    for module, name in ((spectrum, "amplitude"), (sep, "sep_folded")):
        found = measure(module.Metric(Settings(permutations=99)), [[smooth]])
        assert found[f"{name}_p"] == [0.01] and found[f"{name}_distance"][0] > 3
