"""Norms and cosines of tokens against literal float64 references."""

import warnings

import numpy as np
import pytest
import torch

from distillation_dynamics import metrics
from distillation_dynamics.metrics import tokens
from streams import measure

LAST = "cosine_to_first"
SHAPES = [(4, 8, 2, 3), (3, 5, 3, 3), (2, 1, 2, 2), (1, 4, 1, 2)]


def draw(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def cosine(a, b):
    norms = np.linalg.norm(a) * np.linalg.norm(b)
    return a @ b / norms if norms > 0 else 0.0


def reference(image):
    """All scalars of one image [C, H, W]."""
    rows = image.astype(np.float64).reshape(len(image), -1).T
    norms = np.array([np.sqrt(np.sum(row**2)) for row in rows])
    median, count = np.median(norms), len(rows)
    pairs = [cosine(rows[i], rows[j]) for i in range(count) for j in range(count) if i != j]
    return {
        "token_norm_mean": norms.mean(),
        "token_norm_maximum": norms.max(),
        "token_norm_ratio": norms.max() / median if median > 0 else np.nan,
        "token_norm_outliers": np.mean(norms > 3 * median),
        "token_cosine": np.mean(pairs) if pairs else np.nan,
    }


def token_scalars(blocks):
    return {name: np.stack(values) for name, values in metrics.measure("tokens", blocks).items() if name != LAST}


def cosine_to_first(blocks):
    return metrics.measure("tokens", blocks)[LAST]


def assert_equals_reference(found, block):
    for name, values in found.items():
        np.testing.assert_allclose(values, [reference(image)[name] for image in block], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
def test_token_scalars_equal_a_literal_reference(shape, kind):
    block = draw(shape)
    block[0, :, 0, 0] *= 100
    found = token_scalars([kind(block)])
    assert_equals_reference({name: values[0] for name, values in found.items()}, block)


def test_tokens_of_zeros_have_cosine_zero_with_every_other():
    block = draw((3, 6, 2, 2))
    block[0, :, 0, 1] = block[1, :, :, 0] = block[2] = 0
    found = token_scalars([block])
    assert_equals_reference({name: values[0] for name, values in found.items()}, block)
    assert found["token_cosine"][0, 2] == 0


def test_a_median_of_zero_has_no_ratio_and_one_token_no_pairs():
    block = np.zeros((1, 3, 1, 5), np.float32)
    block[0, :, 0, 0] = 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = token_scalars([block])
        alone = token_scalars([draw((200, 3, 1, 1))])
    assert np.isnan(found["token_norm_ratio"]).all() and found["token_norm_outliers"] == 0.2
    assert np.isnan(alone["token_cosine"]).all()
    np.testing.assert_array_equal(alone["token_norm_ratio"], np.ones((1, 200)))


def test_huge_and_tiny_tokens_neither_overflow_nor_vanish():
    block = np.array([[3e38, 3e38], [1e-40, 1e-40]], np.float32).T.reshape(1, 2, 2, 1)
    found = token_scalars([block])
    assert np.isfinite(found["token_norm_ratio"]).all()
    assert found["token_cosine"][0, 0] == pytest.approx(1)


def test_cosine_to_the_first_block_equals_a_literal_reference(monkeypatch):
    features = draw((3, 5, 7, 2, 3))
    features[1, 2, :, 0, 0] = 0
    features[2] = -1e-20 * features[0]
    rows = np.moveaxis(features.astype(np.float64), 2, 4).reshape(3, 5, 6, 7)
    expected = [
        [np.mean([cosine(*pair) for pair in zip(*images, strict=True)]) for images in zip(rows[0], block, strict=True)]
        for block in rows
    ]
    np.testing.assert_allclose(cosine_to_first(features), expected, atol=1e-12)
    np.testing.assert_allclose(np.array(expected)[[0, 2]], [[1] * 5, [-1] * 5])
    monkeypatch.setattr("distillation_dynamics.metrics.blocks.CHUNK_VALUES", 50)
    np.testing.assert_allclose(cosine_to_first(features), expected, atol=1e-12)


@pytest.mark.parametrize("shape", [(2, 3, 3, 4), (2, 4, 3, 3)])
def test_a_block_of_another_shape_has_no_cosine_to_the_first(shape):
    same, other, again = cosine_to_first([draw((2, 3, 3, 3)), draw(shape), draw((2, 3, 3, 3))])
    np.testing.assert_allclose([same, again], 1)
    np.testing.assert_array_equal(other, [np.nan, np.nan])


def test_the_stream_equals_the_functions_whatever_the_batches():
    blocks = [draw((6, 4, 2, 3), 1), draw((6, 4, 2, 3), 2), draw((6, 8, 1, 1), 3)]
    batches = [[torch.from_numpy(b[i:j]) for b in blocks] for i, j in ((0, 1), (1, 4), (4, 6))]
    found = measure(tokens.Metric(), batches)
    assert set(found) == set(tokens.IMAGE_COLUMNS)
    for name, values in {**token_scalars(blocks), "cosine_to_first": cosine_to_first(blocks)}.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-12)


def test_half_precision_is_widened_and_chunks_change_nothing(monkeypatch):
    half = draw((7, 5, 2, 2)).astype(np.float16)
    whole = token_scalars([half.astype(np.float32)])
    monkeypatch.setattr("distillation_dynamics.metrics.blocks.CHUNK_VALUES", 40)
    for name, values in token_scalars([half]).items():
        np.testing.assert_allclose(values, whole[name], rtol=1e-12)
