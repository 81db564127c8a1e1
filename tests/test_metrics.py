"""Every metric against a literal float64 reference, closed forms and awkward input."""

import numpy as np
import pytest
import torch

from distillation_dynamics import metrics

SHAPES = [(3, 4, 8, 2, 3), (1, 1, 1, 1, 1), (2, 1, 7, 3, 3), (1, 5, 192, 1, 2)]


def reference_spectrum(features):
    return np.abs(np.fft.fft(features.astype(np.float64), axis=2)).mean(axis=(1, 3, 4)) / features.shape[2]


def reference_entropy(features, bins, low, high):
    edges = np.histogram_bin_edges(np.empty(0, np.float32), bins, (float(low), float(high)))
    blocks, images, _, rows, columns = features.shape
    result = np.empty((blocks, images, rows, columns))
    for index in np.ndindex(*result.shape):
        block, image, row, column = index
        counts, _ = np.histogram(features[block, image, :, row, column], bins=edges)
        share = counts[counts > 0] / counts.sum()
        result[index] = -(share * np.log2(share)).sum()
    return result


def draw(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy, list])
def test_metrics_equal_literal_references(shape, kind):
    array = draw(shape)
    features = kind(array)
    spectrum = reference_spectrum(array)
    entropy = reference_entropy(array, 100, array.min(), array.max())
    np.testing.assert_allclose(metrics.channel_spectrum(features), spectrum, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(metrics.spectral_intensity(features), spectrum.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(metrics.token_entropy(features), entropy, atol=1e-12)
    np.testing.assert_allclose(metrics.layer_entropy(features), entropy.mean(axis=(1, 2, 3)), atol=1e-12)
    magnitude = np.abs(array.astype(np.float64)).mean(axis=(1, 2, 3, 4))
    np.testing.assert_allclose(metrics.activation_magnitude(features), magnitude, rtol=1e-12)


@pytest.mark.parametrize("bins", [1, 2, 10, 100, 257])
@pytest.mark.parametrize("limits", [(-1.7, 3.3), (0.0, 1.0), (-1e-3, 1e-3), (-3e38, 3e38)])
def test_values_on_the_bin_edges_fall_where_numpy_puts_them(bins, limits):
    edges = np.histogram_bin_edges(np.empty(0, np.float32), bins, limits).astype(np.float32)
    below, above = np.nextafter(edges[1:], np.float32(-np.inf)), np.nextafter(edges[:-1], np.float32(np.inf))
    values = np.concatenate([edges, below, above]).reshape(1, 1, -1, 1, 1)
    ours = metrics.token_entropy(values, bins, limits)
    np.testing.assert_allclose(ours, reference_entropy(values, bins, *limits), atol=1e-12)


def test_float16_is_widened_before_anything_is_computed():
    half = draw((2, 3, 6, 2, 2)).astype(np.float16)
    wide = half.astype(np.float32)
    for name in ("channel_spectrum", "token_entropy", "activation_magnitude"):
        np.testing.assert_array_equal(getattr(metrics, name)(half), getattr(metrics, name)(wide))
    bfloat = torch.from_numpy(wide).bfloat16()
    np.testing.assert_array_equal(metrics.token_entropy(bfloat), metrics.token_entropy(bfloat.float()))


@pytest.mark.parametrize("value", [0.0, 1.0, -3.5, 1e30, 1e-40])
def test_constant_features_have_no_entropy(value):
    features = np.full((2, 3, 5, 2, 2), value, np.float32)
    np.testing.assert_array_equal(metrics.layer_entropy(features), [0, 0])


def test_each_value_in_a_bin_of_its_own_gives_log2_of_the_channels():
    features = np.linspace(0, 1, 64, dtype=np.float32).reshape(1, 1, 64, 1, 1)
    np.testing.assert_allclose(metrics.layer_entropy(features, bins=64), 6)


def test_a_range_too_narrow_for_float32_edges_still_separates_values():
    features = np.array([1e9, 1e9 + 64], np.float32).reshape(1, 1, 2, 1, 1)
    np.testing.assert_allclose(metrics.layer_entropy(features), 1)


def test_values_outside_a_given_range_count_in_the_end_bins():
    features = np.array([-9, 0.05, 0.95, 9], np.float32).reshape(1, 1, 4, 1, 1)
    np.testing.assert_allclose(metrics.layer_entropy(features, 10, (0, 1)), 1)


def test_one_outlier_in_one_block_lowers_the_entropy_of_every_block():
    features = draw((3, 2, 64, 2, 2))
    before = metrics.layer_entropy(features)
    features[1, 0, 0, 0, 0] = 40
    assert (metrics.layer_entropy(features) < before - 1).all()


def test_a_one_hot_token_has_a_flat_spectrum():
    features = np.zeros((1, 1, 8, 1, 1), np.float32)
    features[0, 0, 3] = 2
    np.testing.assert_allclose(metrics.channel_spectrum(features), np.full((1, 8), 2 / 8))


def test_a_cosine_over_channels_has_two_bins():
    wave = np.cos(2 * np.pi * 3 * np.arange(16) / 16)
    expected = np.zeros((1, 16))
    expected[0, [3, 13]] = 0.5
    np.testing.assert_allclose(metrics.channel_spectrum(wave.reshape(1, 1, 16, 1, 1)), expected, atol=1e-15)


def test_huge_outliers_do_not_overflow():
    features = draw((1, 2, 8, 2, 2))
    features[0, 0, :, 0, 0] = 3e38
    assert np.isfinite(metrics.channel_spectrum(features)).all()
    assert np.isfinite(metrics.activation_magnitude(features)).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("metric", ["channel_spectrum", "spectral_intensity", "layer_entropy", "activation_magnitude"])
def test_nan_or_infinity_is_an_error_that_names_block_and_image(bad, metric):
    features = draw((4, 20, 3, 2, 2))
    features[3, 17, 0, 1, 1] = bad
    with pytest.raises(ValueError, match="block 3, image 17"):
        getattr(metrics, metric)(features)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (0, 1, 1, 1, 1), (1, 0, 2, 2, 2), (1, 1, 0, 1, 1)])
