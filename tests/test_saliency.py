"""Saliency against plain autograd and explicit sums; the metric that fills the two tables of maps."""

import numpy as np
import pytest
import torch

import zoo
from distillation_dynamics.metrics import saliency as metric
from distillation_dynamics.metrics.accumulator import Context
from distillation_dynamics.metrics.saliency import METHODS, SAMPLES, SD, STEPS, saliency
from distillation_dynamics.networks import build as building
from distillation_dynamics.networks.observer import Observer
from distillation_dynamics.outputs import Request
from distillation_dynamics.spec.images import View
from distillation_dynamics.spec.measure import Settings

FAMILIES = ("vit", "mean_pooled", "distilled", "cait", "swin", "resnet")
LABELS = torch.tensor([1, 0, 4])


def build(family):
    return zoo.network(family, 16).double()


def draw(count=3):
    return zoo.images(count, 16)


def input_gradient(network, image, label):
    image = image.detach().clone().requires_grad_()
    network(image[None])[0, label].backward()
    return image.grad


def assert_close(ours, reference):
    assert ours.dtype == torch.float32
    torch.testing.assert_close(ours.double(), reference, rtol=1e-5, atol=1e-6 * float(reference.abs().max()))


@pytest.mark.parametrize("family", FAMILIES)
def test_gradient_is_the_absolute_input_gradient_of_the_labels_logit(family):
    network, images = build(family), draw()
    ours = saliency(network, images, LABELS, "gradient")
    reference = [input_gradient(network, *pair).abs() for pair in zip(images, LABELS, strict=True)]
    assert_close(ours, torch.stack(reference))


@pytest.mark.parametrize("family", ["vit", "cait", "resnet"])
@pytest.mark.parametrize("seed", [0, 7])
def test_smoothgrad_is_the_mean_over_noisy_copies_of_the_absolute_gradient(family, seed):
    network, images = build(family), draw(2)
    ours = saliency(network, images, LABELS[:2], "smoothgrad", seed)
    for number, (image, label) in enumerate(zip(images, LABELS, strict=False)):
        spread = 0.15 * (image.max() - image.min())
        generator = torch.Generator().manual_seed(seed)
        total = torch.zeros_like(image)
        for _ in range(5):
            # The draws come ten copies at a time.
            for noise in torch.normal(0, torch.full((10, 3, 16, 16), float(spread)), generator=generator):
                total += input_gradient(network, image + noise, label).abs()
        assert_close(ours[number], total / 50)


def test_smoothgrad_agrees_with_noise_of_another_source():
    network, image, label = build("vit"), draw(1), LABELS[:1]
    ours = saliency(network, image, label, "smoothgrad")[0].double()
    spread = float(0.15 * (image.max() - image.min()))
    generator = np.random.default_rng(5)
    noisy = [image[0] + torch.from_numpy(generator.normal(0, spread, image.shape[1:])) for _ in range(400)]
    draws = torch.stack([input_gradient(network, copy, label[0]).abs() for copy in noisy])
    # In standard errors of a mean of 50 and one of 400; of 768 values the largest of normal ones lies near 3.2.
    distance = (ours - draws.mean(dim=0)) / (draws.std(dim=0) * (1 / 50 + 1 / 400) ** 0.5)
    assert distance.abs().max() < 5 and 0.8 < distance.square().mean() ** 0.5 < 1.2


@pytest.mark.parametrize("family", ["vit", "cait", "swin", "resnet"])
def test_integrated_gradients_are_the_left_riemann_sum_from_zero(family):
    network, images = build(family), draw()
    ours = saliency(network, images, LABELS, "integrated_gradients")
    reference = []
    for image, label in zip(images, LABELS, strict=True):
        gradients = [input_gradient(network, k / 50 * image, label) for k in range(50)]
        reference.append(image * torch.stack(gradients).mean(dim=0))
    assert_close(ours, torch.stack(reference))


@pytest.mark.parametrize("family", ["vit", "mean_pooled", "cait"])
def test_integrated_gradients_add_up_to_the_change_of_the_logit(family):
    network, images = build(family), draw()
    total = saliency(network, images, LABELS, "integrated_gradients").double().sum(dim=(1, 2, 3))
    with torch.no_grad():
        change = (network(images) - network(torch.zeros_like(images)))[range(3), LABELS]
    # A left sum of 50 steps is off by about a hundredth of the gradient's change along the way.
    torch.testing.assert_close(total, change, rtol=0.1, atol=0.1 * float(change.abs().max()))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("family", ["vit", "resnet"])
def test_an_image_has_the_same_attributions_alone_and_in_a_batch(family, method):
    network, images = build(family), draw()
    together = saliency(network, images, LABELS, method)
    for number in range(3):
        one = slice(number, number + 1)
        assert saliency(network, images[one], LABELS[one], method).equal(together[one])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [0.0, 1.5])
def test_a_constant_image_has_finite_attributions(method, value):
    network, images = build("vit"), torch.full((1, 3, 16, 16), value, dtype=torch.float64)
    ours = saliency(network, images, LABELS[:1], method)
    assert ours.isfinite().all()
    if method == "smoothgrad":
        # No range, no noise.
        assert_close(ours, input_gradient(network, images[0], LABELS[0]).abs()[None])
    if method == "integrated_gradients" and value == 0:
        assert (ours == 0).all()


