"""Weights as they are released load through timm's own filters, at other sizes; what is not theirs is refused."""

import re

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from distillation_dynamics.errors import StudyError
from distillation_dynamics.networks.build import build
from distillation_dynamics.networks.fitting import filter_of, fitting
from distillation_dynamics.networks.released import AS_IT_IS, load_released
from distillation_dynamics.spec.images import View
from distillation_dynamics.spec.network import Model

SMALL = {"embed_dim": 24, "depth": 2, "num_heads": 2}
REMEDY = "the fault is elsewhere"


def view(size, channels=3):
    return View(channels, size, (0,) * channels, (1,) * channels)


def network_of(name, arguments, size, classes, channels=3, seed=0):
    torch.manual_seed(seed)
    model = Model(name, arguments, "timm", classes)
    network = build(model, view(size, channels))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model, network.eval()


def save(path, state):
    save_file({name: value.clone().contiguous() for name, value in state.items()}, path)
    return path


def timms_own(model, size, state, **overlay):
    """What timm itself loads from the same tensors, as an independent reference."""
    arguments = {"img_size": size, "num_classes": model.classes, **model.args}
    overlay = {"state_dict": dict(state), "num_classes": model.classes, **overlay}
    return timm.create_model(model.name, pretrained=True, pretrained_cfg_overlay=overlay, **arguments).state_dict()


def alike(network, expected, names=None):
    state = network.state_dict()
    assert names is None or names <= expected.keys()
    for name in names or expected:
        torch.testing.assert_close(state[name], expected[name], rtol=0, atol=0)


def resampled(grid, side):
    """A position grid [1, N, C] brought to another side, literally."""
    old = int(grid.shape[1] ** 0.5)
    square = grid.reshape(1, old, old, -1).permute(0, 3, 1, 2)
    square = F.interpolate(square, size=(side, side), mode="bicubic", antialias=True, align_corners=False)
    return square.permute(0, 2, 3, 1).reshape(1, side * side, -1)


def facebook_dinov2(state):
    """Names of Facebook's DINOv2: a mask token, registers under another name, the class token's place in the grid."""
    state = dict(state) | {"mask_token": torch.randn(1, 24)}
    if "reg_token" in state:
        state["register_tokens"] = state.pop("reg_token")
        place = torch.randn(1, 1, 24)
        state["pos_embed"] = torch.cat([place, state["pos_embed"]], dim=1)
        state["cls_token"] = state["cls_token"] - place
    return state


def openai_clip(state):
    """Names of OpenAI's CLIP, with the first tensors of a text tower."""
    swaps = [
        ("patch_embed.proj", "conv1"),
        *[("blocks.", "transformer.resblocks."), ("norm_pre", "ln_pre"), ("norm1", "ln_1"), ("norm2", "ln_2")],
        *[("qkv.", "in_proj_"), ("attn.proj", "attn.out_proj"), ("mlp.fc1", "mlp.c_fc"), ("mlp.fc2", "mlp.c_proj")],
    ]
    out = {"logit_scale": torch.tensor(1.0), "token_embedding.weight": torch.randn(7, 5)}
    out["positional_embedding"] = torch.randn(9, 5)
    for name, value in state.items():
        if name == "head.weight":
            out["visual.proj"] = value.T
        elif name == "cls_token":
            out["visual.class_embedding"] = value[0, 0]
        elif name == "pos_embed":
            out["visual.positional_embedding"] = value[0]
        elif name.startswith("norm."):
            out["visual." + name.replace("norm", "ln_post")] = value
        elif name != "head.bias":
            for ours, theirs in swaps:
                name = name.replace(ours, theirs)
            out["visual." + name] = value
    return out


def facebook_convnext(state):
    """Names of Facebook's ConvNeXt."""
    out = {}
    for name, value in state.items():
        name = re.sub(r"stages\.(\d)\.blocks\.(\d)", r"stages.\1.\2", name)
        name = re.sub(r"stages\.(\d)\.downsample\.(\d)", r"downsample_layers.\1.\2", name)
        name = re.sub(r"stem\.(\d)", r"downsample_layers.0.\1", name)
        name = name.replace("conv_dw", "dwconv").replace("mlp.fc1", "pwconv1").replace("mlp.fc2", "pwconv2")
        name = name.replace("head.fc", "head").replace("head.norm", "norm")
        out[name] = value
    return out


