"""The training loop: rates as published, equal bits for equal seeds, a frozen teacher, and failures in a sentence."""

from dataclasses import replace
from typing import get_args, get_type_hints

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from distillation_dynamics.data.split import Split
from distillation_dynamics.errors import StudyError
from distillation_dynamics.files import Column
from distillation_dynamics.networks.build import build
from distillation_dynamics.objective import Objective, When
from distillation_dynamics.spec.training import Optimizer, Recipe, Schedule
from distillation_dynamics.stages import cohorts
from distillation_dynamics.training import log as training_log
from distillation_dynamics.training import loop, written
from distillation_dynamics.training import member as member_module
from distillation_dynamics.training.member import Member
from distillation_dynamics.training.teacher import OnlineTeacher
from distillation_dynamics.training.trainable import Seen, Trainable, count_gflops, make_optimizer, make_schedule
from helpers import run_job, tiny_study
from losses import cross_entropy, size_of

CPU = torch.device("cpu")


def run(tmp_path, seed=0, variant="everything", **changes):
    result = tiny_study(tmp_path, **changes)
    torch.manual_seed(9)
    teacher_network = build(result.model(result.teacher), result.view(result.teacher))
    teacher = OnlineTeacher(teacher_network)
    job = run_job(result, tmp_path, variant, tmp_path / "run", "unread", seed=seed)
    member = Member(*cohorts.make(job), seed, [0] * len(job.teachers))
    images, validation = (Split(job.images, name) for name in ("train", "validation"))
    before = {k: v.clone() for k, v in teacher_network.state_dict().items()}
    loop.train([member], [teacher], images, validation, job.recipe, CPU)
    assert all(torch.equal(before[k], v) for k, v in teacher_network.state_dict().items()), "the teacher moved"
    if member.failed is not None:
        raise member.failed
    return member.student, member.objective, member.log


@pytest.mark.parametrize("epochs", [300, 500])
def test_the_learning_rate_of_every_epoch_is_the_published_one(root, epochs):
    recipe_config = yaml.safe_load((root / "studies/imagenet.yaml").read_text())["student"]["recipe"]
    schedule = Schedule(**recipe_config["schedule"])
    recipe = Recipe(
        epochs, 2048, Optimizer(**recipe_config["optimizer"]), schedule, "float32", validate_every=1
    )  # fmt: skip
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW([parameter], lr=recipe.optimizer.learning_rate)
    timm_schedule = make_schedule(optimizer, recipe, steps=625)

    def published(t):
        if t < 5:
            return 1e-6 + t * (2e-3 - 1e-6) / 5
        return 1e-5 + (2e-3 - 1e-5) * (1 + np.cos(np.pi * t / epochs)) / 2

    for epoch in range(epochs):
        expected = 1e-6 if epoch == 0 else published(epoch - 1)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(expected, rel=1e-12), f"epoch {epoch}"
        timm_schedule.step(epoch)


def test_a_rate_that_moves_by_epoch_moves_after_it_so_that_the_first_two_epochs_share_one(tmp_path):
    schedule = {"name": "cosine", "warmup_epochs": 2, "warmup_learning_rate": 1e-4, "step": "epoch"}
    recipe = {"schedule": schedule, "optimizer.learning_rate": 5e-4, "epochs": 3}
    *_, log = run(tmp_path, variant="none", **{f"student.recipe.{key}": value for key, value in recipe.items()})
    np.testing.assert_allclose(log.epochs["learning_rate"], [np.nan, 1e-4, 1e-4, 3e-4])


