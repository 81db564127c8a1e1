"""Means and intervals against closed forms; Markdown as it is read."""

import numpy as np
import pandas as pd
import pytest

from distillation_dynamics import summary
from distillation_dynamics.files import Column


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
