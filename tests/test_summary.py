"""Agreement, means and intervals against closed forms; Markdown as it is read."""

import numpy as np
import pandas as pd
import pytest

from distillation_dynamics import summary
from distillation_dynamics.files import Column


def test_agreement_with_oneself_is_whole_and_the_divergence_zero():
    logits = np.random.default_rng(0).normal(size=(50, 10)).astype(np.float32)
    equal, divergence = summary.agreement(logits, logits)
    assert equal == 100 and divergence == pytest.approx(0, abs=1e-12)


def test_agreement_of_two_known_distributions():
    teacher = np.log([[0.5, 0.5], [0.9, 0.1]])
    student = np.log([[0.25, 0.75], [0.8, 0.2]]) + 7.0  # a shift of all logits says nothing
    equal, divergence = summary.agreement(student, teacher)
    expected = [0.5 * np.log(0.5 / 0.25) + 0.5 * np.log(0.5 / 0.75), 0.9 * np.log(0.9 / 0.8) + 0.1 * np.log(0.1 / 0.2)]
    assert equal == 50 and divergence == pytest.approx(np.mean(expected))


def test_huge_logits_of_half_precision_do_not_overflow():
    _, divergence = summary.agreement(np.array([[60000, -60000]], np.float16), np.array([[0, 0]], np.float16))
    assert divergence == pytest.approx(0.5 * 120000 - np.log(2))


def runs(values):
    row = {"validation_top1": 80.0, "best_validation_top1": 81.0, "test_agreement": 90.0, "test_kl": 0.1}
    row |= {"training_tflops": 2.0, "parameters": 5, "test_images": 10_000}
    return pd.DataFrame([{"variant": "a", "seed": i, "test_top1": v, **row} for i, v in enumerate(values)])


def test_the_interval_over_seeds_is_students():
    (row,) = summary.summarise(runs([80.0, 82.0, 84.0])).to_dict("records")
    half = 4.302652729911275 * 2 / np.sqrt(3)  # t quantile of two degrees of freedom, standard deviation 2
    assert (row["test_top1"], row["seeds"]) == (82.0, 3)
    assert (row["test_top1_low"], row["test_top1_high"]) == pytest.approx((82 - half, 82 + half))
    assert row["image_standard_error"] == pytest.approx(100 * np.sqrt(0.82 * 0.18 / 10_000))


def test_one_seed_has_no_interval_and_says_so():
    table = summary.summarise(runs([80.0]))
    assert table[["test_top1_low", "test_top1_high"]].isna().all(axis=None)
    text = summary.markdown(
        table[["variant", "test_top1", "test_top1_low"]],
        {"variant": Column("", "x"), "test_top1": Column("%", "x"), "test_top1_low": Column("%", "x")},
    )
    assert text.splitlines()[0] == "| variant | test_top1 [%] | test_top1_low [%] |"
    assert text.splitlines()[2] == "| a | 80.00 | - |"
