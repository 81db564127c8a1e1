"""What is measured between two networks: unbiased CKA against the literal n x n formula, agreement of predictions."""

import numpy as np
import pytest
import torch

from distillation_dynamics.metrics.blocks import mean_tokens
from distillation_dynamics.metrics.pairs import cka as module
from distillation_dynamics.metrics.pairs.agreement import agreement
from distillation_dynamics.metrics.pairs.cka import cka, unbiased_cka
from distillation_dynamics.metrics.rows import tokens_at


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def related(rows=60, widths=(5, 9), seed=0):
    """Rows of two networks that see the same thing, with channels of different sizes."""
    cause = draw(rows, 4, seed=seed)
    return [cause @ draw(4, width, seed=seed + width) + 0.3 * draw(rows, width, seed=width) for width in widths]


def reference_hsic(x, y):
    """HSIC_1 of Song et al. (2012), eq. 5, with n x n kernels."""
    n, one = len(x), np.ones(len(x))
    k, el = x @ x.T, y @ y.T
    np.fill_diagonal(k, 0)
    np.fill_diagonal(el, 0)
    middle = (one @ k @ one) * (one @ el @ one) / ((n - 1) * (n - 2))
    return (np.trace(k @ el) + middle - 2 / (n - 2) * (one @ k @ el @ one)) / (n * (n - 3))


def reference_cka(x, y):
    return reference_hsic(x, y) / np.sqrt(reference_hsic(x, x) * reference_hsic(y, y))


def tensors(*arrays):
    return [torch.from_numpy(array) for array in arrays]


@pytest.fixture(params=["channels", "rows", "chosen"])
def way(request, monkeypatch):
    """By products of channels, by kernels, or by what is cheaper; a few values at a time, so that there are chunks."""
    monkeypatch.setattr(module, "CHUNK_VALUES", 400)
    if request.param != "chosen":
        for name in ("_by_rows", "_by_channels"):
            monkeypatch.setattr(module, name, getattr(module, f"_by_{request.param}"))


def test_cka_equals_the_literal_formula():
    x, y = related()
    assert 0.3 < reference_cka(x, y) < 0.99
    assert unbiased_cka(*tensors(x, y)) == pytest.approx(reference_cka(x, y), rel=1e-12)
    assert unbiased_cka(*tensors(y, x)) == pytest.approx(reference_cka(x, y), rel=1e-12)


@pytest.mark.parametrize("widths", [((5, 9, 1), (4, 30)), ((80, 3), (90,)), ((7,), (40, 50, 60, 1))])
def test_every_pair_of_blocks_has_the_literal_value_whichever_way_it_is_computed(way, widths):
    xs, ys = related(widths=widths[0]), related(widths=widths[1], seed=1)
    expected = [[reference_cka(x, y) for y in ys] for x in xs]
    np.testing.assert_allclose(cka(xs, ys), expected, rtol=1e-10)


def test_what_is_cheaper_is_chosen(monkeypatch):
    taken = []
    for name in ("_by_rows", "_by_channels"):
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda xs, ys, name=name, real=real: taken.append(name) or real(xs, ys))
    for rows, width in ((10, 200), (200, 10)):
        cka([draw(rows, width)], [draw(rows, width, seed=1)])
    assert set(taken[:3]) == {"_by_rows"} and set(taken[3:]) == {"_by_channels"}


def test_a_huge_common_offset_changes_nothing(way):
    x, y = related()
    found = cka([x + 1e4], [y - 1e4 * np.arange(9)])
    np.testing.assert_allclose(found, [[reference_cka(x, y)]], rtol=1e-9)


