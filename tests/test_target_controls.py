"""What stands in the teacher's place, found as a control and set beside what it controls; and the dose by epoch."""

import numpy as np
import pandas as pd
import pytest

from asked import said
from distillation_dynamics.questions import controls
from distillation_dynamics.questions.dose import answer
from distillation_dynamics.questions.dose.doses import doses_of
from distillation_dynamics.spec.base import From
from distillation_dynamics.spec.tables import Setting, Trained
from distillation_dynamics.statistics import terms
from distillation_dynamics.statistics.evidence import Evidence
from losses import SOFT, aligning, runs_of, who

LAST = (*SOFT, aligning([(3, 5)]))
ZERO = (*SOFT, aligning([(3, 5)], name="null", target="zero"))
REVERSED = (*SOFT, aligning([(3, 0)], target="reversed"))
UNTRAINED = (*SOFT, aligning([(3, 5)], target="untrained", teacher=1))
STEPS = np.array([0.9, 1.1, 1.0, 1.2, 0.8, 1.05, 0.95])


@pytest.mark.parametrize("ours", [ZERO, REVERSED, UNTRAINED, tuple(reversed(ZERO))])
def test_a_control_differs_in_its_target_alone(ours):
    assert terms.is_control(ours, LAST) and not terms.is_control(LAST, ours) and not terms.is_control(LAST, LAST)


@pytest.mark.parametrize(
    "ours",
    [
        (*SOFT, aligning([(3, 5)], weight=0.1, target="zero")),
        (*SOFT, aligning([(2, 5)], target="zero")),
        (*SOFT, aligning([(3, 5)], "projector", target="zero")),
        (*SOFT, aligning([(3, 5)], target="zero"), aligning([(0, 0)], name="more")),
        (SOFT[0], aligning([(3, 5)], target="zero")),
    ],
)
def test_what_differs_in_more_than_a_target_controls_nothing(ours):
    assert not terms.is_control(ours, LAST)


def rows(listed, **top1):
    runs = runs_of(**top1)
    arms = {name: Trained("vit", "cait", (4, 6), 5, own) for name, own in ({"soft": SOFT} | listed).items()}
    setting = Setting(arms, 10, From("key", files=()))
    return controls.tables(Evidence({"runs": runs}, who(runs), setting))["controls"]


@pytest.mark.parametrize(
    ("difference", "verdict", "words"),
    [
        (STEPS, "better", "last is better than with zero instead of the teacher (+1.00 ["),
        (-STEPS, "worse", "last is worse than with zero instead of the teacher (-1.00 ["),
        (
            STEPS - 1.0,
            "not found",
            "last and the same with zero instead of the teacher: no detectable difference (+0.00 [",
        ),
        (STEPS[:3], "untested", "last and the same with zero instead of the teacher: too few seeds for a test ("),
        (
            np.array([2.0, 0.1, -0.1, 2.2, 0.2, 1.9, -0.2, 1.5]),
            "not found",
            "last and the same with zero instead of the teacher: no detectable difference (+0.95 [",
        ),
    ],
)
def test_a_variant_is_held_against_its_control(difference, verdict, words):
    base = np.linspace(70, 71, len(difference))
    table = rows({"last": LAST, "null": ZERO}, soft=base - 0.5, last=base + difference, null=base)
    assert table["variant"].tolist() == ["last"] and table["control"].tolist() == ["null"]
    row = table.iloc[0]
    assert (row["target"], row["term"], row["verdict"]) == ("zero", "null", verdict)
    assert row["mean_difference"] == pytest.approx(difference.mean()) and row["control_gain"] == pytest.approx(0.5)
    answered = said("controls", controls=table)
    assert words in answered[0] and f"{len(difference)} seeds" in answered[0]
    assert "| last | null | zero (null) |" in answered[1]


def test_without_a_control_nothing_is_said_of_the_teacher():
    table = rows({"last": LAST}, soft=[70, 71], last=[71, 72])
    assert table.empty
    (answered,) = said("controls", controls=table)
    assert answered.startswith("**Not tested: no variant has a null target")


def test_the_dose_by_epoch_is_that_of_loss_and_gradients():
    listed = {"soft": SOFT, "last": (*SOFT, aligning([(3, 5)], share=0.08))}
    keys = {"network": "last", "seed": 0}
    by_epoch = pd.DataFrame(
        [keys | {"epoch": epoch, "term": term, "value": 1.0, "weight": weight, "share": share}
         for epoch, shares in ((1, (0.1, 0.82, 0.08)), (2, (0.1, 0.74, 0.16)))
         for term, weight, share in zip(("cross_entropy", "soft", "spectral"), (0.1, 0.9, 2.0), shares, strict=True)]
    )  # fmt: skip
    norms = {"cross_entropy": (3.0, 4.0), "soft": (0.0, 2.0), "spectral": (0.6, 0.8)}
    gradients = pd.DataFrame(
        [keys | {"epoch": 1, "step": step, "term": term, "block": block, "norm": norm, "cosine": 0.25 * block}
         for step in (0, 4) for term, values in norms.items() for block, norm in enumerate(values)]
    )  # fmt: skip
    table = doses_of(listed, by_epoch, gradients)
    assert len(table) == 6 and (table["seeds"] == 1).all()
    last = table[table["term"] == "spectral"].set_index("epoch")
    assert last["share"].tolist() == [0.08, 0.16] and last["given"].tolist() == ["share 0.08 of the loss"] * 2
    assert last["gradient_share"][1] == pytest.approx(2 * 1 / (0.1 * 5 + 0.9 * 2 + 2 * 1))
    assert np.isnan(last["gradient_share"][2]) and last["cosine"][1] == pytest.approx(0.125)
    (row,) = answer.doses(table).to_dict("records")
    assert (row["of the loss"], row["of the gradients"], row["cosine"]) == ("8 to 16", "47 to -", "0.12 to -")
    assert doses_of(listed, by_epoch, None)["gradient_share"].isna().all() and doses_of(listed, None, None).empty
