"""How many updates were clipped: said at the end of a training, and with what it means in the report."""

import numpy as np
import pytest

from distillation_dynamics.spec.training import Optimizer, Recipe, Schedule
from distillation_dynamics.training.folder import say_clipping, trained_result
from distillation_dynamics.training.log import Log
from test_report_head import NAMES, runs, said

NEARLY_ALL = "nearly all gradients have the same norm, so a term acts through the direction of its gradient"


@pytest.mark.parametrize(
    ("norms", "shares", "expected"),
    [
        ([np.nan] * 3, [0.0] * 3, "- Clipping: none (`clip_gradient_norm` is not set)."),
        (
            [1.0] * 3,
            [0.0] * 3,
            "- Clipping: none of 300 updates were clipped at norm 1.",
        ),
        (
            *([1.0] * 3, [0.936, 0.96, 1.0]),
            f"- Clipping: 93.6 % (soft) to 100 % (last) of 300 updates were clipped at norm 1: {NEARLY_ALL}",
        ),
        (
            [2.5] * 3,
            [0.3, 0.2, 0.4],
            "20 % (first) to 40 % (last) of 300 updates were clipped at norm 2.5.",
        ),
        (
            [1.0] * 3,
            [0.3, 0.2, 0.95],
            ": nearly all gradients of some variants have the same norm and those of others do not, so eq",
        ),
        (
            *([1.0, np.nan, 5.0], [0.95, 0.0, 0.1]),
            "95 % of 300 updates were clipped at norm 1 (soft) and 10 % of 300 updates were clipped at norm 5 (last); "
            "first had no limit: nearly all gradients of some",
        ),
        (
            [1.0, np.nan, 5.0],
            [0.95, 0.0, 0.99],
            "; first had no limit: nearly all gradients of the others have the same norm",
        ),
    ],
)
def test_how_many_updates_were_clipped_is_said_with_the_norm_and_what_it_means(norms, shares, expected):
    frame = runs(cait=83.0, soft=[80.0] * 2, first=[1.0] * 2, last=[1.0] * 2).assign(updates=300)
    norm, share = (dict(zip(NAMES.variants, values, strict=True)) for values in (norms, shares))
    frame["clip_gradient_norm"] = frame["network"].map(norm)
    # Seeds differ, and their mean is said; the teacher's own is not.
    frame["clipped"] = frame["network"].map(share).fillna(0.5) + 0.001 * (2 * frame["seed"] - 1)
    assert expected in "\n".join(said(runs=frame))


def test_a_study_whose_runs_do_not_say_is_called_so():
    assert "- Clipping: not recorded." in said()


@pytest.mark.parametrize(
    ("norm", "clipped", "expected"),
    [
        (None, [0, 0, 0], ""),
        (1.0, [0, 0, 0], "soft seed 0: none of its 3 updates were clipped at norm 1\n"),
        (0.5, [1, 0, 1], "soft seed 0: 66.7 % of its 3 updates were clipped at norm 0.5\n"),
    ],
)
def test_the_end_of_a_training_says_how_many_updates_were_clipped(capsys, norm, clipped, expected):
    recipe = Recipe(1, 2, Optimizer("adamw", 1e-3), Schedule("cosine"), clip_gradient_norm=norm)
    log = Log([])
    log.rows = [[float(c) if name == "clipped" else 1.0 for name in log.columns] for c in clipped]
    say_clipping("soft seed 0", recipe, log)
    assert capsys.readouterr().err == expected
    result = trained_result(recipe, log)
    assert result == {
        "updates": 3, "clip_gradient_norm": norm, "clipped": pytest.approx(sum(clipped) / 3), "ema_decay": None
    }  # fmt: skip
