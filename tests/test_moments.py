"""Moments of tokens against literal sums, on awkward input, and computed once for all that ask."""

import gc

import numpy as np
import pytest
import torch

from distillation_dynamics.metrics import _moments, blocks
from distillation_dynamics.metrics._moments import moments
from distillation_dynamics.outputs import NotFinite


def draw(shape, offset=0.0, seed=0):
    scale = 2.0 ** -np.arange(shape[1])[:, None, None]
    return torch.from_numpy((offset + np.random.default_rng(seed).normal(size=shape) * scale).astype(np.float32))


def literal(block):
    """Number, mean, scatter and Gram matrix of the tokens of a block, token by token, in extended precision."""
    tokens = np.moveaxis(block.numpy().astype(np.longdouble), 1, 3).reshape(-1, block.shape[1])
    mean = tokens.sum(axis=0) / len(tokens)
    scatter, gram = (sum(np.outer(x, x) for x in rows) for rows in (tokens - mean, tokens))
    return len(tokens), *(values.astype(np.float64) for values in (mean, scatter, gram))


@pytest.mark.parametrize("shape", [(5, 8, 2, 3), (3, 7, 4, 5), (1, 6, 2, 2), (3, 5, 1, 1), (1, 3, 1, 1), (4, 1, 2, 2)])
@pytest.mark.parametrize("offset", [0.0, 1e4])
@pytest.mark.parametrize("sizes", [(), (1,), (2, 1)])
def test_moments_of_batches_equal_literal_sums(shape, offset, sizes):
    block, found = draw(shape, offset), None
    ends = [*(end for end in np.cumsum(sizes) if end < len(block)), len(block)]
    for part in block.tensor_split(ends[:-1]):
        found = moments(part, 0).joined(found)
    tokens, mean, scatter, gram = literal(block)
    assert found.tokens == tokens and found.scatter.dtype == torch.float64
    np.testing.assert_allclose(found.mean, mean, rtol=1e-14, atol=1e-15)
    # A spread that an offset is 1e4 of loses nothing to it.
    np.testing.assert_allclose(found.scatter, scatter, rtol=1e-11, atol=1e-13 * max(1e-300, scatter.trace()))
    np.testing.assert_allclose(found.gram, gram, rtol=1e-12, atol=1e-15 * gram.trace())


def test_tokens_that_are_all_alike_have_no_scatter_whatever_their_batches():
    block = torch.tensor([0.1, -3e38, 1e-30, 7.0]).view(1, 4, 1, 1).expand(5, 4, 3, 3)
    found = moments(block[:2], 0)
    for part in block[2:].split(1):
        found = moments(part, 0).joined(found)
    assert not found.scatter.any() and torch.equal(found.mean, block[0, :, 0, 0].double())


def test_other_layouts_are_the_same_tokens():
    block = draw((4, 6, 3, 5))
    for other in (block.to(memory_format=torch.channels_last), block.double(), block.flatten(2)[..., None]):
        for ours, theirs in zip(moments(other, 0), moments(block, 0), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-13, atol=1e-15)


def test_a_block_is_summed_once_as_long_as_it_is_there(monkeypatch):
    summed, gram = [], _moments.gram
    monkeypatch.setattr(_moments, "gram", lambda tokens: summed.append(tokens.shape) or gram(tokens))
    block, other = draw((3, 4, 2, 2)), draw((3, 4, 2, 2))
    assert moments(block, 0) is moments(block, 5) and moments(other, 0) is not moments(block, 0) and len(summed) == 2
    kept = []
    counted = blocks.once(lambda values: kept.append(1) or float(values.sum()))
    assert counted(block) == counted(block) == counted(other) and len(kept) == 2
    del block
    gc.collect()
    assert counted(draw((3, 4, 2, 2))) == counted(other) and len(kept) == 3


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_is_refused_each_time(bad):
    block = draw((3, 4, 2, 2))
    block[2, 1, 0, 1] = bad
    for index in (3, 4):
        with pytest.raises(NotFinite, match=f"features: block {index}, image 2 holds NaN or infinity"):
            moments(block, index)
