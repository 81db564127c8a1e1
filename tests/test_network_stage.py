"""The stage that makes a network ready: pretrained or loaded, with its control, and measured where it can be."""

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from distillation_dynamics.data.split import Batch
from distillation_dynamics.errors import StudyError
from distillation_dynamics.files import sha256
from distillation_dynamics.networks import acceptance
from distillation_dynamics.networks.build import build
from distillation_dynamics.networks.released import AS_IT_IS
from distillation_dynamics.networks.weights import load_weights, save_weights
from distillation_dynamics.spec.base import From, from_json, to_json
from distillation_dynamics.spec.images import Images, View
from distillation_dynamics.spec.network import Model
from distillation_dynamics.spec.networks import NetworkJob
from distillation_dynamics.spec.runs import network_files
from distillation_dynamics.spec.training import Average, Mixing, Optimizer, Recipe, Schedule
from distillation_dynamics.stages import networks as stage

VIEW = View(1, 28, (0.5,), (0.5,))
ARGS = {"patch_size": 7, "embed_dim": 16, "depth": 2, "num_heads": 2}
IMAGES = Images("key", VIEW, True, folder="", test="")
CLASSES = 4
RECIPE = Recipe(8, 20, Optimizer("adamw", 5e-3, 0.05, 1e-8), Schedule("cosine", 0, 1e-6, 1e-6, "epoch"), "float32", 1)


class MadeUp:
    """A split of images whose brightness says their class, read as the stage reads one."""

    sizes = {"train": 100, "validation": 60, "test": 40}  # noqa: RUF012
    unlabelled = False

    def __init__(self, images, name, count=None):
        assert images == IMAGES
        self.labels = np.arange(count or self.sizes[name]) % CLASSES
        self.images = torch.from_numpy(self.labels).float().view(-1, 1, 1, 1) - 1.5
        self.images = self.images + 0.1 * torch.randn(len(self.labels), 1, 28, 28)
        if self.unlabelled:
            self.labels = np.full(len(self.labels), -1)

    def __len__(self):
        return len(self.labels)

    def _batch(self, positions):
        return Batch(positions, self.images[positions], torch.from_numpy(self.labels[positions]))

    def evaluation(self, batch_size, workers=0, device=None):
        for first in range(0, len(self), batch_size):
            yield self._batch(np.arange(first, min(first + batch_size, len(self))))

    def training(self, batch_size, augmentation, seed, epochs, workers=0, first=0, device=None):
        for epoch in epochs:
            order = np.random.default_rng([seed, epoch]).permutation(len(self))
            for begin in range(0, len(self) - batch_size + 1, batch_size):
                yield self._batch(order[begin : begin + batch_size])


