"""Networks of many families: what their blocks are, gradients by them against differences, and what is left empty."""

import re
from dataclasses import astuple

import numpy as np
import pytest
import timm
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

import zoo
from distillation_dynamics.errors import StudyError, say_once
from distillation_dynamics.networks import answers, blocks
from distillation_dynamics.networks import build as building
from distillation_dynamics.networks.attention import attention_maps
from distillation_dynamics.networks.gradients import block_gradients
from distillation_dynamics.outputs import Request
from distillation_dynamics.spec.images import View
from distillation_dynamics.spec.network import Model

# Side of the images, then block, its name in timm, the module that gives its features, which of the tensors that it
# puts out they are, and how that is laid out: as tokens behind so many others, or where channels are.
FAMILIES = {
    "mvitv2": (64, (1, "block.1", "stages.1", 0, 0)),
    "twins": (64, (2, "block.2", "blocks.2.1", 0, 0)),
    "twins_pcpvt": (64, (0, "block.0", "pos_block.0", 0, 0)),
    "tnt": (32, (0, "blocks.0", "blocks.0", 1, 1)),
    "crossvit": (48, (2, "blocks.0", "blocks.0", 1, 1)),
    "coat": (64, (1, "serial_blocks2", "serial_blocks2.0", 0, 1)),
    "regnet": (64, (1, "s2", "s2", 0, "first")),
    "vgg": (32, (2, "features.9", "features.9", 0, "first")),
    "nest": (32, (1, "levels.1", "levels.1", 0, "first")),
    "rexnet": (32, (2, "features.4", "features.4", 0, "first")),
    "volo": (64, (1, "network.2", "network.2", 0, "last")),
    "pit": (64, (1, "transformers.1", "transformers.1", 0, "first")),
    "hrnet": (32, (1, "stage2", "incre_modules.1", 0, "first")),
    "convnext": (32, (1, "stages.1", "stages.1", 0, "first")),
    "efficientnet": (32, (3, "blocks.3", "blocks.3", 0, "first")),
    "levit": (64, (0, "stages.0", "stages.0", 0, 0)),
}


def build(family, size):
    return zoo.network(family, size, noise=0.05).double()


@torch.no_grad()
def score_with(network, image, label, place, cell, step):
    """The label's logit with `step` added to one value of what a module puts out, wherever it lies there."""
    _, _, module, part, layout = place
    row, column, channel, columns = cell

    def change(module, inputs, output):
        values = output[part] if isinstance(output, tuple | list) else output
        if layout == "first":
            values[0, channel, row, column] += step
        elif layout == "last":
            values[0, row, column, channel] += step
        else:
            values[0, layout + row * columns + column, channel] += step

    hook = network.get_submodule(module).register_forward_hook(change)
    score = network(image)[0, label].item()
    hook.remove()
    return score


@pytest.mark.parametrize("family", FAMILIES)
def test_blocks_are_found_and_gradients_by_them_equal_central_differences(family):
    size, place = FAMILIES[family]
    network, images, labels = build(family, size), zoo.images(2, size), torch.tensor([1, 3])
    block = place[0]
    assert blocks.block_names(network)[block] == place[1]
    with torch.no_grad():
        features = blocks.features(network, images)
        asked = Request(logits=True, features=(block,))
        torch.testing.assert_close(answers.run(network, images, asked).logits, network(images))
    ours = block_gradients(network, images, labels)
    assert [(of.rows, of.columns, of.patches.shape[2]) for of in ours] == [(*b.shape[2:], b.shape[1]) for b in features]
    of = ours[block]
    assert (0 if of.prefix is None else of.prefix.classes.shape[1]) == (place[4] if isinstance(place[4], int) else 0)
    # Where the gradient is largest: of a network with ReLU and pooling it is zero in most places.
    token, channel = np.unravel_index(int(of.patches[1].abs().argmax()), of.patches.shape[1:])
    cell = *divmod(int(token), of.columns), int(channel), of.columns
    step = 1e-5
    scores = [score_with(network, images[1:], labels[1], place, cell, sign * step) for sign in (1, -1)]
    expected = (scores[0] - scores[1]) / (2 * step)
    assert expected != 0
    np.testing.assert_allclose(of.patches[1, token, channel], expected, rtol=1e-4)


