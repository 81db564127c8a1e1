"""Controls of a network: what stays of it, what does not, and when a control is none."""

import pytest
import torch

import zoo
from distillation_dynamics.errors import StudyError
from distillation_dynamics.networks import blocks
from distillation_dynamics.networks.build import build
from distillation_dynamics.networks.controls import IMAGES, control, first_layer_scale, is_identity
from distillation_dynamics.spec.images import View

VIEW = View(3, 28, (0.5,) * 3, (0.5,) * 3)
MODELS = ("vit", "dinov2", "cait", "deit3", "resnet", "convnext")


def model_of(family, **arguments):
    # For images of 28 pixels.
    given = {"patch_size": 7} if family in ("vit", "cait") else {}
    return zoo.model(family, 3, **given | zoo.of_depth(family, 4) | arguments)


def trained(model):
    """A network whose weights are those of no fresh one."""
    torch.manual_seed(5)
    network = build(model, VIEW)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter))
    for name, buffer in network.named_buffers():
        if "running" in name:
            buffer.add_(torch.rand_like(buffer))
    return network


@pytest.mark.parametrize("family", MODELS)
def test_the_untrained_twin_is_what_training_with_the_seed_begins_with(family):
    model = model_of(family)
    random = torch.get_rng_state()
    twin = control(trained(model), model, VIEW, "untrained", 3).state_dict()
    torch.manual_seed(3)
    for name, value in build(model, VIEW).state_dict().items():
        assert torch.equal(twin[name], value)
    torch.set_rng_state(random)
    other = control(trained(model), model, VIEW, "untrained", 4).state_dict()
    assert any(not torch.equal(other[name], value) for name, value in twin.items())


def test_the_random_stream_is_left_as_it_was():
    model = model_of("vit")
    network, before = trained(model), torch.get_rng_state()
    for kind in ("untrained", "permuted"):
        control(network, model, VIEW, kind, 3)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("family", MODELS)
def test_permuted_weights_are_the_same_values_of_each_tensor_elsewhere(family):
    model = model_of(family)
    network = trained(model)
    state = {name: value.clone() for name, value in network.state_dict().items()}
    twin = control(network, model, VIEW, "permuted", 0).state_dict()
    moved = 0
    for name, value in state.items():
        assert torch.equal(network.state_dict()[name], value)
        assert torch.equal(twin[name].flatten().sort()[0], value.flatten().sort()[0])
        moved += not torch.equal(twin[name], value)
        assert value.is_floating_point() or torch.equal(twin[name], value)
    assert moved >= sum(value.numel() > 3 and value.is_floating_point() for value in state.values())
    again, other = (control(network, model, VIEW, "permuted", seed).state_dict() for seed in (0, 1))
    assert all(torch.equal(again[name], value) for name, value in twin.items())
    assert any(not torch.equal(other[name], value) for name, value in twin.items())


@pytest.mark.parametrize(("family", "scales"), [("dinov2", 8), ("deit3", 8), ("cait", 12), ("convnext", 9)])
def test_layer_scale_is_set_to_one_and_all_else_stays(family, scales):
    model = model_of(family)
    network = trained(model)
    fresh = control(network, model, VIEW, "untrained", 2).state_dict()
    unit = control(network, model, VIEW, "unit_layer_scale", 2).state_dict()
    changed = [name for name, value in fresh.items() if not torch.equal(unit[name], value)]
    assert len(changed) == scales and all("gamma" in name for name in changed)
    assert all((unit[name] == 1).all() for name in changed)


def test_a_network_without_layer_scale_has_none_to_set():
    model = model_of("vit")
    with pytest.raises(StudyError, match=r"^control: vit_tiny_patch16_224 has no LayerScale .* untrained or permuted"):
        control(trained(model), model, VIEW, "unit_layer_scale", 0)


@pytest.mark.parametrize(
    ("family", "arguments", "kind", "expected"),
    [
        ("dinov2", {}, "untrained", True),
        ("cait", {}, "untrained", True),
        ("deit3", {}, "untrained", True),
        ("dinov2", {}, "unit_layer_scale", False),
        ("cait", {}, "unit_layer_scale", False),
        ("dinov2", {}, "permuted", False),
        ("cait", {"init_values": 1.0}, "untrained", False),
        ("vit", {}, "untrained", False),
        ("vit", {"depth": 1}, "untrained", False),
        ("resnet", {}, "untrained", False),
    ],
)
@torch.no_grad()
def test_a_twin_whose_blocks_hardly_change_the_stream_is_no_control(family, arguments, kind, expected):
    model = model_of(family, **arguments)
    twin = control(trained(model), model, VIEW, kind, 0)
    assert is_identity(twin, VIEW) is expected
    images = torch.randn(IMAGES, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    first, *others = (block.double() for block in blocks.features(twin.eval(), images))
    changes = [((block - first).square().sum() / first.square().sum()).sqrt() for block in others
               if block.shape == first.shape]  # fmt: skip
    assert expected == (bool(changes) and max(changes) < 1e-3)


@pytest.mark.parametrize(
    ("family", "arguments", "scale"),
    [
        ("vit", {}, None), ("resnet", {}, None), ("dinov2", {}, 1e-5), ("cait", {}, 1e-5), ("deit3", {}, 1e-6),
        ("cait", {"init_values": 0.5}, 0.5), ("vit", {"init_values": 0.1}, 0.1), ("convnext", {}, 1e-6),
    ],
)  # fmt: skip
def test_what_a_layer_scale_begins_with_is_that_of_a_fresh_network(family, arguments, scale):
    model, random = model_of(family, **arguments), torch.get_rng_state()
    found = first_layer_scale(model, VIEW)
    assert found is None if scale is None else found == pytest.approx(scale)
    assert torch.equal(random, torch.get_rng_state())
