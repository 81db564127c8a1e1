"""Every metric against a literal float64 reference, closed forms and awkward input."""

import itertools

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from distillation_dynamics import metrics
from distillation_dynamics.files import read_json, write_json
from distillation_dynamics.metrics import _histogram
from distillation_dynamics.metrics import entropy as entropy_module
from distillation_dynamics.metrics import magnitude as magnitude_module
from distillation_dynamics.metrics import spectrum as spectrum_module
from distillation_dynamics.metrics.accumulator import Context
from distillation_dynamics.spec.measure import STANDARDISED_RANGE, Settings
from streams import layer_entropy, measure, token_entropy

SHAPES = [(3, 4, 8, 2, 3), (1, 1, 1, 1, 1), (2, 1, 7, 3, 3), (1, 5, 192, 1, 2)]


def reference_spectrum(features):
    return np.abs(np.fft.fft(features.astype(np.float64), axis=2)).mean(axis=(1, 3, 4)) / features.shape[2]


def reference_entropy(features, bins, low, high):
    """Literal NumPy on float32 tokens over the range of two float32 numbers."""
    blocks, images, _, rows, columns = features.shape
    result = np.empty((blocks, images, rows, columns))
    for index in np.ndindex(*result.shape):
        block, image, row, column = index
        token = features[block, image, :, row, column].astype(np.float32)
        counts, edges = np.histogram(token, bins=bins, range=(np.float32(low), np.float32(high)))
        if high > low and (high - low) / bins < 1e-36:
            # There the bins that NumPy counts in are not those whose edges it returns; ours are.
            counts, _ = np.histogram(token, bins=edges)
        result[index] = bits_of(counts)
    return result


def bits_of(counts):
    share = counts[counts > 0] / counts.sum()
    return -(share * np.log2(share)).sum()


def spectrum_of(features):
    return metrics.measure("spectrum", features, permutations=20)["amplitude"]


def intensity_of(features):
    return np.mean(metrics.measure("spectrum", features, permutations=20)["intensity"], axis=1)


def magnitude_of(features):
    return np.mean(metrics.measure("magnitude", features)["activation_magnitude"], axis=1)


def standardised(features):
    edges = _histogram.bin_edges(100, *STANDARDISED_RANGE)
    return [
        _histogram.token_entropy(torch.from_numpy(block), index, edges, standardise=True)
        for index, block in enumerate(features)
    ]


