"""Families of Transformers recognised by their computation: tokens, grids, attention, values, weights and borders."""

import pytest
import torch
from safetensors.torch import save_file

import zoo
from distillation_dynamics.errors import StudyError
from distillation_dynamics.networks import answers, blocks
from distillation_dynamics.networks.attention import attention_maps
from distillation_dynamics.networks.build import build, describe
from distillation_dynamics.networks.gradients import block_gradients
from distillation_dynamics.networks.inspection import info_of
from distillation_dynamics.networks.parts import say, size_of
from distillation_dynamics.networks.released import AS_IT_IS, load_released
from distillation_dynamics.outputs import ALL, Request
from distillation_dynamics.spec.network import Model, ModelQuery

# Class tokens and registers of each.
FAMILIES = {
    "dinov3": (1, 4),
    "eupe": (1, 4),
    "flexivit": (1, 0),
    "beit": (1, 0),
    "beitv2": (1, 0),
    "siglip": (0, 0),
    "naflex": (0, 4),
    "naflex_siglip2": (0, 0),
    "naflex_radio": (1, 7),
    "radio": (1, 9),
    "registers": (1, 3),
}


def network_of(family):
    return zoo.network(family, noise=0.2).double()


@pytest.mark.parametrize("family", FAMILIES)
def test_tokens_are_class_tokens_then_registers_then_patches_row_by_row(family):
    classes, registers = FAMILIES[family]
    network, images, seen = network_of(family), zoo.images(), {}
    for number, block in enumerate(network.blocks):
        block.register_forward_hook(lambda _, given, made, number=number: seen.update({number: made}))
    with torch.no_grad():
        size = size_of(network, images[:1])
        said = answers.run(network, images, Request(features=ALL, prefix=ALL, logits=True))
        logits = network(images)
    assert blocks.block_names(network) == ["blocks.0", "blocks.1"] and blocks.block_strides(network) == [8, 8]
    for number, tokens in seen.items():
        found = size.blocks[number]
        assert (found.channels, found.rows, found.columns) == (tokens.shape[2], 4, 4)
        assert (found.classes, found.registers) == (classes, registers)
        first, later = said.prefix[number]
        torch.testing.assert_close(first, tokens[:, :classes])
        torch.testing.assert_close(later, tokens[:, classes : classes + registers])
        torch.testing.assert_close(said.features[number].flatten(2).mT, tokens[:, classes + registers :])
    torch.testing.assert_close(said.logits, logits)


@pytest.mark.parametrize("family", FAMILIES)
def test_attention_times_values_is_what_a_layer_hands_on(family):
    network, images, kept = network_of(family), zoo.images(), {}
    with torch.no_grad():
        found = {(block.heads, block.values) for block in size_of(network, images[:1]).blocks}
    width = network.blocks[0].attn.proj.in_features
    assert found == {(2, width)}
    for number, block in enumerate(network.blocks):
        layer = block.attn.norm if getattr(block.attn, "norm", None) is not None else block.attn.proj
        layer.register_forward_pre_hook(lambda _, given, number=number: kept.update({number: given[0].detach()}))
    parts = [(kind, number) for kind in ("values", "attention") for number in (0, 1)]
    said = say(network, images, parts)
    for number in (0, 1):
        values = said["values", number].unflatten(2, (2, -1)).transpose(1, 2)
        mixed = (said["attention", number] @ values).transpose(1, 2).flatten(2)
        torch.testing.assert_close(mixed, kept[number])
        layer = network.blocks[number].attn
        weight = layer.qkv.weight if getattr(layer, "qkv", None) is not None else layer.v_proj.weight
        (gradient,) = torch.autograd.grad(said["values", number].square().sum(), weight, retain_graph=True)
        assert gradient.abs().sum() > 0
    maps = attention_maps(network, images)
    for number, (layer,) in enumerate(maps):
        assert layer.prefix == sum(FAMILIES[family]) and (layer.rows, layer.columns) == (4, 4)
        torch.testing.assert_close(layer.weights[:, 0], said["attention", number].detach())


