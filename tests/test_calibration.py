"""The test of a U on simulated networks whose truth is known: seldom U-shaped without a valley, nearly always with one.

24 blocks of values in bits, or of positive ones: the middle blocks scatter normally, skewed or with heavy tails, up to
10 times as much as the ends. `benchmarks/shapes.py` has more cases, more often.
"""

import sys

import numpy as np
import pytest
from scipy import stats

from conftest import ROOT
from distillation_dynamics.statistics.u_shape import fall_and_rise, published_reading

sys.path.insert(0, str(ROOT / "benchmarks"))
import shapes

BLOCKS, ROUNDS = shapes.BLOCKS, 3
SIMULATIONS = ROUNDS * shapes.AT_ONCE
# More would be found in one of a thousand runs were the rate 5 %.
MOST = stats.binom.ppf(0.999, SIMULATIONS, 0.05)
PLACE = np.linspace(0, 1, BLOCKS)
LOG_DECAY = -np.log(1 + 9 * PLACE) / np.log(10)
WITHOUT_VALLEY = {
    "flat": np.zeros(BLOCKS),
    "log decay": LOG_DECAY,
    "decay, then plateau": np.maximum(LOG_DECAY, LOG_DECAY[8]) / -LOG_DECAY[8],
    "convex increase": PLACE**2,
}
SYMMETRIC = 4 * (PLACE - 0.5) ** 2


def asymmetric(rise):
    """Down by 1 until a quarter of the depth, then up by `rise` until the end."""
    return np.interp(PLACE, [0, 0.25, 1], [1, 0, rise])


def called(curve, images, kind="normal", spread=1, dependent=True, equal="bits", seed=20):
    """How many of SIMULATIONS networks are U-shaped by t, U-shaped, and undecided for their skewness."""
    generator, total = np.random.default_rng(seed), 0
    for _ in range(ROUNDS):
        scatter = shapes.noise(generator, images, kind, spread, dependent)
        for name, values, scale in shapes.data_sets(scatter, curve):
            total = total + (shapes.counts(values, scale) if name == equal else 0)
    return total


@pytest.mark.parametrize("images", [32, 256])
@pytest.mark.parametrize("name", WITHOUT_VALLEY)
def test_at_most_one_curve_in_twenty_without_a_valley_is_called_u_shaped(name, images):
    # In bits as much as blocks of one image scatter.
    assert called(WITHOUT_VALLEY[name] / 5, images)[1] <= MOST


@pytest.mark.parametrize("spread", [1, 5, 10])
@pytest.mark.parametrize("kind", shapes.KINDS)
def test_skewed_and_heavy_tailed_middle_blocks_make_no_valley_of_few_images(kind, spread):
    for dependent in (True, False):
        assert called(np.ones(BLOCKS), 32, kind, spread, dependent)[1] <= MOST


@pytest.mark.parametrize("kind", ["lognormal .5", "lognormal 1", "t3"])
def test_skewed_and_heavy_tailed_middle_blocks_make_no_valley_of_many_images(kind):
    for spread in (1, 10):
        assert called(np.ones(BLOCKS), 320, kind, spread)[1] <= MOST


@pytest.mark.parametrize("kind", ["lognormal .5", "lognormal 1", "t3"])
@pytest.mark.parametrize("equal", ["means", "mean logarithms"])
def test_positive_values_of_equal_means_or_equal_mean_logarithms_are_no_valley(equal, kind):
    for spread in (3, 10):
        assert called(np.ones(BLOCKS), 32, kind, spread, False, equal)[1] <= MOST


def test_a_plain_t_test_does_not_hold_its_level_there():
    plain, tested, skewed = called(np.ones(BLOCKS), 32, "lognormal 1", 10, False)
    assert plain > 0.4 * SIMULATIONS and tested + skewed < plain


@pytest.mark.parametrize(
    ("profile", "images", "power"),
    [
        pytest.param(SYMMETRIC, 32, 0.75, id="symmetric, 32 images"),
        pytest.param(SYMMETRIC, 256, 0.8, id="symmetric, 256 images"),
        pytest.param(asymmetric(0.8), 32, 0.7, id="lopsided, 32 images"),
        # A rise of .6 of the scatter is more than 32 images show reliably.
        pytest.param(asymmetric(0.6), 32, 0.35, id="lopsided and shallow, 32 images"),
        pytest.param(asymmetric(0.6), 256, 0.8, id="lopsided and shallow, 256 images"),
    ],
)
def test_a_valley_is_found(profile, images, power):
    assert called(profile / 5, images)[1] >= power * SIMULATIONS


@pytest.mark.parametrize("kind", ["lognormal .5", "lognormal 1", "t3"])
def test_a_valley_a_quarter_deep_is_found_in_skewed_values_of_many_images_too(kind):
    assert called(shapes.VALLEY, 320, kind, 1, equal="means")[1] >= 0.9 * SIMULATIONS


def test_a_change_at_the_threshold_is_called_one_in_at_most_one_of_twenty():
    # The fall and the rise are exactly the smallest change: the hardest case without a valley, of one interior block.
    curve = np.array([1.05, 1, 1.05])
    values = curve * np.exp(0.1 * np.random.default_rng(3).normal(size=(2000, 40, 3)))
    assert np.mean(fall_and_rise.tested(values, fall_and_rise.LOG).p <= 0.05) <= 0.05
    # With the fall alone there, as many as the level allows.
    values[..., 2] *= 2
    assert np.mean(fall_and_rise.tested(values, fall_and_rise.LOG).p <= 0.05) <= 0.065


def test_simulated_noise_is_as_dependent_and_as_spread_as_it_is_said_to_be():
    generator = np.random.default_rng(0)
    noise = shapes.noise(generator, 256, "normal", 3, True)
    # var(x_t+1 - x_t) = 2 (1 - .95) of the middle blocks.
    assert np.diff(noise[..., 1:-1], axis=-1).var() == pytest.approx(0.1 * 9, rel=0.02)
    for kind in shapes.KINDS:
        values = shapes.standardised(generator.normal(size=10**6), kind)
        assert values.mean() == pytest.approx(0, abs=0.01) and values.std() == pytest.approx(1, rel=0.05)


def test_the_smallest_of_many_adjusted_p_values_keeps_the_level_over_a_family():
    # 30 networks without a valley in each of 10 families: families with any U-shaped network stay rare.
    generator, curve = np.random.default_rng(5), WITHOUT_VALLEY["decay, then plateau"]
    p = [
        fall_and_rise.tested(curve + shapes.noise(generator, 32, "normal", 1, True), fall_and_rise.BITS).p
        for _ in range(3)
    ]
    families = np.concatenate(p).reshape(10, 30)
    assert np.mean([(published_reading.adjusted(family) <= 0.05).any() for family in families]) <= 0.1