@pytest.fixture(autouse=True)
def made_up(monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setattr(stage, "Split", MadeUp)
    monkeypatch.setattr(MadeUp, "unlabelled", False)


def job_of(tmp_path, weights=None, measures=("validation", "test"), classes=CLASSES, model=None, **options):
    """The job that pretrains a small network, or loads `weights` in its place, into `tmp_path/network`."""
    recipe, smoothing = (RECIPE, 0.0) if weights is None else (None, None)
    return NetworkJob(
        images=IMAGES if measures else None,
        measures=measures,
        view=VIEW,
        model=model or Model("vit_tiny_patch16_224", ARGS, "timm", classes),
        seed=0,
        control=options.pop("control", "untrained"),
        recipe=recipe,
        label_smoothing=smoothing,
        weights=None if weights is None else From("weights", files=(str(weights),)),
        name="vit",
        out=str(tmp_path / "network"),
        **options,
    )


def weights_of(tmp_path, classes=CLASSES, model=None):
    torch.manual_seed(7)
    network = build(model or Model("vit_tiny_patch16_224", ARGS, "timm", classes), VIEW)
    save_weights(tmp_path / "given.safetensors", network)
    return network.eval(), tmp_path / "given.safetensors"


def run(job):
    """Run a job; return its result, once it is seen that it wrote the files that are known before, and no other."""
    stage.main(job)
    out = {path.name for path in (stage.Path(job.out)).iterdir() if not path.name.startswith(".")}
    assert out == set(network_files(job))
    return json.loads((stage.Path(job.out) / "result.json").read_text())


def test_a_pretrained_network_leaves_weights_logits_tables_and_an_untrained_twin(tmp_path):
    job = job_of(tmp_path)
    result = run(from_json(NetworkJob, to_json(job)))
    out = tmp_path / "network"
    assert result["source"] == "pretrain" and result["train_images"] == 100 and result["epochs"] == 8
    assert result["loaded"] is None and result["control"] == "untrained" and not result["control_is_identity"]
    assert result["classes"] == CLASSES and result["not_measured"] is None and result["training_gflops"] > 0
    trained, twin = (load_file(out / f"{name}.safetensors") for name in ("trained", "control"))
    torch.manual_seed(0)
    for name, value in build(job.model, VIEW).state_dict().items():
        assert torch.equal(twin[name], value)
    assert not torch.equal(trained["patch_embed.proj.weight"], twin["patch_embed.proj.weight"])
    epochs = pq.read_table(out / "epochs.parquet").to_pandas()
    assert list(epochs["epoch"]) == list(range(9))
    assert epochs["validation_top1"].iloc[-1] == pytest.approx(result["validation_top1"])
    assert np.load(out / "logits_test.npy").shape == (40, CLASSES)


def test_a_network_may_be_the_average_of_its_weights_over_mixed_images(tmp_path, capsys):
    recipe = replace(RECIPE, mixing=Mixing(0.8, 1.0), clip_gradient_norm=1e-3)
    weights = {}
    for name, ema in (("plain", None), ("averaged", Average(0.8))):
        result = run(replace(job_of(tmp_path / name), recipe=replace(recipe, ema=ema)))
        assert (result["updates"], result["clip_gradient_norm"], result["clipped"]) == (40, 1e-3, 1)
        assert result["ema_decay"] == (None if ema is None else 0.8)
        assert "networks.vit: 100 % of its 40 updates were clipped at norm 0.001\n" in capsys.readouterr().err
        weights[name] = load_file(tmp_path / name / "network/trained.safetensors")
        network = build(Model("vit_tiny_patch16_224", ARGS, "timm", CLASSES), VIEW)
        load_weights(tmp_path / name / "network/trained.safetensors", network)
        logits = np.load(tmp_path / name / "network/logits_test.npy")
        assert result["test_top1"] == pytest.approx(100 * np.mean(logits.argmax(1) == np.arange(40) % CLASSES))
    far = {name: (weights["plain"][name] - value).abs().max() for name, value in weights["averaged"].items()}
    # The rate ends near 0, so that an average of the last few weights is near the last.
    assert 0 < far["head.weight"] < 0.1


def test_a_network_from_a_file_is_measured_and_says_what_was_loaded(tmp_path):
    network, path = weights_of(tmp_path)
    result = run(job_of(tmp_path, path, sha256=sha256(path)))
    loaded = build(Model("vit_tiny_patch16_224", ARGS, "timm", CLASSES), VIEW)
    load_weights(tmp_path / "network/trained.safetensors", loaded)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), loaded.parameters(), strict=True))
    assert result["source"] == "weights" and result["train_images"] is None and result["training_gflops"] == 0
    assert result["loaded"] == AS_IT_IS
    for name in ("validation", "test"):
        logits = np.load(tmp_path / f"network/logits_{name}.npy")
        labels = np.arange(len(logits)) % CLASSES
        assert result[f"{name}_top1"] == pytest.approx(100 * (logits.argmax(1) == labels).mean())
        assert result[f"{name}_images"] == len(logits) and result[f"{name}_chance"] == 25


@pytest.mark.parametrize(
    ("classes", "reason"), [(0, "it has no head"), (9, "no images are given whose classes its head sorts")]
)
def test_a_network_that_sorts_no_images_has_no_accuracy_and_says_why(tmp_path, classes, reason):
    _, path = weights_of(tmp_path, classes)
    result = run(job_of(tmp_path, path, (), classes))
    assert result["validation_top1"] is None and result["test_top1"] is None
    assert result["not_measured"] == reason and result["classes"] == classes
    for wrong in ({"teaches": True}, {"expected_top1": 50.0, "tolerance": 1.0}):
        with pytest.raises(
            StudyError, match=r"^networks\.vit(\.expected_top1|: a teacher's accuracy must be measured)"
        ):
            stage.main(job_of(tmp_path / "other", path, (), classes, **wrong))


def test_a_study_that_holds_nothing_out_is_measured_on_its_test_images(tmp_path):
    _, path = weights_of(tmp_path)
    result = run(job_of(tmp_path, path, ("test",)))
    assert result["validation_top1"] is None and result["test_top1"] is not None and result["not_measured"] is None


def test_a_head_of_a_released_file_is_left_out_and_the_position_grid_resampled(tmp_path):
    model = Model("vit_tiny_patch16_224", ARGS | {"img_size": 56}, "timm", 9)
    _, path = weights_of(tmp_path, model=model)
    result = run(job_of(tmp_path, path, (), 0))
    assert result["loaded"]["resampled"] == {"pos_embed": [[1, 65, 16], [1, 17, 16]]}
    assert result["loaded"]["unused"] == ["head.bias", "head.weight"]


def test_a_teacher_at_chance_stops_the_study_and_a_trained_one_does_not(tmp_path):
    _, path = weights_of(tmp_path)
    with pytest.raises(StudyError, match=r"^networks\.vit: its top-1 on 60 validation images of 4 classes is"):
        stage.main(job_of(tmp_path, path, teaches=True))
    assert not list((tmp_path / "network").glob("*"))
    assert run(job_of(tmp_path, teaches=True))["validation_top1"] > 50