def test_equal_seeds_give_equal_bits_and_other_seeds_do_not(tmp_path):
    (one, _, log_one), (two, _, log_two), (other, *_) = (run(tmp_path, seed) for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    np.testing.assert_equal(log_one.steps, log_two.steps)
    assert not torch.equal(next(one.parameters()), next(other.parameters()))


def test_every_part_of_every_step_is_recorded_with_its_weight(tmp_path):
    *_, log = run(tmp_path)
    steps = {name: np.array(values) for name, values in log.steps.items()}
    assert sorted(set(steps["part"])) == ["cross_entropy", "loss", "projector", "soft", "spectral"]
    assert len(steps["part"]) == 2 * 5 * 5  # epochs x updates x parts
    parts = steps["part"] != "loss"
    totals = np.bincount(steps["step"][parts], steps["value"][parts] * steps["weight"][parts])
    np.testing.assert_allclose(steps["value"][~parts], totals, rtol=1e-5)
    np.testing.assert_allclose(steps["share"], steps["value"] * steps["weight"] / np.repeat(steps["value"][~parts], 5))
    assert log.epochs["epoch"] == [0, 1, 2]
    by_term = pd.DataFrame(log.by_term).set_index(["epoch", "term"])
    means = pd.DataFrame(steps)[parts].groupby(["epoch", "part"])[["value", "weight", "share"]].mean()
    assert len(by_term) == 8
    for (epoch, name), row in means.iterrows():
        np.testing.assert_allclose(by_term.loc[(epoch, name), list(row.index)].astype(float), row, rtol=1e-12)
    of_step = pd.DataFrame(steps).drop_duplicates("step")
    for name in ("gradient_norm", "objective_gradient_norm", "clipped"):
        expected = of_step.groupby("epoch")[name].mean()
        np.testing.assert_allclose(log.epochs[name], [np.nan, *expected], rtol=1e-12)


@pytest.mark.parametrize("jointly", [False, True])
def test_clipping_is_of_the_student_and_of_the_objective_apart_unless_asked(tmp_path, jointly):
    result = tiny_study(tmp_path, **{"student.recipe.clip_gradient_norm": 0.5, "student.recipe.clip_jointly": jointly})
    student, objective = cohorts.make(run_job(result, tmp_path, "everything", tmp_path / "run", "unread"))
    member, recipe = Member(student, objective, 0), result.students["student"].recipe
    member.begin(recipe, 5, torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    parameters = [list(part.parameters()) for part in (student, objective)]
    for group, size in zip(parameters, (3.0, 0.4), strict=True):
        for parameter in group:
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        scale = size / torch.cat([p.grad.flatten() for p in group]).norm()
        for parameter in group:
            parameter.grad *= scale
    norms = member._clip(recipe)
    np.testing.assert_allclose(norms, [3.0, 0.4, 1.0], rtol=1e-5)
    left = [float(torch.cat([p.grad.flatten() for p in group]).norm()) for group in parameters]
    factor = 0.5 / np.hypot(3.0, 0.4)
    np.testing.assert_allclose(left, [3 * factor, 0.4 * factor] if jointly else [0.5, 0.4], rtol=1e-4)


def test_without_a_limit_norms_are_told_and_nothing_is_clipped(tmp_path):
    *_, log = run(tmp_path)
    assert (np.array(log.epochs["gradient_norm"][1:]) > 0).all() and log.epochs["clipped"][1:] == [0.0, 0.0]


def test_a_trained_projector_moves_and_a_frozen_one_stays(tmp_path):
    for frozen in (False, True):
        result = tiny_study(tmp_path, **{"variants.everything.projector.frozen": frozen})
        _, fresh = cohorts.make(run_job(result, tmp_path, "everything", tmp_path / "run", "unread"))
        _, trained, _ = run(tmp_path, **{"variants.everything.projector.frozen": frozen})
        pairs = zip(fresh.parameters(), trained.parameters(), strict=True)
        assert all(torch.equal(a, b) is frozen for a, b in pairs)


def test_the_students_start_does_not_depend_on_the_variant(tmp_path):
    result = tiny_study(tmp_path)
    starts = [
        cohorts.make(run_job(result, tmp_path, variant, tmp_path / "run", "unread", seed=3))[0]
        for variant in result.variants
    ]
    for other in starts[1:]:
        assert all(torch.equal(a, b) for a, b in zip(starts[0].parameters(), other.parameters(), strict=True))


def use_rate(monkeypatch, rate):
    """Have optimisers begin with a learning rate that no study may have."""
    real = member_module.make_optimizer

    def made(trainable, recipe):
        return real(trainable, replace(recipe, optimizer=replace(recipe.optimizer, learning_rate=rate)))

    monkeypatch.setattr(member_module, "make_optimizer", made)


def test_weights_that_only_the_last_update_spoils_end_the_training_too(tmp_path, monkeypatch):
    changes = {"epochs": 1, "batch_size": 80, "optimizer": {"name": "adamw", "learning_rate": 1.0}}
    use_rate(monkeypatch, 1e38)
    with pytest.raises(StudyError, match=r"training: the validation loss became (nan|inf) in epoch 1; lower"):
        run(tmp_path, **{f"student.recipe.{key}": value for key, value in changes.items()})


def test_a_loss_that_is_not_finite_stops_with_a_sentence(tmp_path, monkeypatch):
    use_rate(monkeypatch, 1e30)
    with pytest.raises(StudyError, match=r"training: \w+ became (nan|inf) in epoch \d+, step \d+; lower"):
        run(tmp_path)


@pytest.mark.parametrize("name", get_args(get_type_hints(Optimizer)["name"]))
def test_every_optimiser_that_a_study_may_name_lowers_the_loss(tmp_path, name):
    *_, log = run(tmp_path, **{"student.recipe.optimizer": {"name": name, "learning_rate": 2e-3}})
    assert log.epochs["train_loss"][-1] < log.epochs["train_loss"][1]


@pytest.mark.parametrize("policy", ["rand-m9-mstd0.5-inc1", "augmix-m5-w4-d2", "original", "v0r-mstd0.5"])
def test_augmentation_policies_of_timm_are_allowed_and_drawn(tmp_path, policy):
    *_, log = run(tmp_path, **{"student.recipe.augmentation": {"auto_augment": policy}})
    assert np.isfinite(log.steps["value"]).all()


def test_projections_belong_to_the_optimiser_and_tokens_are_not_decayed(tmp_path):
    result = tiny_study(tmp_path)
    network, objective = cohorts.make(run_job(result, tmp_path, "everything", tmp_path / "run", "unread"))
    objective.requires_grad_(True)
    trainable = Trainable(network, objective)
    recipe = result.students["student"].recipe
    groups = make_optimizer(trainable, recipe).param_groups
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    assert {id(p) for p in trainable.parameters()} == set(decay)
    assert decay[id(network.pos_embed)] == decay[id(network.cls_token)] == 0
    assert decay[id(objective.terms["projector"].projections[0].weight)] == recipe.optimizer.weight_decay


def test_flops_of_a_linear_student_are_twice_its_forward_pass():
    """Forward, and backward with respect to weights; the input needs no gradient: 2 x 2 x multiply-adds."""

    class Linear(torch.nn.Module):
        num_classes = 4

        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(8, 4, bias=False)

        def forward(self, x):
            return self.layer(x)

    trainable = Trainable(Linear(), Objective((cross_entropy(1.0, 0.0),), size_of(1)))
    labels = torch.zeros(2, dtype=torch.long)
    gflops = count_gflops(trainable, Seen(torch.randn(2, 8), labels, labels, {}), When(0, 1, 1))
    assert gflops * 1e9 == 2 * (2 * 2 * 8 * 4)


def test_columns_are_documented():
    for columns in (training_log.STEP_COLUMNS, training_log.EPOCH_COLUMNS):
        assert all(isinstance(column, Column) and column.description for column in columns.values())


def test_a_term_that_is_zero_cannot_be_given_a_share_and_says_so():
    log, length = training_log.Log(["cross_entropy", "spectral"]), len(training_log.LEADING) - 3
    row = torch.tensor([1.0, np.nan, 0.0, 2.0, 0.0, 0.1, np.inf, np.nan])
    assert length == 3 and len(row) + 3 == len(log.columns)
    with pytest.raises(StudyError, match=r"spectral is 0 in epoch 1, step 0; what is 0 cannot have a share"):
        written.write_steps(log, [(1, 0, 1e-3, {"cross_entropy", "spectral"}, row)], ["spectral"])
    row[4] = 0.5
    with pytest.raises(
        StudyError, match=r"spectral has no gradient on the student's blocks in epoch 1, step 0; what is"
    ):
        written.write_steps(log, [(1, 0, 1e-3, {"cross_entropy", "spectral"}, row)], ["spectral"])


def test_an_epoch_that_was_not_validated_says_nothing_of_accuracy(capsys):
    nothing = [np.nan] * (len(training_log.EPOCH_COLUMNS) - 4)
    for accuracy in (np.nan, 71.5):
        written.finish_epoch(training_log.Log([]), 1, 1e-3, 0.5, accuracy, *nothing)
    first, second = capsys.readouterr().err.splitlines()
    assert first == "epoch 1: learning rate 1.000e-03, train loss 0.5000"
    assert second.endswith("validation top-1 71.50 %")