@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_by_tokens_are_split_as_tokens_are(family):
    classes, registers = FAMILIES[family]
    network, images = network_of(family), zoo.images()
    found = block_gradients(network, images, torch.tensor([1, 3]))
    # The last block's patches have none where the head reads the class token alone.
    assert found[0].patches.any()
    for of in found:
        assert (of.patches.shape[1], of.rows, of.columns) == (16, 4, 4)
        if classes + registers:
            assert (of.prefix.classes.shape[1], of.prefix.registers.shape[1]) == (classes, registers)


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_are_loaded_as_they_are_and_with_a_prefix(tmp_path, family):
    model, theirs = zoo.model(family), zoo.network(family)
    for prefix in ("", "module.backbone."):
        path = tmp_path / "it.safetensors"
        save_file({prefix + name: value.clone() for name, value in theirs.state_dict().items()}, path)
        ours = build(model, zoo.view())
        assert load_released(path, ours, model) == AS_IT_IS | {"prefix": prefix}
        assert all(torch.equal(ours.state_dict()[name], value) for name, value in theirs.state_dict().items())


@pytest.mark.parametrize("family", ["naflex", "naflex_radio"])
def test_the_grid_of_positions_of_naflex_is_resampled_in_the_pass_to_any_size(family):
    network = network_of(family)
    for side in (32, 48):
        with torch.no_grad():
            features = blocks.features(network, zoo.images(1, side))
        assert {tuple(block.shape[2:]) for block in features} == {(side // 8, side // 8)}


@pytest.mark.parametrize(
    ("family", "size", "resampled"),
    [("naflex_radio", 32, (6, 4)), ("naflex_radio", 48, None), ("dinov3", 48, None), ("volo", 64, None)],
)
def test_a_plan_says_that_a_grid_of_its_own_is_resampled_and_never_changes_the_images(family, size, resampled):
    model = zoo.model(family)
    view = {"channels": 3, "image_size": size, "mean": (0.5,) * 3, "std": (0.5,) * 3}
    info = info_of(ModelQuery(model.name, model.args, classes=5, view=view))
    assert info.view.image_size == size and info.resampled == resampled


def test_weights_of_naflex_do_not_tell_a_size_of_images(tmp_path):
    model, path = zoo.model("naflex_radio"), tmp_path / "it.safetensors"
    save_file(zoo.network("naflex_radio").state_dict(), path)
    default = zoo.view(32)
    info = info_of(ModelQuery(model.name, model.args, default=default, view={"image_size": 32}, released=str(path)))
    assert info.view.image_size == 32 and info.resampled == (6, 4)
    info = info_of(ModelQuery(model.name, model.args, default=default, released=str(path)))
    # As timm knows it of its own weights of that model, and not of 6 x 6 patches.
    assert info.view.image_size == 512 and info.resampled == (6, 64)


BORDER = {
    **dict.fromkeys(FAMILIES, (8, "32 or 40")),
    "vit": (8, "32 or 40"),
    "convnext": (4, "32 or 36"),
    "swin": (2, "34 or 36"),
}


@pytest.mark.parametrize("family", BORDER)
def test_a_border_that_patches_do_not_cover_is_refused_whatever_cuts_them(family):
    patch, near = BORDER[family]
    size = 35 if family == "swin" else 34
    with pytest.raises(StudyError) as error:
        describe(zoo.model(family), zoo.view(size))
    said = f"cuts images into patches of {patch} x {patch} pixels, which do not cover {size} (its image_size); choose"
    assert said in str(error.value) and str(error.value).endswith(f" such as an image_size of {near}")


@pytest.mark.parametrize("kind", ["conv", "linear"])
@pytest.mark.parametrize("pads", [False, True])
def test_what_pads_by_itself_covers_the_border(kind, pads):
    name, small = zoo.FAMILIES["naflex"]
    model = Model(name, small | {"embed_proj_type": kind, "dynamic_img_pad": pads}, "timm", 3)
    if not pads:
        with pytest.raises(StudyError, match=r"patches of 8 x 8 pixels, which do not cover 36 .* of 32 or 40$"):
            describe(model, zoo.view(36))
        return
    _, size, _ = describe(model, zoo.view(36))
    assert (size.blocks[0].rows, size.blocks[0].columns) == (5, 5)


@pytest.mark.parametrize(("family", "size"), [("resnet", 33), ("efficientnet", 37), ("hiera", 64)])
def test_overlapping_layers_with_padding_cover_any_border(family, size):
    assert describe(zoo.model(family), zoo.view(size))[1].blocks
