"""Gradients by block outputs against hand-written forwards and differences, for every family of models."""

import numpy as np
import pytest
import torch

import zoo
from distillation_dynamics.metrics import gradient
from distillation_dynamics.networks.blocks import block_names, block_shapes
from distillation_dynamics.networks.gradients import _source, block_gradients
from distillation_dynamics.outputs import GradientOf, Outputs, Prefix

# Prefix tokens of each block, patch grid of each block.
FAMILIES = {
    "vit": (1, [(4, 4)] * 3),
    "distilled": (2, [(4, 4)] * 3),
    "mean_pooled": (0, [(4, 4)] * 3),
    "mean_pooled_with_class": (1, [(4, 4)] * 3),
    "mae": (1, [(4, 4)] * 3),
    "cait": (0, [(4, 4)] * 3),
    "swin": (0, [(16, 16), (8, 8)]),
    "resnet": (0, [(8, 8), (4, 4), (2, 2), (1, 1)]),
}
LABELS = torch.tensor([1, 0, 4, 2, 1])


def build(family, **more):
    return zoo.network(family, noise=0.2, **zoo.of_depth(family, 3), **more).double()


def draw(count=5):
    return zoo.images(count)


def outputs_of(gradients):
    return Outputs(gradients=dict(enumerate(gradients)))


def gradient_magnitude(network, images, labels):
    """The columns of the metric, [L, B] each, of one batch."""
    metric = gradient.Metric()
    metric.update(outputs_of(block_gradients(network, images, labels)))
    return {name: np.stack(values) for name, values in metric.compute().items()}


def by_hand(network, image, label, family):
    """Gradients [N, C] by each block's output for one image, through a forward written out here."""
    x = network.patch_embed(image[None])
    x = network._pos_embed(x) if family == "vit" else x + network.pos_embed
    outputs = []
    for block in network.blocks:
        x = block(x)
        x.retain_grad()
        outputs.append(x)
    if family == "cait":
        token = network.cls_token.expand(1, -1, -1)
        for block in network.blocks_token_only:
            token = block(x, token)
        x = torch.cat([token, x], dim=1)
    network.head(network.norm(x)[:, 0])[0, label].backward()
    return [output.grad[0] for output in outputs]


@pytest.mark.parametrize("family", ["vit", "cait"])
def test_gradients_equal_those_of_a_forward_written_out_by_hand(family):
    network, images = build(family), draw()
    ours = block_gradients(network, images, LABELS)
    magnitudes = gradient_magnitude(network, images, LABELS)
    prefix = FAMILIES[family][0]
    for number, (image, label) in enumerate(zip(images, LABELS, strict=True)):
        for block, reference in enumerate(by_hand(network, image, label, family)):
            torch.testing.assert_close(ours[block].patches[number], reference[prefix:], rtol=1e-9, atol=1e-14)
            expected = {
                "gradient_magnitude": reference.abs().mean(),
                "gradient_magnitude_patches": reference[prefix:].abs().mean(),
                "gradient_magnitude_class": reference[:prefix].abs().mean(),
            }
            for name, value in expected.items():
                np.testing.assert_allclose(magnitudes[name][block, number], value, rtol=1e-9, atol=1e-16)


