"""What a network answers, against forwards written out by hand; and what it does not compute when it is not asked."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import zoo
from distillation_dynamics.errors import say_once
from distillation_dynamics.networks import blocks
from distillation_dynamics.networks.answers import run
from distillation_dynamics.networks.attention import attention_maps
from distillation_dynamics.networks.gradients import block_gradients
from distillation_dynamics.networks.observer import Observer
from distillation_dynamics.outputs import ALL, Request
from distillation_dynamics.spec.measure import Batches

FAMILIES = (
    *("vit", "registers", "mean_pooled_with_registers", "mean_pooled", "distilled", "eva", "cait", "swin"),
    *("resnet", "convnext", "efficientnet"),
)
# Class and distillation tokens, and registers, in the blocks of each.
PREFIX = {
    **{"vit": (1, 0), "registers": (1, 3), "mean_pooled_with_registers": (1, 2), "distilled": (2, 0), "eva": (1, 0)}
}
EVERYTHING = Request.of(("logits", "features", "prefix", "attention", "gradients", "lens", "pooled", "network"))


def network_of(family, classes=5):
    return zoo.network(family, classes=classes, noise=0.05, **zoo.of_depth(family, 3)).double()


def draw(count=3):
    return zoo.images(count)


def close(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("classes", [5, 0])
@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_all_that_is_asked_for_is_answered_as_the_network_itself_says_it(family, classes):
    network, images, labels = network_of(family, classes), draw(), torch.tensor([0, 4, 2])
    attended = []
    said = Observer(network)(images, EVERYTHING, labels, lambda *given: attended.append(given))
    depth = range(len(blocks.block_names(network)))
    assert (said.logits is None) == (classes == 0)
    if classes:
        close(said.logits, network(images))
    close(said.pooled, network.forward_head(network.forward_features(images), pre_logits=True))
    assert list(said.features) == list(said.prefix) == list(said.gradients) == list(depth)
    assert [given[:2] for given in attended] == [
        (block, number) for block, maps in enumerate(attention_maps(network, images)) for number in range(len(maps))
    ]
    assert said.network is network and said.images is images
    for block, values in enumerate(blocks.features(network, images)):
        close(said.features[block], values)
        channels = values.shape[1]
        classes_and_registers = PREFIX.get(family, (0, 0))
        assert tuple(part.shape for part in said.prefix[block]) == tuple(
            (3, count, channels) for count in classes_and_registers
        )


@pytest.mark.parametrize("family", PREFIX)
@torch.no_grad()
def test_tokens_before_the_patches_are_those_in_the_stream_classes_apart_from_registers(family):
    network, images, seen = network_of(family), draw(), []
    for block in network.blocks:
        block.register_forward_hook(lambda module, inputs, output: seen.append(output))
    said = run(network, images, Request(prefix=ALL))
    classes, registers = PREFIX[family]
    for block, stream in enumerate(seen):
        close(said.prefix[block].classes, stream[:, :classes])
        close(said.prefix[block].registers, stream[:, classes : classes + registers])
    assert len(seen) == 3


@torch.no_grad()
def test_registers_are_timms_own_and_no_class_tokens():
    network, images = network_of("registers"), draw()
    # What is put into the blocks: each token is its own parameter, at its own place.
    network.blocks[0] = torch.nn.Identity()
    prefix = run(network, images, Request(prefix=(0,))).prefix[0]
    close(prefix.classes[0], (network.cls_token + network.pos_embed[:, :1])[0])
    close(prefix.registers[0], (network.reg_token + network.pos_embed[:, 1:4])[0])


@pytest.mark.parametrize(
    ("request_", "ran"),
    [
        (Request(features=(1,)), 2),
        (Request(prefix=(0,)), 1),
        (Request(features=(0,), prefix=(1,)), 2),
        (Request(features=(0,), logits=True), 3),
        (Request(features=(0,), pooled=True), 3),
        (Request(lens=(0,)), 3),
        (Request(network=True), 0),
    ],
)
@torch.no_grad()
def test_a_network_stops_after_the_last_block_that_is_asked_for(request_, ran):
    network, seen = network_of("vit"), []
    for block in network.blocks:
        block.register_forward_hook(lambda *_: seen.append(1))
    said = Observer(network)(draw(), request_)
    assert len(seen) == ran
    assert tuple(said.features) == request_.features and tuple(said.prefix) == request_.prefix
    assert tuple(said.lens) == request_.lens and (said.logits is not None) == request_.logits


@pytest.mark.parametrize(
    "family", ["vit", "registers", "mean_pooled_with_registers", "mean_pooled", "distilled", "eva"]
)
@torch.no_grad()
def test_the_lens_is_the_last_norm_and_the_head_of_each_block(family):
    network, images = network_of(family), draw()
    x = network.patch_embed(images)
    x = network._pos_embed(x)
    x = network.norm_pre(x) if hasattr(network, "norm_pre") else x
    rope = {}
    if family == "eva":
        x, embedding = x if isinstance(x, tuple) else (x, None)
        rope = {"rope": embedding}
    said = Observer(network)(images, Request(lens=ALL, logits=True))
    for block, module in enumerate(network.blocks):
        x = module(x, **rope)
        normed = network.norm(x)
        if family.startswith("mean_pooled"):
            read = network.fc_norm(normed[:, network.num_prefix_tokens :].mean(dim=1))
            expected = F.linear(read, network.head.weight, network.head.bias)
        elif family == "distilled":
            expected = (network.head(normed[:, 0]) + network.head_dist(normed[:, 1])) / 2
        elif family == "eva":
            expected = network.forward_head(normed)
        else:
            expected = F.linear(normed[:, 0], network.head.weight, network.head.bias)
        close(said.lens[block], expected)
    close(said.lens[2], said.logits)
    assert not torch.allclose(said.lens[0], said.logits)


@torch.no_grad()
def test_the_lens_of_cait_looks_through_its_class_attention():
    network, images = network_of("cait"), draw()
    x = network.patch_embed(images) + network.pos_embed
    said = Observer(network)(images, Request(lens=(0, 2), logits=True))
    assert sorted(said.lens) == [0, 2]
    for number, block in enumerate(network.blocks):
        x = block(x)
        classes = network.cls_token.expand(3, -1, -1)
        for layer in network.blocks_token_only:
            classes = layer(x, classes)
        if number in said.lens:
            close(said.lens[number], network.head(network.norm(torch.cat([classes, x], dim=1))[:, 0]))
    close(said.lens[2], said.logits)


@pytest.mark.parametrize(
    ("family", "found", "message"),
    [
        ("resnet", [3], "lens: its columns stay empty for layer1, layer2, layer3 of ResNet: they have other channels"),
        ("swin", [1], "lens: its columns stay empty for layers.0 of SwinTransformer: they have other channels"),
        ("convnext", [3], "lens: its columns stay empty for stages.0, stages.1, stages.2 of ConvNeXt"),
        ("efficientnet", [], "lens: its columns stay empty for EfficientNet: what lies between its last block"),
    ],
)
@torch.no_grad()
def test_blocks_that_the_head_cannot_read_have_no_lens_and_one_line_says_so(family, found, message, capsys):
    say_once.cache_clear()
    network = network_of(family)
    for _ in range(2):
        said = Observer(network)(draw(), Request(lens=ALL, logits=True))
        assert sorted(said.lens) == found
    for block in found:
        close(said.lens[block], said.logits)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith(message)


@pytest.mark.parametrize("family", ["vit", "cait", "resnet"])
def test_without_a_head_there_is_no_logit_no_lens_and_no_gradient_and_that_is_said_once(family, capsys):
    say_once.cache_clear()
    network, images = network_of(family, classes=0), draw()
    for _ in range(2):
        said = Observer(network)(images, EVERYTHING, torch.tensor([0, 1, 2]), lambda *given: None)
    assert said.logits is None and said.lens == {} and said.pooled is not None
    for of in said.gradients.values():
        assert of.patches.isnan().all() and (of.prefix is None or of.prefix.classes.isnan().all())
    kind, lines = type(network).__name__, capsys.readouterr().err.splitlines()
    assert sorted(line for line in lines if not line.startswith("attention")) == [
        f"gradient: its columns stay empty for {kind}, which has no head and so no logit of a label",
        f"lens: its columns stay empty for {kind}, which has no head",
    ]


@pytest.mark.parametrize("family", ["registers", "cait", "swin", "resnet"])
def test_images_without_a_label_that_the_head_knows_have_gradients_of_nan_and_the_others_their_own(family, capsys):
    say_once.cache_clear()
    network, images = network_of(family), draw(4)
    mixed = block_gradients(network, images, torch.tensor([1, -1, 5, 3]))
    alone = block_gradients(network, images[[0, 3]], torch.tensor([1, 3]))
    none = block_gradients(network, images, torch.tensor([-1, -1, 99, 5]))
    for of, own, empty in zip(mixed, alone, none, strict=True):
        close(of.patches[[0, 3]], own.patches)
        assert of.patches[1:3].isnan().all() and empty.patches.isnan().all()
        if own.prefix is not None:
            for part, theirs in zip(of.prefix, own.prefix, strict=True):
                close(part[[0, 3]], theirs)
                assert part[1:3].isnan().all()
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and "images without a label that the head" in said[0]


def test_gradients_by_registers_stand_apart_from_those_by_the_class_token():
    network, images = network_of("registers"), draw()
    of = block_gradients(network, images, torch.tensor([0, 1, 2]))[1]
    x = network.norm_pre(network._pos_embed(network.patch_embed(images)))
    x = network.blocks[1](network.blocks[0](x)).detach().requires_grad_()
    score = network.forward_head(network.norm(network.blocks[2](x)))[torch.arange(3), torch.arange(3)].sum()
    (expected,) = torch.autograd.grad(score, x)
    close(of.prefix.classes, expected[:, :1])
    close(of.prefix.registers, expected[:, 1:4])
    close(of.patches, expected[:, 4:])


def test_gradients_disturb_nothing_else():
    network, images = network_of("vit"), draw()
    network.requires_grad_(False)
    observer = Observer(network)
    with torch.no_grad():
        said = observer(images, EVERYTHING, torch.tensor([0, 1, 2]), lambda *given: None)
        plain = run(network, images, Request(logits=True, features=ALL))
    pairs = [(said.logits, plain.logits), *((said.features[block], value) for block, value in plain.features.items())]
    for tensor, other in pairs:
        assert not tensor.requires_grad and torch.equal(tensor, other)
    assert not images.requires_grad and all(parameter.grad is None for parameter in network.parameters())


def test_a_loss_on_what_is_answered_trains_the_network():
    network, images = network_of("vit"), draw()
    said = run(network, images, Request(logits=True, features=(0, 2)))
    (said.logits.sum() + said.features[0].square().mean()).backward()
    ours = [parameter.grad.clone() for parameter in network.parameters() if parameter.grad is not None]
    network.zero_grad()
    (network(images).sum() + blocks.features(network, images, [0])[0].square().mean()).backward()
    theirs = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    assert len(ours) == len(theirs) == len(list(network.parameters()))
    for a, b in zip(ours, theirs, strict=True):
        close(a, b)


@torch.no_grad()
def test_attention_is_that_of_the_reader_for_the_blocks_asked_for():
    network, images = network_of("registers"), draw()
    attended, several = {}, []
    Observer(network)(
        images, Request(attention=(0, 2)), take=lambda block, number, maps: attended.update({block: maps})
    )
    assert sorted(attended) == [0, 2]
    at_a_time = Observer(network, Batches(attention=2))
    at_a_time(images, Request(attention=(0, 2)), take=lambda *given: several.append(given))
    assert [(block, len(maps.weights)) for block, _, maps in several] == [(0, 2), (0, 1), (2, 2), (2, 1)]
    for block in (0, 2):
        ours, (theirs,) = attended[block], attention_maps(network, images)[block]
        close(torch.cat([maps.weights for of, _, maps in several if of == block]), theirs.weights)
        assert torch.equal(ours.weights, theirs.weights) and ours.prefix == 4 and (ours.rows, ours.columns) == (4, 4)
        np.testing.assert_allclose(ours.weights.sum(dim=-1), 1, rtol=1e-9)


@pytest.mark.parametrize("family", ["registers", "swin"])
def test_gradients_without_a_label_take_the_pass_of_one_image_in_all(family):
    network, images, none, passed = network_of(family), draw(), torch.full((3,), -1), []
    observer, wanted = Observer(network, Batches(gradients=2)), Request(gradients=ALL)
    network.patch_embed.register_forward_hook(lambda module, inputs, output: passed.append(len(inputs[0])))
    batches = [observer(images[:count], wanted, none[:count]).gradients for count in (3, 2)]
    assert passed == [1]
    labelled = observer(images, wanted, torch.tensor([0, -1, 4])).gradients
    for block, gradient in labelled.items():
        for count, unlabelled in zip((3, 2), (batch[block] for batch in batches), strict=True):
            prefixes = zip(unlabelled.prefix or (), gradient.prefix or (), strict=True)
            pairs = [(unlabelled.patches, gradient.patches), *prefixes]
            assert all(one.shape == of[:count].shape and one.isnan().all() for one, of in pairs)
            assert (unlabelled.prefix is None) == (gradient.prefix is None) and unlabelled[2:] == gradient[2:]
        assert gradient.patches.isnan().flatten(1).any(dim=1).tolist() == [False, True, False]
