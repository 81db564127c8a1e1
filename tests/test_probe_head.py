"""A head for a network without one: its classifier, the network that it makes, and what it teaches."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import softmax

import test_network_stage as made_up
from distillation_dynamics.errors import StudyError
from distillation_dynamics.networks import probe
from distillation_dynamics.networks.build import build
from distillation_dynamics.networks.weights import load_weights, save_weights
from distillation_dynamics.spec.base import From
from distillation_dynamics.spec.network import Model
from distillation_dynamics.spec.networks import Head
from distillation_dynamics.spec.students import RunJob
from distillation_dynamics.stages import cohorts
from distillation_dynamics.stages import networks as stage
from helpers import changed, images_of, load, run_job, smoke_config, tiny_study

CPU = torch.device("cpu")
DINO = {
    "name": "vit_small_patch14_reg4_dinov2",
    "args": {"patch_size": 7, "embed_dim": 16, "depth": 3, "num_heads": 2, "num_classes": 0},
}


@pytest.mark.parametrize(("images", "channels", "classes"), [(40, 5, 3), (6, 9, 2), (30, 1, 4)])
def test_the_classifier_is_where_no_step_makes_the_loss_less(images, channels, classes):
    generator = np.random.default_rng(images)
    rows, labels = generator.normal(size=(images, channels)), np.arange(images) % classes
    weight, bias = probe.fit(rows, labels, classes, 0.01)

    def loss(w, b):
        total = 0.0
        for x, y in zip(rows, labels, strict=True):
            total -= np.log(softmax(w @ x + b)[y])
        return total / images + 0.005 * (w**2).sum()

    least = loss(weight, bias)
    for _ in range(20):
        step = 1e-3 * generator.normal(size=(classes, channels + 1))
        assert loss(weight + step[:, 1:], bias + step[:, 0]) > least - 1e-9


def test_constant_features_give_the_frequencies_of_the_classes():
    labels = np.array([0, 0, 0, 1])
    weight, bias = probe.fit(np.zeros((4, 3)), labels, 2, 0.01)
    assert not weight.any() and softmax(bias) == pytest.approx([0.75, 0.25], abs=1e-4)


def test_a_feature_that_is_always_the_same_and_large_tells_nothing(monkeypatch):
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 200)
    rows = np.column_stack([generator.normal(size=(200, 4)) + 2 * np.eye(3, 4)[labels], np.full(200, 1e8 + 0.1)])
    monkeypatch.setattr(probe, "pooled", lambda *given: rows)
    small = Model("vit_tiny_patch16_224", {"embed_dim": 5, "num_heads": 1, "depth": 1}, "timm", 0)
    network = build(small, load(smoke_config()).view("cait"))

    class Images(list):
        """As many images as there are labels."""

    images = Images(range(200))
    images.labels = labels
    probe.add_head(network, 3, images, None, CPU)
    weight = network.get_classifier().weight.detach()
    assert weight[:, 4].abs().max() < 1e-6 and weight.abs().max() < 100


@pytest.fixture
def no_head(tmp_path, monkeypatch):
    """The stage on made-up images, and weights of a network without a head."""
    monkeypatch.setattr(stage, "Split", made_up.MadeUp)
    network, path = made_up.weights_of(tmp_path, classes=0)
    return made_up.job_of(tmp_path, path, head=Head("linear")), network


def test_a_network_without_a_head_becomes_one_with_a_classifier_of_its_pooled_features(tmp_path, no_head):
    job, bare = no_head
    result = made_up.run(job)
    assert result["validation_top1"] > 90 and result["classes"] == made_up.CLASSES
    assert result["probe_images"] == 100 and result["probe_penalty"] in probe.PENALTIES
    whole = build(job.model, job.view)
    load_weights(tmp_path / "network/trained.safetensors", whole)
    images = made_up.MadeUp(made_up.IMAGES, "test").images
    whole.eval()
    with torch.no_grad():
        pooled = bare.forward_head(bare.forward_features(images), pre_logits=True)
        expected = pooled @ whole.head.weight.T + whole.head.bias
        torch.testing.assert_close(whole(images), expected, rtol=1e-4, atol=1e-4)
    for name, value in bare.state_dict().items():
        assert torch.equal(whole.state_dict()[name], value), "the rest of it stays as it was"


def test_a_head_is_the_same_again_and_learns_from_as_many_images_as_are_asked_for(tmp_path, no_head):
    job, _ = no_head
    bits = []
    for _ in range(2):
        torch.manual_seed(0)
        made_up.run(job)
        bits.append((tmp_path / "network/trained.safetensors").read_bytes())
    assert bits[0] == bits[1]
    assert made_up.run(replace(job, head=Head("linear", 24)))["probe_images"] == 24


def test_features_that_are_not_finite_are_refused(monkeypatch, no_head):
    job, _ = no_head
    monkeypatch.setattr(probe, "pooled", lambda *given: np.full((4, 3), np.nan))
    with pytest.raises(StudyError, match=r"networks\.vit\.weights: its pooled features are not finite"):
        stage.main(job)


def test_a_classifier_that_is_not_linear_is_refused(monkeypatch, no_head):
    job, _ = no_head
    monkeypatch.setattr(probe, "pooled", lambda *given: np.random.default_rng(0).normal(size=(100, 3)))
    with pytest.raises(StudyError, match=r"networks\.vit\.head\.probe: the classifier of VisionTransformer is no"):
        stage.main(replace(job, measures=()))


def dino_config(tmp_path, head=True, **changes):
    """A study whose teacher is a DINOv2 without a head, as a file."""
    torch.manual_seed(3)
    arguments = {key: value for key, value in DINO["args"].items() if key != "num_classes"}
    network = build(Model(DINO["name"], arguments, "timm", 0), load(smoke_config()).view("cait"))
    save_weights(tmp_path / "dino.safetensors", network)
    given = {"source": "checkpoint", "weights": str(tmp_path / "dino.safetensors"), "model": DINO}
    given |= {"view": smoke_config()["view"]} | ({"head": {"probe": "linear"}} if head else {})
    variants = {
        "soft": {"cross_entropy": {"weight": 0.1}, "soft": {"weight": 0.9}},
        "both": {
            "cross_entropy": {"weight": 0.1},
            "soft": {"weight": 0.9},
            "spectral": {"weight": 0.2, "pairs": "last"},
        },
    }
    return {"networks.dino": given, "teacher": "dino", "variants": variants, **changes}


def test_a_dinov2_without_a_head_teaches_logits_and_features_at_once(tmp_path):
    result = tiny_study(tmp_path, **dino_config(tmp_path))
    assert result.model("dino").classes == 10 and "num_classes" not in result.model("dino").args
    images = images_of(result, tmp_path / "data", "dino")
    network = result.networks["dino"]
    job = stage.NetworkJob(
        *(images, ("validation", "test"), result.view("dino"), result.model("dino"), 0, "untrained", None, None),
        From("weights", files=(network.weights,)),
        head=network.head,
        name="dino",
        out=str(tmp_path / "network"),
    )
    stage.main(job)
    said = json.loads((tmp_path / "network/result.json").read_text())
    assert said["probe_images"] == 80 and said["classes"] == 10 and said["test_top1"] is not None
    jobs: list[RunJob] = [
        run_job(result, tmp_path, variant, tmp_path / variant, tmp_path / "network/trained.safetensors")
        for variant in ("soft", "both")
    ]
    cohorts.main(jobs)
    cohorts.main([replace(jobs[1], out=str(tmp_path / "alone"))])
    for name in ("checkpoints/epoch001.safetensors", "steps.parquet"):
        assert (tmp_path / "both" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()


def planned(tmp_path, changes):
    config = smoke_config()
    for key, value in changes.items():
        config = changed(config, key, value)
    return load(config)


def test_without_a_head_features_can_be_asked_for_and_logits_cannot(tmp_path):
    changes = dino_config(tmp_path, head=False)
    with pytest.raises(StudyError, match=r"variants\.soft\.soft: .* no outputs .* give it head: {probe: linear}, or"):
        planned(tmp_path, changes)
    features = {"cross_entropy": {"weight": 1}, "spectral": {"weight": 0.2, "pairs": "last"}}
    study = planned(tmp_path, changes | {"variants": {"none": {"cross_entropy": {"weight": 1}}, "last": features}})
    assert study.variants["last"].sources[0].network == "dino"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("networks.dino.head", {"probe": "liner"}, r"head\.probe: 'liner' is not valid; did you mean linear"),
        ("networks.cait.head", {"probe": "linear"}, r"networks\.cait\.head: has no effect with source pretrain"),
        ("networks.dino.model.args.num_classes", 7, r"weights: .*"),
    ],
)
def test_a_head_that_cannot_be_is_refused(tmp_path, key, value, message):
    with pytest.raises(StudyError, match=message):
        planned(tmp_path, dino_config(tmp_path) | {key: value})


def test_a_network_that_has_a_head_gets_no_other(tmp_path):
    torch.manual_seed(3)
    arguments = {key: value for key, value in DINO["args"].items() if key != "num_classes"}
    changes = dino_config(tmp_path)
    network = build(Model(DINO["name"], arguments, "timm", 10), load(smoke_config()).view("cait"))
    save_weights(tmp_path / "dino.safetensors", network)
    changes["networks.dino"] |= {"model": DINO | {"args": arguments}}
    with pytest.raises(StudyError, match=r"networks\.dino\.head: it has a head of 10 outputs; remove head, or give"):
        planned(tmp_path, changes)


def test_a_changed_network_gets_no_head(tmp_path):
    changes = dino_config(tmp_path)
    changes["networks.dino"]["model"] = DINO | {"architecture": {"normalised": {}}}
    with pytest.raises(StudyError, match=r"networks\.dino\.head: works only with unmodified timm models"):
        planned(tmp_path, changes)
