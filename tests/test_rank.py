"""Ranks against singular value decompositions in float64, closed forms and awkward input."""

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from distillation_dynamics import metrics
from distillation_dynamics.metrics import rank
from distillation_dynamics.objectives.spectral import pool_channels
from streams import measure, outputs_of

SHAPES = [(5, 8, 2, 3), (3, 4, 4, 5), (4, 7, 3, 3), (1, 6, 2, 2), (3, 5, 1, 1), (4, 1, 2, 2)]


def draw(shape, seed=0):
    """Features [B, C, H, W] whose channels differ in size, so that ranks differ from full."""
    scale = 2.0 ** -np.arange(shape[1])[:, None, None]
    return (np.random.default_rng(seed).normal(size=shape) * scale).astype(np.float32)


def matrices(block):
    """Token matrices [B, N, C] in float64."""
    images, channels = block.shape[:2]
    return np.moveaxis(block.astype(np.float64).reshape(images, channels, -1), 1, 2)


def fewest(energies, share):
    total, held = sum(energies), 0.0
    for count, energy in enumerate(energies, start=1):
        held += energy
        if held >= share * total:
            return count


def reference_sample_rank(block, share):
    return [fewest(np.linalg.svd(x, compute_uv=False) ** 2, share) for x in matrices(block)]


def reference_pca_rank(block, share):
    tokens = matrices(block)
    directions = np.linalg.svd(np.concatenate(tokens), full_matrices=True)[2]
    return [fewest([np.sum((x @ v) ** 2) for v in directions], share) for x in tokens]


def reference_effective_rank(matrix):
    singular = np.linalg.svd(matrix, compute_uv=False)
    p = singular / singular.sum()
    return np.exp(-sum(q * np.log(q) for q in p if q > 0))


def image_of(matrix):
    """Features [1, C, N, 1] of one image whose token matrix is [N, C]."""
    return np.asarray(matrix, dtype=np.float32).T[None, :, :, None]


def column(name, blocks):
    """A column of the metric, of blocks that come in one batch."""
    return np.stack(metrics.measure("rank", blocks)[name])


def sample_rank(blocks, share):
    return column(f"sample_rank_{100 * share:.0f}", blocks)


def pca_rank(blocks, share):
    return column(f"pca_rank_{100 * share:.0f}", blocks)


def effective_rank(blocks):
    return column("effective_rank", blocks)


def pca_effective_rank(blocks):
    return column("pca_effective_rank", blocks)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
def test_ranks_equal_literal_references(shape, kind):
    block = draw(shape)
    for share in rank.SHARES:
        np.testing.assert_array_equal(sample_rank([kind(block)], share), [reference_sample_rank(block, share)])
        np.testing.assert_array_equal(pca_rank([kind(block)], share), [reference_pca_rank(block, share)])
    expected = [reference_effective_rank(x) for x in matrices(block)]
    np.testing.assert_allclose(effective_rank([kind(block)]), [expected], rtol=1e-6)
    stacked = reference_effective_rank(np.concatenate(matrices(block)))
    np.testing.assert_allclose(pca_effective_rank([kind(block)]), [stacked], rtol=1e-6)


def test_the_stream_equals_the_functions_whatever_the_batches():
    blocks = [draw((9, 12, 3, 3), 1), draw((9, 20, 2, 2), 2)]
    found = measure(rank.Metric(), [[torch.from_numpy(b[i:j]) for b in blocks] for i, j in ((0, 2), (2, 3), (3, 9))])
    assert set(found) == set(rank.IMAGE_COLUMNS) | set(rank.BLOCK_COLUMNS)
    for share, percent in zip(rank.SHARES, (80, 90, 95, 99), strict=True):
        for kind, function in (("sample", sample_rank), ("pca", pca_rank)):
            column = f"{kind}_rank_{percent}"
            np.testing.assert_array_equal(found[column], function(blocks, share))
            np.testing.assert_array_equal(found[f"{column}_p99"], np.percentile(function(blocks, share), 99, axis=1))
    np.testing.assert_allclose(found["effective_rank"], effective_rank(blocks), rtol=1e-12)
    np.testing.assert_allclose(found["pca_effective_rank"], pca_effective_rank(blocks), rtol=1e-6)