@pytest.mark.parametrize("method", METHODS)
def test_random_state_network_and_images_are_left_as_they_were(method):
    network, images = build("vit"), draw(1)
    logits, images_before, state = network(images), images.clone(), torch.get_rng_state()
    first = saliency(network, images, LABELS[:1], method)
    assert torch.get_rng_state().equal(state)
    torch.rand(3)
    assert saliency(network, images, LABELS[:1], method).equal(first)
    assert network(images).equal(logits) and images.equal(images_before) and not images.requires_grad
    assert all(parameter.grad is None and parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_frozen_parameters_and_switched_off_gradients_change_nothing(method, mode):
    network, images = build("cait"), draw(1)
    before = saliency(network, images, LABELS[:1], method)
    network.requires_grad_(False)
    with mode():
        assert saliency(network, images.clone(), LABELS[:1].clone(), method).equal(before)


def test_one_channel_and_float32_are_enough():
    network = building.build(zoo.model("vit", 2, depth=1), zoo.view(8, channels=1)).eval()
    for method in METHODS:
        ours = saliency(network, torch.randn(2, 1, 8, 8), LABELS[:2], method)
        assert ours.shape == (2, 1, 8, 8) and ours.isfinite().all()


def test_a_map_is_the_largest_absolute_value_over_colours():
    attributions = torch.tensor([1.0, -3.0, 2.0]).view(1, 3, 1, 1).expand(2, 3, 4, 5)
    np.testing.assert_array_equal(metric.saliency_map(attributions), np.full((2, 4, 5), 3))


def test_the_settings_are_those_of_the_paper():
    assert (SAMPLES, SD, STEPS) == (50, 0.15, 50)


@pytest.mark.parametrize("method", METHODS)
def test_a_network_in_training_mode_is_refused(method):
    with pytest.raises(ValueError, match="training mode"):
        saliency(build("vit").train(), draw(1), LABELS[:1], method)


VIEW = View(3, 16, (0.4, 0.5, 0.6), (0.1, 0.2, 0.3))


def rows_of(network, images, labels, methods=("gradient",), batch=2):
    """The rows that the metric gives of images that come in batches."""
    names = [f"blocks.{number}" for number in range(2)]
    found = metric.Metric(Settings(methods=methods), Context(view=VIEW, block_names=names))
    for part in torch.arange(len(images)).split(batch):
        outputs = Observer(network)(images[part], Request.of(metric.REQUIRES), labels[part])
        outputs.labels = outputs.targets = labels[part]
        outputs.positions = 7 * part
        found.update(outputs)
    return found.rows()


def test_the_metric_gives_a_map_a_row_with_every_column_documented():
    network, images = build("vit").float(), draw().float()
    rows = rows_of(network, images, LABELS, ("gradient", "integrated_gradients"))
    assert set(rows) == set(metric.TABLES)
    for table, columns in metric.TABLES.items():
        assert all(set(row) == set(columns) for row in rows[table])
        assert all(row["map"].shape == (row["rows"] * row["columns"],) for row in rows[table])
        assert all(row["map"].dtype == np.float32 for row in rows[table])
    assert len(rows["saliency"]) == 3 * 3
    for method in ("gradient", "integrated_gradients"):
        of = [row for row in rows["saliency"] if row["method"] == method]
        assert [(row["image"], row["label"]) for row in of] == [(0, 1), (7, 0), (14, 4)]
        maps = metric.saliency_map(saliency(network, images, LABELS, method)).flatten(1)
        np.testing.assert_allclose(np.stack([row["map"] for row in of]), maps, rtol=1e-5, atol=1e-8)
    pixels = np.stack([row["map"] for row in rows["saliency"] if row["method"] == "image"])
    np.testing.assert_allclose(pixels, metric.intensity(images, VIEW).flatten(1))


@pytest.mark.parametrize("labels", [[-1, 0, 4], [-1, -1, -1], [5, 0, 4]])
def test_images_without_a_label_of_the_head_have_no_map_but_their_own(labels):
    network, images, labels = build("vit").float(), draw().float(), torch.tensor(labels)
    rows = rows_of(network, images, labels, METHODS[::2])
    for row in rows["saliency"]:
        missing = row["label"] not in range(5) and row["method"] != "image"
        assert np.isnan(row["map"]).all() == missing and np.isfinite(row["map"]).all() != missing


def test_one_class_and_gradients_of_zero_have_maps():
    network, images = build("vit").float(), draw(1).float()
    with torch.no_grad():
        network.head.weight.zero_()
    rows = rows_of(network, images, torch.zeros(1, dtype=torch.long), METHODS)
    assert all((row["map"] == 0).all() for row in rows["saliency"] if row["method"] != "image")


def test_intensity_undoes_the_normalisation_and_is_the_mean_over_colours():
    pixels = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    mean, std = torch.tensor(VIEW.mean).view(3, 1, 1), torch.tensor(VIEW.std).view(3, 1, 1)
    torch.testing.assert_close(metric.intensity((pixels - mean) / std, VIEW), pixels.mean(dim=1))