DINOV2 = ("vit_small_patch14_dinov2", SMALL, 56, 0)
REGISTERS = ("vit_small_patch14_reg4_dinov2", SMALL, 56, 0)


@pytest.mark.parametrize("released", [DINOV2, REGISTERS])
def test_a_dinov2_file_loads_at_another_size_with_its_registers_and_its_layer_scale(tmp_path, capsys, released):
    name, arguments, size, classes = released
    _, theirs = network_of(name, arguments, size, classes)
    path = save(tmp_path / "dinov2.safetensors", facebook_dinov2(theirs.state_dict()))
    model, ours = network_of(name, arguments, 28, 0, seed=1)
    said = load_released(path, ours, model)
    expected = dict(theirs.state_dict())
    tokens = 0 if "reg" in name else 1
    grid = resampled(expected["pos_embed"][:, tokens:], 2)
    expected["pos_embed"] = torch.cat([expected["pos_embed"][:, :tokens], grid], dim=1)
    state = ours.state_dict()
    assert state.keys() == expected.keys() and any("gamma" in key for key in state)
    for key in expected:
        torch.testing.assert_close(state[key], expected[key], rtol=1e-5, atol=1e-6)
    assert said == AS_IT_IS | {
        "resampled": {"pos_embed": [[1, 17, 24], [1, 4 + tokens, 24]]},
        "unused": ["mask_token"],
        "renamed": tokens == 0,
    }
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 and lines[0].startswith(f"{path}: pos_embed resampled from [1, 17, 24] to")


def test_a_file_that_fits_is_loaded_exactly_and_nothing_is_said(tmp_path, capsys):
    model, theirs = network_of(*DINOV2)
    _, ours = network_of(*DINOV2, seed=1)
    said = load_released(save(tmp_path / "own.safetensors", theirs.state_dict()), ours, model)
    alike(ours, theirs.state_dict())
    assert said == AS_IT_IS
    assert capsys.readouterr().out == ""


def test_a_dino_file_without_a_head_is_refused_for_classes_and_loads_for_none(tmp_path):
    _, theirs = network_of("vit_small_patch16_224", SMALL, 32, 0)
    path = save(tmp_path / "dino.safetensors", theirs.state_dict())
    model, ours = network_of("vit_small_patch16_224", SMALL, 64, 10, seed=1)
    before = {name: value.clone() for name, value in ours.state_dict().items()}
    with pytest.raises(
        StudyError, match=r"dino\.safetensors: has no head, but the model has one of 10 classes; set num_"
    ):
        load_released(path, ours, model, remedy=REMEDY)
    alike(ours, before)
    model, ours = network_of("vit_small_patch16_224", SMALL, 64, 0, seed=1)
    said = load_released(path, ours, model)
    alike(ours, timms_own(model, 64, theirs.state_dict()))
    assert said["resampled"] == {"pos_embed": [[1, 5, 24], [1, 17, 24]]}


@pytest.mark.parametrize("pool", ["token", "avg"])
def test_an_mae_file_loads_without_its_decoder_and_its_norm_where_another_way_is_pooled(tmp_path, pool):
    _, theirs = network_of("vit_base_patch16_224", SMALL, 32, 0)
    decoder = {"decoder_blocks.0.attn.qkv.weight": torch.randn(9, 3), "decoder_pos_embed": torch.randn(1, 5, 3)}
    state = theirs.state_dict() | decoder | {"mask_token": torch.randn(1, 1, 3)}
    path = save(tmp_path / "mae.safetensors", state)
    model, ours = network_of("vit_base_patch16_224", SMALL | {"global_pool": pool}, 32, 0, seed=1)
    said = load_released(path, ours, model)
    norms = {"norm.bias", "norm.weight"} if pool == "avg" else set()
    alike(ours, theirs.state_dict(), theirs.state_dict().keys() - norms)
    assert set(said["unused"]) == {*decoder, "mask_token", *norms}
    assert said["missing"] == (["fc_norm.bias", "fc_norm.weight"] if pool == "avg" else [])