def test_after_the_first_pass_the_grams_sums_and_counts_of_all_tokens_are_known_and_kept(tmp_path):
    blocks = [draw((5, 4, 2, 3), 1), draw((5, 7, 1, 1), 2)]
    metric = rank.Metric()
    for i, j in ((0, 3), (3, 5)):
        metric.update(outputs_of([b[i:j] for b in blocks]))
    metric.next_pass()
    for number, block in enumerate(blocks):
        tokens = np.concatenate(matrices(block))
        of = metric.moments[number]
        assert of.gram.dtype == of.mean.dtype == torch.float64 and of.tokens == len(tokens)
        np.testing.assert_allclose(of.gram, tokens.T @ tokens, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(of.tokens * of.mean, tokens.sum(axis=0), rtol=1e-12, atol=1e-15)
    metric.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == list(rank.FILES)
    kept = load_file(tmp_path / "grams.safetensors")
    assert all(values.dtype == np.float64 for values in kept.values()) and kept.pop("tokens").tolist() == [30, 5]
    for number in range(2):
        np.testing.assert_array_equal(kept.pop(f"gram{number:02d}"), metric.moments[number].gram)
        of = metric.moments[number]
        np.testing.assert_array_equal(kept.pop(f"sum{number:02d}"), of.tokens * of.mean)
    assert not kept


def test_equal_directions_need_exactly_their_share():
    tokens = 3 * np.linalg.qr(np.random.default_rng(0).normal(size=(100, 100)))[0]
    image = tokens.T[None, :, :, None]
    for share, expected in ((0.80, 80), (0.90, 90), (0.95, 95), (0.99, 99)):
        assert sample_rank([image], share) == pca_rank([image], share) == expected
    assert effective_rank([image])[0, 0] == pytest.approx(100)


def test_rounding_adds_no_direction_and_a_little_more_than_the_share_does():
    energies = np.array([4 * (1 - 1e-14), 1])
    assert energies[0] < 0.8 * energies.sum()
    assert rank.rank_of_spectrum(energies, 0.8) == 1
    assert rank.rank_of_spectrum(energies, 0.8 + 1e-9) == 2


def test_tokens_along_one_direction_have_rank_one_exactly():
    outer = np.outer(np.arange(1, 30), np.random.default_rng(0).normal(size=50))
    for image in (image_of(outer), image_of(outer.T), image_of(np.full((6, 4), 7.0)), image_of([[0, 0, 5, 0]])):
        assert sample_rank([image], 0.99)[0, 0] == pca_rank([image], 0.99)[0, 0] == 1
        np.testing.assert_allclose(effective_rank([image]), 1, rtol=1e-12)
        np.testing.assert_allclose(pca_effective_rank([image]), 1, rtol=1e-12)


def test_an_image_of_zeros_has_no_rank():
    block = draw((3, 4, 2, 2))
    block[1] = 0
    for share in rank.SHARES:
        assert sample_rank([block], share)[0, 1] == pca_rank([block], share)[0, 1] == 0
    assert effective_rank([block])[0, 1] == 0
    found = measure(rank.Metric(), [[np.zeros((2, 3, 2, 2))]])
    assert all(np.all(np.asarray(values) == 0) for values in found.values())


def test_half_precision_is_widened_and_chunks_change_nothing(monkeypatch):
    half = draw((7, 5, 2, 2)).astype(np.float16)
    functions = [lambda f: sample_rank(f, 0.9), lambda f: pca_rank(f, 0.9), effective_rank]
    whole = [function([half.astype(np.float32)]) for function in functions]
    monkeypatch.setattr("distillation_dynamics.metrics.blocks.CHUNK_VALUES", 40)
    for function, expected in zip(functions, whole, strict=True):
        np.testing.assert_allclose(function([half]), expected, rtol=1e-12)


def test_sums_are_float64_so_that_a_small_direction_beside_a_huge_one_counts():
    matrix = np.diag([1e5, 1.0, 1.0])
    singular = np.array([1e5, 1, 1]) / (1e5 + 2)
    expected = np.exp(-np.sum(singular * np.log(singular)))
    np.testing.assert_allclose(effective_rank([image_of(matrix)]), expected, rtol=1e-12)
    assert sample_rank([image_of(np.diag([3e38, 1e-30]))], 0.99) == 1


@pytest.mark.parametrize(("channels", "reduced"), [(12, 4), (7, 3), (5, 5), (9, 1)])
def test_a_reduced_gram_is_that_of_the_tokens_that_the_objective_pools(channels, reduced):
    block = draw((3, channels, 2, 3))
    before, pooled = (
        np.concatenate(matrices(b)) for b in (block, pool_channels(torch.from_numpy(block), reduced).numpy())
    )
    np.testing.assert_allclose(rank.reduced_gram(before.T @ before, reduced), pooled.T @ pooled, rtol=1e-6, atol=1e-9)
    rank_of_tokens = fewest(np.linalg.svd(pooled, compute_uv=False) ** 2, 0.95)
    assert rank.gram_rank(rank.reduced_gram(before.T @ before, reduced), 0.95) == rank_of_tokens