# Side of the images, blocks whose attention is measured, and what is said of the others.
ATTENTION = {
    "pvt": (64, {3}, r"stages\.1, stages\.2 of PyramidVision.*not among"),
    "xcit": (64, set(), "every block of Xcit.*not among its patches"),
    "davit": (32, set(), "every block of DaVit.*not among its patches"),
    "hiera": (64, set(), r"every block of Hiera: blocks\.3\.attn gives weights.*not among its patches"),
    "tiny_vit": (32, {1}, r"stages\.0, stages\.2, stages\.3 of TinyVit.*not among its patches"),
    "twins": (64, set(), "every block of Twins: no softmax of self-attention"),
    "crossvit": (48, set(), "every block of CrossVit"),
    "mvitv2": (64, set(), "every block of MultiScaleVit"),
    "levit": (64, {0, 1}, None),
    "pit": (64, {0, 1, 2}, None),
    "volo": (64, {1, 2, 3}, r"network\.0 of VOLO.*not among its patches"),
    "regnet": (64, set(), "every block of RegNet: no softmax of self-attention"),
}


class Softmaxes(TorchFunctionMode):
    """Keeps what every softmax gives, whoever calls it."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_function__(self, function, types, arguments=(), options=None):
        result = function(*arguments, **(options or {}))
        if function.__name__ == "softmax":
            self.seen.append(result)
        return result


@pytest.mark.parametrize("family", ATTENTION)
def test_attention_is_read_where_it_is_among_patches_and_one_line_says_where_it_is_not(family, capsys):
    size, measured, said = ATTENTION[family]
    network, images = build(family, size), zoo.images(2, size)
    say_once.cache_clear()
    maps = attention_maps(network, images)
    assert {block for block, found in enumerate(maps) if found} == measured
    attention_maps(network, images)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == (said is not None) and all(re.search(said, line) for line in lines)
    for module in network.modules():
        if hasattr(module, "fused_attn"):
            module.fused_attn = False
    with torch.no_grad(), Softmaxes() as softmaxes:
        shapes = blocks.block_shapes(network, images)
    for block in measured:
        for layer in maps[block]:
            assert (layer.rows, layer.columns) == shapes[block][1:]
            alike = [weights for weights in softmaxes.seen if weights.shape == layer.weights[:, 0].shape]
            assert any(torch.allclose(layer.weights[:, 0], weights, rtol=1e-9, atol=1e-15) for weights in alike)


class Nameless(nn.Module):
    """A network without blocks that timm could tell of."""

    def __init__(self, **_):
        super().__init__()
        self.feature_info = []


VIEW = View(3, 32, (0, 0, 0), (1, 1, 1))


@pytest.mark.parametrize(
    "name, arguments, message",
    [
        ("nameless", {}, r"^model\.name: timm gives no block features for nameless with .*; choose .* ViT"),
        (
            "inception_v3",
            {},
            r"^model\.args: inception_v3 with {} does not give features .* of 32 pixels \(RuntimeError: Calculated",
        ),
        ("halonet26t", {}, r"^model\.args: halonet26t with {} does not give features .* \(AssertionError: \)"),
        ("gcvit_xxtiny", {"img_size": 28}, r"^model\.args: timm cannot build gcvit_xxtiny with .* by zero"),
        ("vit_tiny_patch16_224", {"depth": "two"}, r"^model\.args: timm cannot build vit_tiny_patch16_224"),
    ],
)
def test_a_network_without_blocks_or_for_other_images_is_refused_in_a_sentence(monkeypatch, name, arguments, message):
    monkeypatch.setitem(timm.models._registry._model_entrypoints, "nameless", Nameless)
    monkeypatch.setattr(timm, "is_model", lambda name: True)
    with pytest.raises(StudyError, match=message):
        building.describe(Model(name, arguments, "timm", 5), VIEW)


def test_a_network_that_looks_at_values_is_described_with_some(monkeypatch):
    class Looking(type(timm.create_model("test_resnet"))):
        def forward_intermediates(self, images, **options):
            assert images.sum().item() is not None
            return super().forward_intermediates(images, **options)

    build = building.build
    monkeypatch.setattr(building, "build", lambda model, view: _as(build(model, view), Looking))
    facts = building.describe(Model("test_resnet", {}, "timm", 5), VIEW)
    monkeypatch.undo()
    parameters, size, costs = building.describe(Model("test_resnet", {}, "timm", 5), VIEW)
    # With values some operations are others.
    assert facts[:2] == (parameters, size)
    np.testing.assert_allclose(astuple(facts[2]), astuple(costs), rtol=0.1)


def _as(network, kind):
    network.__class__ = kind
    return network