@pytest.mark.parametrize("classes", [6, 0])
def test_a_clip_file_gives_its_visual_tower_with_its_projection_or_without(tmp_path, classes):
    name, arguments = "vit_base_patch32_clip_quickgelu_224", SMALL
    _, theirs = network_of(name, arguments, 96, 6)
    path = save(tmp_path / "clip.safetensors", openai_clip(theirs.state_dict()))
    model, ours = network_of(name, arguments, 64, classes, seed=1)
    said = load_released(path, ours, model)
    expected = dict(theirs.state_dict())
    expected["head.bias"] = torch.zeros(6)
    grid = expected.pop("pos_embed")
    if not classes:
        del expected["head.weight"], expected["head.bias"]
    alike(ours, expected)
    torch.testing.assert_close(ours.pos_embed[:, 1:].detach(), resampled(grid[:, 1:], 2))
    assert said["renamed"] and said["resampled"] == {"pos_embed": [[10, 24], [1, 5, 24]]}
    assert set(said["unused"]) == {
        *("logit_scale", "token_embedding.weight", "positional_embedding"),
        *([] if classes else ["head.weight", "head.bias"]),
    }


def test_a_deit3_file_gives_its_layer_scale_under_its_other_name(tmp_path):
    name, arguments = "deit3_small_patch16_224", SMALL
    model, theirs = network_of(name, arguments, 32, 4)
    state = {re.sub(r"ls(\d)\.gamma", r"gamma_\1", key): value for key, value in theirs.state_dict().items()}
    assert any("gamma_2" in key for key in state)
    _, ours = network_of(name, arguments, 32, 4, seed=1)
    assert load_released(save(tmp_path / "deit3.safetensors", state), ours, model)["renamed"]
    alike(ours, theirs.state_dict())


SWIN = {"embed_dim": 16, "depths": (1, 2), "num_heads": (1, 2), "patch_size": 4}


def test_swins_tables_are_resampled_to_another_window(tmp_path, capsys):
    name = "swin_tiny_patch4_window7_224"
    _, theirs = network_of(name, SWIN | {"window_size": 4}, 64, 3)
    old = theirs.state_dict() | {
        "layers.0.blocks.0.attn.relative_position_index": torch.zeros(16, 16, dtype=torch.long)
    }
    path = save(tmp_path / "swin.safetensors", old)
    model, ours = network_of(name, SWIN | {"window_size": 6}, 96, 3, seed=1)
    said = load_released(path, ours, model)
    alike(ours, timms_own(model, 96, theirs.state_dict()))
    assert len(said["resampled"]) == 3 and [[49, 1], [121, 1]] in said["resampled"].values()
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_a_convnext_of_other_names_loads_at_any_size(tmp_path):
    model, theirs = network_of("convnext_atto_ols", {"dims": (8, 8, 16, 16), "depths": (1, 1, 1, 1)}, 32, 5)
    state = facebook_convnext(theirs.state_dict())
    assert any(name.startswith("downsample_layers") for name in state)
    _, ours = network_of(model.name, model.args, 64, 5, seed=1)
    path = save(tmp_path / "convnext.safetensors", state)
    said = load_released(path, ours, model)
    alike(ours, theirs.state_dict())
    assert said["renamed"] and not said["resampled"] and not said["missing"]


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        # Filters of timm that are told of no network: of names of Facebook's, of torchvision's.
        ("regnety_002", lambda state: {"model": state}),
        ("densenet121", lambda state: {k.replace("conv1.", "conv.1."): v for k, v in state.items()}),
    ],
)
def test_a_filter_that_is_told_of_no_network_is_used_too(name, theirs):
    model, network = network_of(name, {}, 32, 3)
    state, expected = theirs(network.state_dict()), network.state_dict()
    _, found, missing, unused, _ = fitting("path", state, network, model, filter_of(model), REMEDY)
    assert found.keys() == expected.keys() and not missing and not unused
    assert all(torch.equal(found[key], value) for key, value in expected.items())


@pytest.mark.parametrize("channels", [3, 1])
@pytest.mark.parametrize("classes", [7, 0])
def test_a_resnet_loses_its_head_on_request_and_its_colours_by_summing(tmp_path, channels, classes):
    _, theirs = network_of("test_resnet", {}, 32, 7)
    path = save(tmp_path / "resnet.safetensors", theirs.state_dict())
    model, ours = network_of("test_resnet", {}, 64, classes, channels, seed=1)
    said = load_released(path, ours, model)
    expected = dict(theirs.state_dict())
    first = expected.pop("conv1.0.weight") if "conv1.0.weight" in expected else expected.pop("conv1.weight")
    head = {name: expected.pop(name) for name in ("fc.weight", "fc.bias")}
    alike(ours, expected | (head if classes else {}))
    ours_first = next(m for m in ours.modules() if isinstance(m, torch.nn.Conv2d)).weight
    torch.testing.assert_close(ours_first.detach(), first if channels == 3 else first.sum(dim=1, keepdim=True))
    assert said["unused"] == ([] if classes else ["fc.bias", "fc.weight"])
    assert bool(said["resampled"]) == (channels == 1)


