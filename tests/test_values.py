"""Values of attention layers: of which networks, their width and numbers, with gradients."""

import pytest
import torch

import zoo
from distillation_dynamics.networks.parts import say, size_of

# Of each block: heads, and the width of its values.
SIZES = {
    "vit": (2, 12),
    "registers": (2, 12),
    "mean_pooled": (2, 12),
    "distilled": (2, 12),
    "cait": (2, 16),
    "xcit": (0, 0),
    "resnet": (0, 0),
    "swin": (0, 0),
}


@pytest.mark.parametrize("family", SIZES)
def test_sizes_say_how_wide_the_values_of_a_block_are(family):
    network = zoo.network(family)
    with torch.no_grad():
        size = size_of(network.eval(), zoo.images(1).float())
    assert {(block.heads, block.values) for block in size.blocks} == {SIZES[family]}


@pytest.mark.parametrize("family", ["vit", "registers", "cait"])
def test_values_are_the_last_third_of_what_a_layer_makes_of_its_tokens(family):
    network = zoo.network(family, noise=0.3).double().eval()
    images, kept = zoo.images(), {}
    for number, block in enumerate(network.blocks[:2]):
        block.attn.register_forward_pre_hook(lambda _, given, number=number: kept.update({number: given[0]}))
    parts = [("values", 0), ("values", 1), ("attention", 1), ("logits", -1)]
    said = say(network, images, parts)
    assert list(said) == parts
    for number in (0, 1):
        qkv, tokens = network.blocks[number].attn.qkv, kept[number]
        width = tokens.shape[2]
        expected = tokens @ qkv.weight[2 * width :].T + (0 if qkv.bias is None else qkv.bias[2 * width :])
        torch.testing.assert_close(said["values", number], expected)
    torch.testing.assert_close(said["logits", -1], network(images))
    (gradient,) = torch.autograd.grad(said["values", 1].square().sum(), network.blocks[0].attn.qkv.weight)
    assert gradient.abs().sum() > 0