def test_a_network_that_is_not_as_good_as_expected_is_refused(tmp_path):
    _, path = weights_of(tmp_path)
    with pytest.raises(StudyError, match=r"networks\.vit\.expected_top1: .* 83\.0 \+- 1\.0 % is expected"):
        stage.main(job_of(tmp_path, path, expected_top1=83.0, tolerance=1.0))
    with pytest.raises(StudyError, match=r"the fault is in what networks\.vit\.weights names|but the configuration"):
        stage.main(job_of(tmp_path, path, sha256="0" * 64))
    assert not list((tmp_path / "network").glob("*"))


def test_images_whose_labels_the_head_does_not_know_are_refused(tmp_path, monkeypatch):
    _, path = weights_of(tmp_path, 3)
    with pytest.raises(StudyError, match=r"^networks\.vit: its head has 3 classes, but the labels .* are 0 to 3"):
        stage.main(job_of(tmp_path, path, classes=3))
    monkeypatch.setattr(MadeUp, "unlabelled", True)
    with pytest.raises(StudyError, match=r"^networks\.vit: its head has 3 classes, but the labels .* are -1 to -1"):
        stage.main(job_of(tmp_path, path, classes=3))


DINOV2 = Model("vit_small_patch14_dinov2", {"embed_dim": 24, "depth": 2, "num_heads": 2}, "timm", 0)


def test_an_untrained_twin_that_is_the_identity_is_said_to_be_no_control(tmp_path, capsys):
    _, path = weights_of(tmp_path, model=DINOV2)
    result = run(job_of(tmp_path, path, (), model=DINOV2))
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("networks.vit.control: ")]
    assert result["control_is_identity"] and len(said) == 1
    assert said[0].endswith("so that it is no control; choose control: unit_layer_scale or permuted")
    result = run(job_of(tmp_path, path, (), model=DINOV2, control="unit_layer_scale"))
    assert not result["control_is_identity"] and result["control"] == "unit_layer_scale"
    assert "networks.vit.control" not in capsys.readouterr().err


def test_faults_of_a_network_begin_with_its_key(tmp_path):
    _, path = weights_of(tmp_path)
    with pytest.raises(StudyError, match=r"^networks\.vit\.control: vit_tiny_patch16_224 has no LayerScale"):
        stage.main(job_of(tmp_path, path, control="unit_layer_scale"))
    wrong = Model("vit_tiny_patch16_224", ARGS | {"depth": "two"}, "timm", CLASSES)
    with pytest.raises(StudyError, match=r"^networks\.vit\.model\.args: timm cannot build"):
        stage.main(job_of(tmp_path, path, model=wrong))


@pytest.mark.parametrize(
    ("top1", "images", "chance", "classes", "passes"),
    [
        (100 / 6, 600, 100 / 6, 6, False),
        (18.0, 100000, 100 / 6, 6, False),
        (30.0, 10, 100 / 6, 6, False),
        (34.0, 600, 100 / 6, 6, True),
        (0.3, 50000, 0.1, 1000, True),
        (0.15, 50000, 0.1, 1000, False),
        (74.0, 1000, 50.0, 2, False),
        (76.0, 1000, 50.0, 2, True),
        (100.0, 3, 50.0, 2, False),
        # Of very unequal classes: whoever always says the most frequent is right as often, and knows nothing.
        (70.0, 1000, 70.0, 6, False),
        (84.0, 1000, 70.0, 6, True),
        (100.0, 1000, 100.0, 1, False),
    ],
)
def test_chance_is_beaten_clearly_by_size_and_by_more_than_luck(top1, images, chance, classes, passes):
    assert acceptance.beats_chance(top1, images, chance, classes) is passes
    result = {"validation_top1": top1, "validation_images": images, "validation_chance": chance, "test_top1": 99.0}
    result["classes"] = classes
    if passes:
        acceptance.check_teacher("vit", result, None, 0.0, True)
        return
    acceptance.check_teacher("vit", result, None, 0.0, False)
    with pytest.raises(StudyError, match=r"^networks\.vit: its top-1 on \d+ validation images of \d+ classes is"):
        acceptance.check_teacher("vit", result, None, 0.0, True)
    # Whoever says what is expected knows what they teach with.
    acceptance.check_teacher("vit", result, top1 + 0.5, 1.0, True)


def test_luck_is_counted_as_the_binomial_says():
    # P(at least k of 5 right at 1/4), by counting all outcomes.
    outcomes = [sum((number // 4**place) % 4 == 0 for place in range(5)) for number in range(4**5)]
    for right in range(6):
        by_luck = sum(found >= right for found in outcomes) / len(outcomes)
        assert acceptance.beats_chance(20.0 * right, 5, 25.0, 4) is (by_luck < 1e-3 and right >= 2.5)