def draw(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy, list])
def test_metrics_equal_literal_references(shape, kind):
    array = draw(shape)
    features = kind(array)
    spectrum = reference_spectrum(array)
    entropy = reference_entropy(array, 100, array.min(), array.max())
    # float32 is transformed in float32: exact to its rounding of the largest amplitude, not of each.
    np.testing.assert_allclose(spectrum_of(features), spectrum, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(intensity_of(features), spectrum.mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose(token_entropy(features), entropy, atol=1e-12)
    np.testing.assert_allclose(layer_entropy(features), entropy.mean(axis=(1, 2, 3)), atol=1e-12)
    magnitude = np.abs(array.astype(np.float64)).mean(axis=(1, 2, 3, 4))
    np.testing.assert_allclose(magnitude_of(features), magnitude, rtol=1e-12)


@pytest.mark.parametrize("bins", [1, 2, 10, 100, 257])
@pytest.mark.parametrize("limits", [(-1.7, 3.3), (0.0, 1.0), (-1e-3, 1e-3), (-3e37, 3e37)])
def test_values_on_the_bin_edges_fall_where_numpy_puts_them(bins, limits):
    edges = np.linspace(*map(np.float32, limits), bins + 1, dtype=np.float32)
    below, above = np.nextafter(edges[1:], np.float32(-np.inf)), np.nextafter(edges[:-1], np.float32(np.inf))
    values = np.concatenate([edges, below, above]).reshape(1, 1, -1, 1, 1)
    ours = token_entropy(values, bins, limits)
    np.testing.assert_allclose(ours, reference_entropy(values, bins, *limits), atol=1e-12)


SCALES = [1e-45, 1e-41, 1e-38, 1e-30, 1e-12, 1e-3, 1.0, 7.0, 1e4, 1e20, 1e37]
SHIFTS = [0.0, -0.7, 1.0, -3.0, 50.0, 3e3]


@pytest.mark.parametrize("bins", [1, 2, 7, 100, 1000])
@pytest.mark.parametrize("kind", [np.float32, np.float16, np.float64])
def test_entropy_equals_literal_numpy_in_odd_cases(bins, kind):
    """66 ranges: tiny, huge, subnormal, far from zero, of one value, of values on edges."""
    compared = 0
    for number, (scale, shift) in enumerate(itertools.product(SCALES, SHIFTS)):
        generator = np.random.default_rng(number)
        values = scale * (generator.standard_normal((1, 1, 61, 2, 2)) + shift)
        if number % 5 == 0:
            values = np.round(values / scale) * scale
        if number % 7 == 0:
            values[...] = values.flat[0]
        with np.errstate(over="ignore", under="ignore"):
            features = values.astype(kind)
            short = features.astype(np.float32)
        if not np.isfinite(short).all():
            continue
        try:
            expected = reference_entropy(short, bins, short.min(), short.max())
        except ValueError as error:
            # NumPy refuses bins that float32 cannot tell apart; the float64 edges are ours.
            assert "Too many bins" in str(error)
            assert np.isfinite(token_entropy(features, bins)).all()
            continue
        compared += 1
        np.testing.assert_allclose(token_entropy(features, bins), expected, atol=1e-12, err_msg=f"{number}")
    assert compared > 20


def test_a_range_whose_width_is_beyond_float32_has_float64_edges():
    values = np.array([-3e38, -1e38, 1e38, 3e38], np.float32).reshape(1, 1, 4, 1, 1)
    np.testing.assert_allclose(layer_entropy(values, 3), 1.5)


def test_float16_is_widened_before_anything_is_computed():
    half = draw((2, 3, 6, 2, 2)).astype(np.float16)
    wide = half.astype(np.float32)
    for function in (spectrum_of, token_entropy, magnitude_of):
        np.testing.assert_array_equal(function(half), function(wide))
    bfloat = torch.from_numpy(wide).bfloat16()
    np.testing.assert_array_equal(token_entropy(bfloat), token_entropy(bfloat.float()))


@pytest.mark.parametrize("value", [0.0, 1.0, -3.5, 1e30, 1e-40])
def test_constant_features_have_no_entropy(value):
    features = np.full((2, 3, 5, 2, 2), value, np.float32)
    np.testing.assert_array_equal(layer_entropy(features), [0, 0])


def test_a_range_too_narrow_for_float32_edges_still_separates_values():
    features = np.array([1e9, 1e9 + 64], np.float32).reshape(1, 1, 2, 1, 1)
    np.testing.assert_allclose(layer_entropy(features), 1)


def test_values_outside_a_given_range_count_in_the_end_bins():
    features = np.array([-9, 0.05, 0.95, 9], np.float32).reshape(1, 1, 4, 1, 1)
    np.testing.assert_allclose(layer_entropy(features, 10, (0, 1)), 1)


def test_huge_outliers_do_not_overflow():
    features = draw((1, 2, 8, 2, 2))
    features[0, 0, :, 0, 0] = 3e38
    assert np.isfinite(spectrum_of(features)).all()
    assert np.isfinite(magnitude_of(features)).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("metric", ["spectrum", "entropy", "magnitude", "rank", "tokens", "sep", "covariance"])
def test_nan_or_infinity_is_an_error_that_names_block_and_image(bad, metric):
    features = draw((4, 20, 3, 2, 2))
    features[3, 17, 0, 1, 1] = bad
    with pytest.raises(ValueError, match="block 3, image 17"):
        metrics.measure(metric, features)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 0, 2, 2, 2), (1, 1, 0, 1, 1)])
def test_a_wrong_shape_is_an_error(shape):
    with pytest.raises(ValueError, match="features: block 0"):
        spectrum_of(np.zeros(shape, np.float32))


def test_memory_maps_and_chunks_change_nothing(tmp_path, monkeypatch):
    features = draw((2, 9, 6, 3, 3))
    whole = spectrum_of(features), token_entropy(features)
    for number, block in enumerate(features):
        np.save(tmp_path / f"{number}.npy", block)
    maps = [np.load(tmp_path / f"{number}.npy", mmap_mode="r") for number in range(2)]
    monkeypatch.setattr("distillation_dynamics.metrics.blocks.CHUNK_VALUES", 120)
    np.testing.assert_array_equal(spectrum_of(maps), whole[0])
    np.testing.assert_array_equal(token_entropy(maps), whole[1])


def test_image_scalars_equal_literal_ones():
    features = draw((1, 5, 6, 2, 3))
    scalars, wide = metrics.measure("magnitude", features), features[0].astype(np.float64)
    np.testing.assert_allclose(scalars["activation_magnitude"][0], np.abs(wide).mean(axis=(1, 2, 3)))
    np.testing.assert_allclose(scalars["standard_deviation"][0], wide.std(axis=(1, 2, 3)))
    np.testing.assert_allclose(scalars["token_standard_deviation"][0], wide.std(axis=1).mean(axis=(1, 2)))
    np.testing.assert_allclose(scalars["rms"][0], np.sqrt((wide**2).mean(axis=(1, 2, 3))))