def test_a_wrong_shape_is_an_error(shape):
    with pytest.raises(ValueError, match="features"):
        metrics.channel_spectrum(np.zeros(shape, np.float32))


@pytest.mark.parametrize(("bins", "limits"), [(0, None), (10, (1, 0)), (10, (0, np.inf)), (10, (np.nan, 1))])
def test_impossible_bins_or_ranges_are_errors(bins, limits):
    with pytest.raises(ValueError, match=r"bins|value_range"):
        metrics.token_entropy(draw((1, 1, 4, 1, 1)), bins, limits)


def test_memory_maps_and_chunks_change_nothing(tmp_path, monkeypatch):
    features = draw((2, 9, 6, 3, 3))
    whole = metrics.channel_spectrum(features), metrics.token_entropy(features)
    for number, block in enumerate(features):
        np.save(tmp_path / f"{number}.npy", block)
    maps = [np.load(tmp_path / f"{number}.npy", mmap_mode="r") for number in range(2)]
    monkeypatch.setattr("distillation_dynamics.metrics.blocks.CHUNK_VALUES", 120)
    np.testing.assert_array_equal(metrics.channel_spectrum(maps), whole[0])
    np.testing.assert_array_equal(metrics.token_entropy(maps), whole[1])


def test_image_scalars_average_to_the_block_metrics():
    features = draw((1, 5, 6, 2, 3))
    scalars = metrics.image_scalars(features[0])
    np.testing.assert_allclose(scalars["activation_magnitude"].mean(), metrics.activation_magnitude(features)[0])
    np.testing.assert_allclose(metrics.image_intensity(features[0]).mean(), metrics.spectral_intensity(features)[0])
    norms = np.linalg.norm(features[0].astype(np.float64), axis=1)
    np.testing.assert_allclose(scalars["token_norm_maximum"], norms.max(axis=(1, 2)))
    np.testing.assert_allclose(scalars["standard_deviation"], features[0].astype(np.float64).std(axis=(1, 2, 3)))


def test_cosine_to_the_first_block_equals_a_literal_reference(monkeypatch):
    features = draw((3, 5, 7, 2, 3))
    features[1, 2, :, 0, 0] = 0
    features[2] = -1e-20 * features[0]
    first = features[0].astype(np.float64)
    expected = []
    for block in features.astype(np.float64):
        norms = np.linalg.norm(first, axis=1) * np.linalg.norm(block, axis=1)
        expected.append(np.mean((first * block).sum(axis=1) / np.where(norms == 0, 1, norms)))
    np.testing.assert_allclose(metrics.cosine_to_first(features), expected, atol=1e-12)
    assert expected[0] == pytest.approx(1) and expected[2] == pytest.approx(-1)
    monkeypatch.setattr(metrics.blocks, "CHUNK_VALUES", 50)
    np.testing.assert_allclose(metrics.cosine_to_first(features), expected, atol=1e-12)
    with pytest.raises(ValueError, match="block 1 has shape"):
        metrics.cosine_to_first([draw((1, 2, 3, 3)), draw((1, 2, 3, 4))])
