"""Trainings that mix images, average weights and repeat images: literal references, the same bits however they run."""

import copy
import json

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from distillation_dynamics.data.split import Split
from distillation_dynamics.networks.build import build
from distillation_dynamics.networks.weights import save_weights
from distillation_dynamics.spec.runs import CHECKPOINT
from distillation_dynamics.stages import cohorts
from distillation_dynamics.training import loop
from distillation_dynamics.training.evaluation import predict
from distillation_dynamics.training.member import Member
from distillation_dynamics.training.mixing import mixed
from distillation_dynamics.training.teacher import OnlineTeacher
from helpers import run_job, smoke_config, tiny_study
from test_resume import Killed, Mortal

CPU = torch.device("cpu")
# 5 updates an epoch.
RECIPE = {
    "student.recipe.epochs": 3,
    "student.recipe.clip_gradient_norm": 1.0,
    "student.recipe.mixing": {"mixup": 0.8, "cutmix": 1.0},
    "student.recipe.ema": {"decay": 0.7},
    "student.recipe.augmentation": {"crop_scale": [0.5, 1.0], "repeats": 2},
    "student.model.args.drop_path_rate": 0.2,
    "student.checkpoint_every": 1,
    "variants": {
        "none": {"cross_entropy": {"weight": 1, "label_smoothing": 0.1}},
        "soft": {"cross_entropy": {"weight": 0.1}, "soft": {"weight": 0.9}},
        "last": {"cross_entropy": {"weight": 1}, "projector": {"weight": 0.2, "pairs": "last"}},
    },
}


class Trained:
    """A tiny study of such a recipe, its teacher, and its students trained alone."""

    def __init__(self, folder, **changes):
        # Changes come first, too: keys within what they change follow.
        self.folder, self.result = folder, tiny_study(folder, **{**changes, **RECIPE} | changes)
        torch.manual_seed(9)
        self.teacher = build(self.result.model(self.result.teacher), self.result.view(self.result.teacher))
        self.weights = folder / "teacher.safetensors"
        save_weights(self.weights, self.teacher)

    def job(self, variant, out="out", **machine):
        return run_job(self.result, self.folder, variant, self.folder / out / variant, self.weights, **machine)

    def splits(self, variant):
        return [Split(self.job(variant).images, name) for name in ("train", "validation")]

    def train(self, variant, states=None, update=None):
        """Train one in this process; `update` is called with each member and batch before its update."""
        job = self.job(variant)
        member = Member(*cohorts.make(job), 0, [0] * len(job.teachers), states=states)
        if update is not None:
            own = member.update

            def watched(batch, *rest):
                update(member, batch)
                own(batch, *rest)

            member.update = watched
        loop.train([member], [OnlineTeacher(self.teacher)], *self.splits(variant), job.recipe, CPU)
        assert member.failed is None
        return member


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return Trained(tmp_path_factory.mktemp("recipe"))


def bits(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "cost.json"}


def test_each_member_of_a_cohort_ends_in_the_bits_that_it_has_alone(study, capsys):
    variants = list(study.result.variants)
    for variant in variants:
        cohorts.main([study.job(variant, "alone")])
    said = [line for line in capsys.readouterr().err.splitlines() if "clipped" in line]
    cohorts.main([study.job(variant, "together") for variant in variants])
    for number, variant in enumerate(variants):
        alone, together = (bits(study.folder / out / variant) for out in ("alone", "together"))
        assert alone == together and "result.json" in alone
        steps = pd.read_parquet(study.folder / "alone" / variant / "steps.parquet").drop_duplicates("step")
        result = json.loads(alone["result.json"])
        assert (result["updates"], result["clip_gradient_norm"], result["ema_decay"]) == (15, 1.0, 0.7)
        assert result["clipped"] == pytest.approx(steps["clipped"].mean())
        share = f"{100 * result['clipped']:.3g} %" if result["clipped"] else "none"
        assert said[number] == f"{variant} seed 0: {share} of its 15 updates were clipped at norm 1"