@pytest.mark.parametrize("shape", SHAPES)
def test_float64_features_are_transformed_in_float64(shape):
    features = draw(shape).astype(np.float64)
    np.testing.assert_allclose(spectrum_of(features), reference_spectrum(features), rtol=1e-12, atol=1e-15)


def test_blocks_of_different_widths_and_grids_give_a_list():
    stages = [draw((3, 4, 4, 4))[0:3], draw((3, 7, 2, 2)), draw((3, 16, 1, 1))]
    spectra, entropies = spectrum_of(stages), token_entropy(stages)
    low, high = min(stage.min() for stage in stages), max(stage.max() for stage in stages)
    for stage, spectrum, entropy in zip(stages, spectra, entropies, strict=True):
        np.testing.assert_allclose(spectrum, reference_spectrum(stage[None])[0], rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(entropy, reference_entropy(stage[None], 100, low, high)[0], atol=1e-12)


@pytest.mark.parametrize("limits", [(1e4, 1e4 + 1), (-1e-40, 1e-40), (5e5, 5e5 + 7), (-3e-5, 1e5), (0, 1e38), (-2, -1)])
def test_every_kind_of_range_counts_as_numpy_does(limits):
    low, high = np.float32(limits[0]), np.float32(limits[1])
    values = np.random.default_rng(1).uniform(low, high, 3000).astype(np.float32).clip(low, high)
    features = values.reshape(1, 1, 300, 2, 5)
    ours = token_entropy(features, 100, (float(low), float(high)))
    edges = np.linspace(low, high, 101, dtype=np.float32)
    if (np.diff(edges) <= 0).any():
        edges = np.linspace(float(low), float(high), 101)
    for row, column in np.ndindex(2, 5):
        counts = np.histogram(features[0, 0, :, row, column].astype(edges.dtype), bins=edges)[0]
        np.testing.assert_allclose(ours[0][0, row, column], bits_of(counts), atol=1e-12)


def test_the_way_of_a_gpu_counts_as_that_of_a_cpu():
    tokens = draw((3, 17, 12))
    edges = _histogram.bin_edges(50, float(tokens.min()), float(tokens.max()))
    index = _histogram._searched(torch.from_numpy(tokens), edges)
    np.testing.assert_array_equal(index, _histogram._bin_indices(tokens, edges))
    counts = torch.arange(24) % 18
    on_gpu = _histogram._bits_on_gpu(counts, 17, 6)
    np.testing.assert_allclose(on_gpu, _histogram._bits(counts.numpy(), 17, 6), atol=1e-13)


def test_standardised_entropy_equals_a_literal_reference_and_forgets_the_scale():
    features = draw((2, 3, 48, 2, 2))
    wide = features.astype(np.float64)
    scores = (wide - wide.mean(axis=2, keepdims=True)) / wide.std(axis=2, keepdims=True)
    expected = reference_entropy(scores.astype(np.float32).clip(-5, 5), 100, -5, 5)
    np.testing.assert_allclose(standardised(features), expected, atol=1e-12)
    np.testing.assert_allclose(standardised(1024 * features), expected, atol=1e-12)
    features[0, 0, :, 0, 0] = 3
    assert standardised(features)[0][0, 0, 0] == 0


def stream(module, features, sizes, context=None, **settings):
    """What the streaming form says of blocks [B, C, H, W] that come in batches of the given sizes."""
    ends = np.cumsum([0, *sizes])
    batches = [[torch.from_numpy(block[a:b]) for block in features] for a, b in itertools.pairwise(ends)]
    metric = module.Metric(Settings(**settings), context)
    return metric, measure(metric, batches)


@pytest.mark.parametrize("sizes", [(8,), (3, 3, 2), (1,) * 8])
def test_streams_agree_with_the_functions_on_the_union_of_batches(sizes, tmp_path):
    features = draw((3, 8, 12, 2, 3))
    _, magnitude = stream(magnitude_module, features, sizes)
    np.testing.assert_allclose(np.mean(magnitude["activation_magnitude"], axis=1), magnitude_of(features))
    write_json(tmp_path / "range.json", {"low": -1.0, "high": 0.5, "inner_low": -0.9, "inner_high": 0.4})
    metric, entropy = stream(entropy_module, features, sizes, Context(reference=tmp_path / "range.json"))
    for name, limits in (("entropy", None), ("entropy_fixed_range", (-1.0, 0.5))):
        expected = np.mean(token_entropy(features, limits=limits), axis=(2, 3))
        np.testing.assert_allclose(entropy[name], expected, atol=1e-12)
    np.testing.assert_allclose(
        entropy["entropy_standardised"], np.mean(standardised(features), axis=(2, 3)), atol=1e-12
    )
    outside = (features < -1) | (features > 0.5)
    np.testing.assert_allclose(entropy["clipped_share"], outside.mean(axis=(2, 3, 4)))
    assert (entropy["range_low"], entropy["range_high"]) == ([features.min()] * 3, [features.max()] * 3)
    assert [entropy[name] for name in ("fixed_low", "fixed_high", "entropy_bins")] == [[-1] * 3, [0.5] * 3, [100] * 3]
    metric.save(tmp_path / "own")
    kept = read_json(tmp_path / "own" / entropy_module.REFERENCE)
    assert (kept["low"], kept["high"]) == (features.min(), features.max())
    metric, spectrum = stream(spectrum_module, features, sizes, permutations=20, group=3)
    np.testing.assert_allclose(spectrum["amplitude"], spectrum_of(features), rtol=1e-12)
    np.testing.assert_allclose(np.mean(spectrum["intensity"], axis=1), intensity_of(features))
    metric.save(tmp_path)
    (name,) = spectrum_module.FILES
    kept = load_file(tmp_path / name)
    for number, (block, groups) in enumerate(zip(features, metric.groups, strict=True)):
        assert groups.shape == (3, 7)
        last = reference_spectrum(block[None, 6:8])[0, :7]
        np.testing.assert_allclose(groups[2], last, rtol=1e-6, atol=1e-7)
        np.testing.assert_array_equal(kept[f"spectra{number:02d}"], groups.astype(np.float32))


def test_entropy_without_a_fixed_range_uses_the_features_own():
    _, entropy = stream(entropy_module, draw((2, 4, 9, 2, 2)), (2, 2))
    np.testing.assert_array_equal(entropy["entropy_fixed_range"], entropy["entropy"])
    assert np.max(entropy["clipped_share"]) == 0


def test_intensity_controls_equal_literal_references():
    features = draw((1, 4, 10, 2, 2)) + 3
    _, spectrum = stream(spectrum_module, features, (4,))
    wide = features[0].astype(np.float64)
    amplitude = np.abs(np.fft.fft(wide, axis=1)).mean(axis=(2, 3)) / 10
    np.testing.assert_allclose(spectrum["intensity_without_dc"][0], amplitude[:, 1:].mean(axis=1), rtol=1e-6)
    rms = np.sqrt((wide**2).mean(axis=(1, 2, 3)))
    np.testing.assert_allclose(spectrum["intensity_per_rms"][0], amplitude.mean(axis=1) / rms, rtol=1e-6)


def test_a_smooth_code_stands_out_of_the_permutation_null_and_an_unordered_one_does_not():
    wave = np.sin(2 * np.pi * np.arange(64) / 64 + np.arange(16)[:, None]).astype(np.float32)
    _, smooth = stream(spectrum_module, np.ascontiguousarray(wave.T).reshape(1, 1, 64, 4, 4), (1,))
    assert smooth["amplitude"][0][1] > 3 * smooth["amplitude_null_high"][0][1]
    _, unordered = stream(spectrum_module, draw((1, 50, 64, 4, 4)), (50,))
    inside = (unordered["amplitude"][0] > 0.9 * unordered["amplitude_null_low"][0]) & (
        unordered["amplitude"][0] < 1.1 * unordered["amplitude_null_high"][0]
    )
    assert inside.all()


@pytest.mark.parametrize("module", ["spectrum", "entropy", "magnitude"])
def test_a_constant_block_a_zero_block_one_channel_and_one_image_are_measured(module):
    module = {"spectrum": spectrum_module, "entropy": entropy_module, "magnitude": magnitude_module}[module]
    for features in (np.zeros((2, 3, 5, 2, 2)), np.full((1, 1, 1, 1, 1), 7.0), np.full((1, 2, 6, 1, 1), -2.0)):
        _, measured = stream(module, features.astype(np.float32), (1,) * features.shape[1])
        for name, blocks in measured.items():
            may_be_missing = name in ("intensity_per_rms", "intensity_without_dc")
            assert all(np.isfinite(values).all() or may_be_missing for values in blocks), name


def test_values_on_edges_are_counted_alike_in_every_layout():
    edges = _histogram.bin_edges(100, -1, 1)
    tokens_last = torch.from_numpy(np.resize(edges, (2, 3, 5, 8)))
    block = tokens_last.permute(0, 3, 1, 2)
    expected = reference_entropy(block.numpy()[None], 100, -1, 1)[0]
    np.testing.assert_allclose(_histogram.token_entropy(block, 0, edges), expected, atol=1e-12)
    np.testing.assert_array_equal(
        _histogram.token_entropy(block, 0, edges), _histogram.token_entropy(block.contiguous(), 0, edges)
    )