def test_four_rows_are_enough_and_three_are_not():
    x, y = draw(4, 6), draw(4, 3, seed=1)
    assert unbiased_cka(*tensors(x, y)) == pytest.approx(reference_cka(x, y), rel=1e-10)
    with pytest.raises(ValueError, match="at least 4 rows, got 3"):
        unbiased_cka(*tensors(x[:3], y[:3]))


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e4 / 3])
def test_constant_rows_have_no_cka_and_leave_the_other_blocks_alone(constant, way):
    x, y = related()
    same = np.tile(constant * draw(1, 6), (60, 1))
    found = cka([x, same], [same, y])
    np.testing.assert_array_equal(np.isnan(found), [[True, False], [True, True]])
    assert found[0, 1] == pytest.approx(reference_cka(x, y))


def test_rows_all_as_far_from_each_other_have_no_cka():
    for count in range(4, 40):
        simplex = np.linalg.qr(draw(count, count, seed=count))[0]
        assert np.isnan(unbiased_cka(*tensors(simplex, draw(count, 3))))


def test_rows_that_do_not_fit_are_errors():
    x, y = related()
    broken = y.copy()
    broken[30, 2] = np.inf
    for xs, ys, message in (
        ([x], [y[:59]], r"ys\[0\] must be \[60, D\]"),
        ([x, x[0]], [y], r"xs\[1\] must be \[60, D\]"),
        ([x], [y * np.nan], r"ys\[0\] holds NaN"),
        ([x], [y, broken], r"ys\[1\] holds NaN"),
    ):
        with pytest.raises(ValueError, match=message):
            cka(xs, ys)


def test_tensors_of_every_kind_are_rows():
    x, y = related()
    expected = unbiased_cka(x, y)
    assert unbiased_cka(torch.from_numpy(x).requires_grad_(), torch.from_numpy(y)) == expected
    coarse = torch.from_numpy(x).bfloat16()
    assert unbiased_cka(coarse, y) == pytest.approx(reference_cka(coarse.double().numpy(), y), rel=1e-10)


def test_huge_outliers_in_half_precision_are_exact():
    x, y = (array.astype(np.float16) for array in related())
    x[3, 2] = 6e4
    expected = reference_cka(x.astype(np.float64), y.astype(np.float64))
    assert unbiased_cka(x, y) == pytest.approx(expected, rel=1e-8)


def test_mean_tokens_and_the_tokens_at_places_are_those_of_the_grid():
    places = np.array([[0, 9], [3, 3], [7, 1]])
    for block in (draw(3, 4, 2, 5), draw(3, 7, 2, 5, seed=1)):
        (features,) = tensors(block)
        np.testing.assert_allclose(mean_tokens(features), block.mean(axis=(2, 3)), rtol=1e-12)
        expected = [block[i, :, p // 5, p % 5] for i in range(3) for p in places[i]]
        np.testing.assert_array_equal(tokens_at(features, torch.from_numpy(places)), expected)
    assert mean_tokens(features.half()).dtype == torch.float64


def reference_agreement(student, teacher):
    equal, divergence = 0, 0.0
    for s, t in zip(student, teacher, strict=True):
        p, q = np.exp(t) / np.exp(t).sum(), np.exp(s) / np.exp(s).sum()
        equal += s.argmax() == t.argmax()
        divergence += np.sum(p * np.log(p / q))
    return 100 * equal / len(student), divergence / len(student)


def test_agreement_equals_a_literal_reference():
    student, teacher = draw(50, 7), 2 * draw(50, 7, seed=1) + 0.5 * draw(50, 7)
    expected = reference_agreement(student, teacher)
    assert 10 < expected[0] < 90
    assert agreement(student, teacher) == pytest.approx(expected, rel=1e-12)


def test_huge_logits_do_not_overflow():
    student, teacher = np.array([[3e4, -3e4]], np.float16), np.array([[-3e4, 3e4]], np.float16)
    assert agreement(student, teacher) == (0, pytest.approx(6e4, rel=1e-3))


def test_nan_in_logits_is_an_error():
    with pytest.raises(ValueError, match="NaN"):
        agreement(np.array([[np.nan, 1]]), draw(1, 2))