def test_what_is_kept_tested_and_validated_is_the_average(study):
    member = study.train("last")
    cohorts.main([study.job("last", "kept")])
    out = study.folder / "kept/last"
    kept = [load_file(out / CHECKPOINT.format(epoch)) for epoch in range(4)]
    average, student = member.average.module, member.student
    assert all(torch.equal(kept[3][name], value) for name, value in average.state_dict().items())
    assert not torch.equal(kept[3]["head.weight"], student.head.weight) and not torch.equal(
        kept[2]["head.weight"], kept[3]["head.weight"]
    )
    _, validation = study.splits("last")
    logits = np.load(out / "logits_validation.npy")
    np.testing.assert_array_equal(logits, predict([average], validation, CPU)[0])
    top1 = 100 * np.mean(logits.argmax(axis=1) == validation.labels)
    assert json.loads((out / "result.json").read_text())["validation_top1"] == pytest.approx(top1)
    assert member.log.epochs["validation_top1"][-1] == pytest.approx(top1)
    fresh, _ = cohorts.make(study.job("last"))
    assert all(torch.equal(kept[0][name], value) for name, value in fresh.state_dict().items())


@pytest.mark.parametrize("warmup", [False, True])
def test_the_average_is_that_of_a_loop_over_updates_buffers_too(tmp_path, warmup):
    model = smoke_config()["networks"]["resnet"]["model"]
    changes = {"student.recipe.ema": {"decay": 0.7, "warmup": warmup}, "student.model": model}
    seen = []
    variants = {"variants": {"none": RECIPE["variants"]["none"]}, "student.model.args.drop_path_rate": 0.2}
    study = Trained(tmp_path, **changes, **variants)
    member = study.train("none", update=lambda member, _: seen.append(copy.deepcopy(member.student.state_dict())))
    expected: dict[str, torch.Tensor] = {}
    for number, values in enumerate([*seen[1:], member.student.state_dict()], start=1):
        decay = min(0.7, 1 - number ** (-2 / 3)) if warmup else 0.7
        for name, value in values.items():
            value = value.double()
            expected[name] = value if number == 1 else decay * expected[name] + (1 - decay) * value
    averaged = member.average.module.state_dict()
    assert any("running_var" in name for name in averaged)
    for name, value in averaged.items():
        if value.is_floating_point():
            torch.testing.assert_close(value.double(), expected[name], rtol=1e-4, atol=1e-6)
        else:
            assert torch.equal(value, member.student.state_dict()[name]), "what counts is no average"


def test_student_and_teacher_see_the_same_mixed_images_and_the_loss_their_mixed_labels(study, monkeypatch):
    shown, asked = [], []
    real = OnlineTeacher.__call__
    monkeypatch.setattr(
        OnlineTeacher,
        "__call__",
        lambda self, batch, pixels, *rest: (asked.append(pixels.clone()), real(self, batch, pixels, *rest))[1],
    )
    member = study.train("soft", update=lambda member, batch: shown.append([part.clone() for part in batch]))
    recipe, (images, _) = study.job("soft").recipe, study.splits("soft")
    batches = images.training(recipe.batch_size, recipe.augmentation, 0, range(recipe.epochs))
    classes = member.student.num_classes
    for step, (batch, (pixels, labels, targets)) in enumerate(zip(batches, shown, strict=True)):
        assert torch.equal(labels, batch.labels)
        expected = mixed(recipe.mixing, batch.images, batch.labels, classes, 0, step)
        assert torch.equal(pixels, expected[0]) and torch.equal(targets, expected[1])
        assert torch.equal(asked[step], pixels)
    assert len(asked) == len(shown) == 15


@pytest.mark.parametrize("ends", [[3], [5, 12], [15]], ids=str)
def test_a_killed_training_goes_on_to_the_same_bits(study, tmp_path, ends):
    whole = study.train("soft")
    for end in ends:
        with pytest.raises(Killed):
            study.train("soft", Mortal(tmp_path, end))
        np.random.seed(end)  # noqa: NPY002
    again = study.train("soft", Mortal(tmp_path))
    for ours, theirs in ((whole.student, again.student), (whole.average.module, again.average.module)):
        values = zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True)
        assert all(torch.equal(one, other) for one, other in values)
    np.testing.assert_equal(whole.log.steps, again.log.steps)
    np.testing.assert_array_equal(whole.log.validation_logits, again.log.validation_logits)


def test_a_batch_in_parts_is_mixed_as_a_whole(tmp_path):
    study = Trained(tmp_path, **{"student.model.args.drop_path_rate": 0.0})
    for name, size in (("whole", None), ("parts", 5)):
        cohorts.main([study.job("soft", name, images_at_a_time=size)])
    whole, parts = (pd.read_parquet(tmp_path / name / "soft/steps.parquet") for name in ("whole", "parts"))
    np.testing.assert_allclose(parts["value"], whole["value"], rtol=1e-3)