@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_equal_central_differences(family):
    network, images = build(family), draw(2)
    # Of the last block and the first, one entry of the class token, if any, and one in the middle of the patches.
    ours = block_gradients(network, images, LABELS[:2])
    prefix = FAMILIES[family][0]
    for block in (0, len(ours) - 1):
        of = ours[block]
        places = [(prefix + of.rows * of.columns // 2, 5)] + ([(0, 3)] if prefix else [])
        for token, channel in places:
            value = of.prefix.classes[1, 0, channel] if token < prefix else of.patches[1, token - prefix, channel]
            step = 1e-5
            scores = [
                score_with(network, images[1:], LABELS[1], block, of, token, channel, sign * step) for sign in (1, -1)
            ]
            np.testing.assert_allclose(value, (scores[0] - scores[1]) / (2 * step), rtol=1e-5, atol=1e-9)


@torch.no_grad()
def score_with(network, image, label, block, of, token, channel, step):
    """The label's logit with `step` added to one value of one block's output."""

    def change(module, inputs, output):
        output = output.clone()
        if output.ndim == 3:
            output[0, token, channel] += step
        else:
            row, column = divmod(token, of.columns)
            channels_last = output.shape[-1] == of.patches.shape[-1] and output.shape[1] == of.rows
            output[(0, row, column, channel) if channels_last else (0, channel, row, column)] += step
        return output

    hook = network.get_submodule(block_names(network)[block]).register_forward_hook(change)
    score = network(image)[0, label].item()
    hook.remove()
    return score


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_gives_patches_and_prefix_of_its_own_blocks(family):
    prefix, grids = FAMILIES[family]
    network, images = build(family), draw(2)
    ours = block_gradients(network, images, LABELS[:2])
    shapes = block_shapes(network, images)
    assert [(of.rows, of.columns) for of in ours] == grids
    assert [tuple(of.patches.shape) for of in ours] == [(2, s.rows * s.columns, s.channels) for s in shapes]
    assert [0 if of.prefix is None else of.prefix.classes.shape[1] for of in ours] == [prefix] * len(ours)
    columns = gradient_magnitude(network, images, LABELS[:2])
    assert np.isnan(columns["gradient_magnitude_class"]).all() == (prefix == 0)
    if prefix == 0:
        np.testing.assert_array_equal(columns["gradient_magnitude"], columns["gradient_magnitude_patches"])
    assert np.isnan(columns["gradient_magnitude_registers"]).all()
    named = {"gradient_magnitude", "gradient_magnitude_patches"} | ({"gradient_magnitude_class"} if prefix else set())
    assert all(np.isfinite(columns[name]).all() for name in named)


def test_an_output_that_the_logit_does_not_use_has_gradient_zero():
    network, seen = build("vit"), {}
    network.blocks[0].register_forward_hook(lambda module, inputs, output: seen.update(first=output))
    network.forward_head = lambda final: seen["first"][:, 0]
    magnitude = gradient_magnitude(network, draw(2), LABELS[:2])["gradient_magnitude"]
    np.testing.assert_allclose(magnitude, [[1 / (17 * 12)] * 2, [0, 0], [0, 0]], rtol=1e-12)


def test_channels_are_found_by_value_where_a_stage_has_as_many_as_rows_and_columns():
    swin = build("swin", embed_dim=16, depths=(1,), num_heads=(2,))
    (of,) = block_gradients(swin, draw(2), LABELS[:2])
    grid = {}
    hook = swin.layers[0].register_forward_hook(lambda module, inputs, output: grid.update(output=output))
    score = swin(draw(2).requires_grad_())[[0, 1], LABELS[:2]].sum()
    hook.remove()
    (reference,) = torch.autograd.grad(score, grid["output"])
    torch.testing.assert_close(of.patches, reference.reshape(2, 256, 16))


@pytest.mark.parametrize("family", ["vit", "cait", "resnet"])
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_frozen_parameters_and_switched_off_gradients_change_nothing(family, mode):
    network, images = build(family), draw(2)
    before = gradient_magnitude(network, images, LABELS[:2])
    network.requires_grad_(False)
    with mode():
        after = gradient_magnitude(network, images.clone(), LABELS[:2].clone())
        assert not torch.is_grad_enabled()
    for name, values in before.items():
        np.testing.assert_array_equal(values, after[name])


def test_network_and_images_are_left_as_they_were():
    network, images = build("vit"), draw(2)
    logits, images_before = network(images), images.clone()
    block_gradients(network, images, LABELS[:2])

    def fail(final):
        raise RuntimeError("of the head")

    network.forward_head = fail
    with pytest.raises(RuntimeError, match="of the head"):
        block_gradients(network, images, LABELS[:2])
    del network.forward_head
    assert not any(module._forward_hooks for module in network.modules())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in network.parameters())
    assert not images.requires_grad and images.equal(images_before) and network(images).equal(logits)


def test_nan_in_a_gradient_is_an_error_that_names_block_and_image():
    network = build("vit")
    with torch.no_grad():
        network.norm.weight[0] = torch.nan
    with pytest.raises(ValueError, match="gradients: block 0, image 0 holds NaN or infinity"):
        block_gradients(network, draw(2), LABELS[:2])


def test_a_network_in_training_mode_is_refused():
    with pytest.raises(ValueError, match="training mode"):
        block_gradients(build("resnet").train(), draw(2), LABELS[:2])


@pytest.mark.parametrize("family", ["vit", "cait", "swin"])
def test_the_stream_equals_the_whole(family):
    network, images = build(family), draw()
    metric = gradient.Metric()
    for part in (slice(0, 2), slice(2, 3), slice(3, 5)):
        metric.update(outputs_of(block_gradients(network, images[part], LABELS[part])))
    streamed, whole = metric.compute(), gradient_magnitude(network, images, LABELS)
    assert set(streamed) == set(gradient.IMAGE_COLUMNS) == set(whole)
    for name, values in whole.items():
        assert np.array(streamed[name]).dtype == np.float64
        np.testing.assert_allclose(streamed[name], values, rtol=1e-9, atol=1e-18)


def test_half_precision_is_widened_before_it_is_summed():
    values = torch.randn(1, 300, 64, generator=torch.Generator().manual_seed(0)).half()
    metric = gradient.Metric()
    prefix = Prefix(values[:, :1], values[:, 1:3])
    metric.update(outputs_of([GradientOf(values[:, 3:], prefix, 27, 11)]))
    parts = {"": values, "_patches": values[:, 3:], "_class": values[:, :1], "_registers": values[:, 1:3]}
    for name, part in parts.items():
        expected = np.abs(part.numpy().astype(np.float64)).mean()
        np.testing.assert_allclose(metric.compute()[f"gradient_magnitude{name}"], [[expected]], rtol=1e-12)


def test_one_patch_and_one_block_are_enough():
    (of,) = block_gradients(zoo.network("vit", 8, depth=1), zoo.images(1, 8).float(), LABELS[:1])
    assert of.patches.shape == (1, 1, 12) and of.prefix.classes.shape == (1, 1, 12)
    np.testing.assert_array_equal(of.patches, 0)


def test_registers_are_no_class_tokens():
    network = build("registers")
    columns = gradient_magnitude(network, draw(2), LABELS[:2])
    for number, label in enumerate(LABELS[:2]):
        x = network._pos_embed(network.patch_embed(draw(2)[number : number + 1])).detach().requires_grad_()
        output = network.blocks[0](x)
        output.retain_grad()
        network.head(network.norm(network.blocks[2](network.blocks[1](output)))[:, 0])[0, label].backward()
        for name, part in {"class": slice(1), "registers": slice(1, 4), "patches": slice(4, None)}.items():
            expected = output.grad[0, part].abs().mean()
            np.testing.assert_allclose(columns[f"gradient_magnitude_{name}"][0, number], expected, rtol=1e-9)


def test_gradients_of_zero_are_zero_and_no_missing_values():
    network = build("vit")
    with torch.no_grad():
        network.head.weight.zero_()
    columns = gradient_magnitude(network, draw(2), LABELS[:2])
    assert all((columns[name] == 0).all() for name in columns if name != "gradient_magnitude_registers")


def test_images_without_a_label_are_missing_values_and_the_others_stay_as_they_are():
    network, images = build("vit"), draw(3)
    labels = torch.tensor([1, -1, 4])
    columns = gradient_magnitude(network, images, labels)
    alone = gradient_magnitude(network, images[[0, 2]], labels[[0, 2]])
    for name, values in columns.items():
        assert np.isnan(values[:, 1]).all()
        np.testing.assert_allclose(values[:, [0, 2]], alone[name], rtol=1e-9)


def test_of_equal_outputs_that_of_the_named_module_is_taken_and_else_the_last():
    tokens = torch.randn(2, 16, 12)
    outputs = [(name, tokens.clone()) for name in "abc"]
    feature = tokens.mT.unflatten(2, (4, 4))
    assert [_source(outputs, name, feature).name for name in "abd"] == ["a", "b", "c"]
