"""Student and teacher are compared block by block, on all images at once, whatever their families."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from distillation_dynamics.spec.comparison import ComparisonJob
from distillation_dynamics.spec.measured import Checkpoints

from distillation_dynamics import comparison, models
from distillation_dynamics.errors import StudyError
from distillation_dynamics.metrics.agreement import agreement
from distillation_dynamics.metrics.cka import unbiased_cka
from distillation_dynamics.spec.base import From
from distillation_dynamics.spec.network import Model
from helpers import images_of, tiny_study
from test_features import FAMILIES, VIEW, RandomImages


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The stage on a tiny study at two epochs, and what both networks say of all its images: (tables, answers)."""
    folder = tmp_path_factory.mktemp("comparison")
    tiny = tiny_study(folder, **{"comparison.images": 20, "comparison.tokens": 3})
    networks = {}
    for number, (name, model) in enumerate(
        (("teacher", tiny.teacher.model), ("one", tiny.student.model), ("two", tiny.student.model))
    ):
        torch.manual_seed(number)
        networks[name] = models.build(model, tiny.data.view).eval()
        models.save_weights(folder / f"{name}.safetensors", networks[name])
    teacher, one, two = (str(folder / f"{name}.safetensors") for name in networks)
    checkpoints = Checkpoints(tiny.student.model, ("none", "none"), 7, (0, 2), From("students", files=(one, two)))
    images = images_of(tiny, folder / "data")
    comparison.main(
        ComparisonJob(
            *(images, checkpoints, tiny.teacher.model, From("teacher", files=(teacher,)), tiny.comparison),
            out=str(folder / "out"),
        )
    )
    tables = {name: pd.read_parquet(folder / f"out/{name}.parquet") for name in ("cka", "mismatch", "agreement")}
    split = comparison.Split(images, "validation")
    batch = next(split.view(0, None, 20))
    answers = {}
    for name, network in networks.items():
        with torch.no_grad():
            answers[name] = network(batch.images), models.features(network, batch.images)
    return tables, answers, batch


def test_cka_over_batches_is_that_of_all_images_at_once(run):
    tables, answers, batch = run
    rows = tables["cka"].set_index(["epoch", "student_block", "teacher_block"])
    assert len(rows) == 2 * 2 * 3 and (rows["images"] == 20).all() and (rows["tokens_per_image"] == 3).all()
    places = comparison.token_places(answers["one"][1], answers["teacher"][1], 3, batch.positions)
    for epoch, name in ((0, "one"), (2, "two")):
        for s, ours in enumerate(answers[name][1]):
            for t, theirs in enumerate(answers["teacher"][1]):
                row = rows.loc[(epoch, s, t)]
                by_image = unbiased_cka(ours.mean(dim=(2, 3)).double(), theirs.mean(dim=(2, 3)).double())
                assert row["cka_images"] == pytest.approx(by_image, abs=1e-4)
                picked = [
                    torch.stack([block[i].flatten(1)[:, place] for i in range(20) for place in places[i]])
                    for block in (ours, theirs)
                ]
                assert row["cka_tokens"] == pytest.approx(unbiased_cka(*picked), abs=1e-4)


def test_mismatch_is_that_of_tokens_whose_channels_were_pooled(run):
    tables, answers, _ = run
    rows = tables["mismatch"].set_index(["epoch", "student_block", "teacher_block"])
    for t, theirs in enumerate(answers["teacher"][1]):
        ours = answers["two"][1][1]
        tokens = theirs.movedim(1, 3).flatten(0, 2).double()
        pooled = torch.nn.functional.adaptive_avg_pool1d(tokens[:, None], ours.shape[1])[:, 0]
        row = rows.loc[(2, 1, t)]
        for side, values in (("teacher", pooled), ("student", ours.movedim(1, 3).flatten(0, 2).double())):
            energies = np.linalg.svd(values.numpy(), compute_uv=False) ** 2
            rank = 1 + np.argmax(np.cumsum(energies) / energies.sum() >= 0.95)
            assert row[f"{side}_rank_95"] == rank
            power = (np.abs(np.fft.rfft(values.numpy(), axis=1)) ** 2).sum(axis=0)
            power[1 : (values.shape[1] + 1) // 2] *= 2
            reached = 1 + np.argmax(np.cumsum(power) / power.sum() >= 0.95)
            assert row[f"{side}_bandwidth_95"] == pytest.approx(reached / len(power))


def test_agreement_and_accuracy_are_those_of_the_logits(run):
    tables, answers, batch = run
    rows = tables["agreement"].set_index("epoch")
    for epoch, name in ((0, "one"), (2, "two")):
        logits, theirs = answers[name][0].numpy(), answers["teacher"][0].numpy()
        expected = agreement(logits, theirs)
        assert rows.loc[epoch, ["agreement", "kl"]].tolist() == pytest.approx(expected, rel=1e-4)
        right = 100 * (logits.argmax(axis=1) == batch.labels.numpy()).mean()
        assert rows.loc[epoch, "top1"] == pytest.approx(right)


def test_weights_that_compute_nan_are_named():
    networks = [models.build(Model(*FAMILIES["vit"], "timm"), VIEW).eval() for _ in range(3)]
    with torch.no_grad():
        networks[2].blocks[1].mlp.fc2.bias[0] = torch.nan
    images = SimpleNamespace(view=lambda *_: RandomImages().batches(4))
    named = list(zip(("teacher", "one", "two"), networks, strict=True))
    with pytest.raises(StudyError, match=r"^two: block 1, image 0 holds NaN or infinity; train this model again"):
        comparison.compare(named[0], named[1:], images, RandomImages.positions, 2, torch.device("cpu"))


@pytest.mark.parametrize("teacher", ["resnet", "swin", "cait"])
def test_networks_of_every_family_are_compared_and_tokens_only_where_the_grids_are_alike(teacher):
    torch.manual_seed(0)
    networks = [models.build(Model(*FAMILIES[name], "timm"), VIEW).eval() for name in (teacher, "vit", "vit")]

    class Images(RandomImages):
        def view(self, number, augmentation, size, workers, positions):
            return self.batches(4)

    named = [(f"{number}.safetensors", network) for number, network in enumerate(networks)]
    pairs, grams, _ = comparison.compare(named[0], named[1:], Images(), RandomImages.positions, 2, torch.device("cpu"))
    depths = [len(models.block_names(network)) for network in networks]
    for pair in pairs:
        assert pair.by_image.compute().shape == (depths[1], depths[0])
        assert bool(pair.by_token.rows) == (teacher == "cait")
        facts = comparison.mismatch(pair.grams.arrays(), grams.arrays())
        assert all(values.shape == (depths[1], depths[0]) and np.isfinite(values).all() for values in facts.values())