VIT = "vit_tiny_patch16_224"
WRONG = {
    "deeper": (
        {"depth": 3},
        {},
        r"it has blocks\.2\.attn\.proj\.bias, .* and \d+ more, of which the model has no place",
    ),
    "shallower": ({"depth": 1}, {}, r"it lacks blocks\.1\.attn\.proj\.bias, .* and 9 more"),
    "wider": ({"embed_dim": 32}, {}, r"blocks\.0\.attn\.proj\.bias has shape \[32\], the model \[24\]"),
    "with LayerScale": ({"init_values": 1.0}, {}, r"it has blocks\.0\.ls1\.gamma, .*of which the model has no place"),
    "without LayerScale": ({}, {"init_values": 1.0}, r"it lacks blocks\.0\.ls1\.gamma"),
    "with registers": ({"reg_tokens": 2}, {}, r"it has reg_token, of which|size mismatch|cannot convert"),
    "without biases": ({"qkv_bias": False}, {}, r"it lacks blocks\.0\.attn\.qkv\.bias"),
    "with biases": ({}, {"qkv_bias": False}, r"it has blocks\.0\.attn\.qkv\.bias"),
    "with a norm before": ({"pre_norm": True}, {}, r"it lacks patch_embed\.proj\.bias"),
}


@pytest.mark.parametrize("name", WRONG)
def test_another_architecture_is_refused_in_one_sentence(tmp_path, name):
    theirs, ours, message = WRONG[name]
    _, given = network_of(VIT, SMALL | theirs, 32, 4)
    path = save(tmp_path / "other.safetensors", given.state_dict())
    model, network = network_of(VIT, SMALL | ours, 32, 4)
    with pytest.raises(StudyError, match=rf"other\.safetensors: is not this architecture \({VIT} with") as error:
        load_released(path, network, model, remedy=REMEDY)
    assert re.search(message, str(error.value)) and str(error.value).endswith(f"; {REMEDY}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["norm_pre.weight", "dist_token", "blocks.0.attn.q_norm.weight"])
def test_a_tensor_that_the_network_would_compute_something_else_without_is_refused(tmp_path, name):
    model, network = network_of(VIT, SMALL, 32, 4)
    path = save(tmp_path / "more.safetensors", network.state_dict() | {name: torch.ones(24)})
    with pytest.raises(StudyError, match=rf"it has {re.escape(name)}, of which the model has no place"):
        load_released(path, network, model, remedy=REMEDY)


def test_a_resnet_is_no_vit_and_a_head_of_other_classes_is_refused(tmp_path):
    _, resnet = network_of("test_resnet", {}, 32, 7)
    path = save(tmp_path / "other.safetensors", resnet.state_dict())
    model, network = network_of(VIT, SMALL, 32, 0)
    with pytest.raises(StudyError, match=r"is not this architecture .*: it lacks blocks\.0"):
        load_released(path, network, model)
    model, network = network_of("test_resnet", {}, 32, 10)
    with pytest.raises(
        StudyError, match=r"its head has 7 classes, but the model's has 10; set num_classes: 7 in its args"
    ):
        load_released(path, network, model, remedy=REMEDY)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_precision_is_widened_and_nan_is_refused_by_name(tmp_path, kind):
    model, theirs = network_of(VIT, SMALL, 32, 4)
    half = {name: value.to(kind) for name, value in theirs.state_dict().items()}
    path = save(tmp_path / "half.safetensors", half)
    _, ours = network_of(VIT, SMALL, 32, 4, seed=1)
    assert load_released(path, ours, model)["resampled"] == {}
    alike(ours, {name: value.float() for name, value in half.items()})
    half["blocks.1.norm1.bias"][3] = torch.nan
    with pytest.raises(StudyError, match=r"half\.safetensors: blocks\.1\.norm1\.bias holds values .* not finite"):
        load_released(save(path, half), ours, model, remedy=REMEDY)


def test_the_hash_that_is_expected_is_that_of_the_file(tmp_path):
    model, network = network_of(VIT, SMALL, 32, 4)
    path = save(tmp_path / "own.safetensors", network.state_dict())
    with pytest.raises(StudyError, match=r"its sha256 is .* but the configuration expects 000"):
        load_released(path, network, model, "0" * 64)
