"""Files that transformers writes next to weights: timm's name of the model, and its preprocessing."""

import json

import pytest
import timm
from safetensors.torch import save_file

from distillation_dynamics.errors import StudyError
from distillation_dynamics.networks.beside import cfg_beside, is_of_transformers, timm_name
from distillation_dynamics.networks.inspection import info_of
from distillation_dynamics.spec.network import ModelQuery
from test_readings import clip, given, vit_with_head

BASE = {"hidden_size": 768, "num_hidden_layers": 12, "patch_size": 16}
CLIP = {"model_type": "clip_vision_model", **BASE}


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({"model_type": "vit", **BASE}, "vit_base_patch16_224"),
        ({"model_type": "vit_mae", **BASE}, "vit_base_patch16_224"),
        ({"model_type": "vit", "hidden_size": 384, "num_hidden_layers": 12, "patch_size": 8}, "vit_small_patch8_224"),
        ({"model_type": "deit", "hidden_size": 192, "num_hidden_layers": 12}, "deit_tiny_distilled_patch16_224"),
        ({"model_type": "dinov2", "hidden_size": 384, "num_hidden_layers": 12}, "vit_small_patch14_dinov2"),
        ({"model_type": "dinov2", "hidden_size": 1536, "num_hidden_layers": 40}, "vit_giant_patch14_dinov2"),
        ({"model_type": "dinov2_with_registers", **BASE, "patch_size": 14}, "vit_base_patch14_reg4_dinov2"),
        (CLIP | {"hidden_act": "quick_gelu"}, "vit_base_patch16_clip_quickgelu_224"),
        (CLIP | {"hidden_act": "gelu"}, "vit_base_patch16_clip_224"),
        ({"model_type": "clip", "vision_config": BASE | {"patch_size": 32}}, "vit_base_patch32_clip_quickgelu_224"),
    ],
)
def test_the_model_of_timm_is_told_by_kind_and_sizes(config, name):
    assert is_of_transformers(config) and timm_name(config) == name and timm.is_model(name)


@pytest.mark.parametrize("config", [{"model_type": "swin", **BASE}, {"model_type": "vit", "hidden_size": 7}])
def test_of_others_no_model_is_told(config):
    assert is_of_transformers(config) and timm_name(config) is None


def test_a_configuration_of_timm_is_none_of_transformers():
    assert timm_name({"architecture": "vit_base_patch16_224"}) is None and timm_name({}) is None


@pytest.mark.parametrize(
    ("said", "cfg"),
    [
        (
            {"do_center_crop": True, "crop_size": {"height": 224, "width": 224}, "size": {"shortest_edge": 256}},
            {"input_size": (3, 224, 224), "crop_mode": "center", "crop_pct": 0.875},
        ),
        ({"do_center_crop": True, "crop_size": 32}, {"input_size": (3, 32, 32), "crop_mode": "center"}),
        (
            {"size": {"height": 64, "width": 64}, "resample": 2, "image_mean": [0.5] * 3, "image_std": [0.25] * 3},
            {
                **{"input_size": (3, 64, 64), "crop_mode": "squash", "crop_pct": 1.0, "interpolation": "bilinear"},
                **{"mean": [0.5] * 3, "std": [0.25] * 3},
            },
        ),
        (
            {"size": 48, "resample": 3},
            {"interpolation": "bicubic", "input_size": (3, 48, 48), "crop_mode": "squash", "crop_pct": 1.0},
        ),
        ({"do_normalize": False, "image_mean": [0.5] * 3, "resample": 1}, {"mean": (0.0,) * 3, "std": (1.0,) * 3}),
        ({}, {}),
    ],
)
def test_how_images_are_seen_is_read_of_the_preprocessor(tmp_path, said, cfg):
    assert cfg_beside(tmp_path) == {}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    assert cfg_beside(tmp_path) == cfg


def folder_of(folder, state, config, preprocessor=None):
    folder.mkdir()
    save_file({name: value.clone().contiguous() for name, value in state.items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    if preprocessor is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    return f"local-dir:{folder}"


@pytest.mark.parametrize("preprocessor", [None, {"size": 64, "image_mean": [0.1] * 3, "image_std": [0.2] * 3}])
def test_a_folder_of_transformers_is_described(tmp_path, preprocessor):
    model, theirs = given(4)
    state = vit_with_head(theirs.state_dict())
    released = folder_of(tmp_path / "vit", state, {"model_type": "vit", "architectures": ["ViTModel"]}, preprocessor)
    info = info_of(ModelQuery(model.name, model.args, released=released))
    assert info.classes == 4 and info.note.endswith("names read without vit.; names of transformers brought to timm's")
    # What nothing beside them says is that of their own positions, 4 x 4 patches of 8 pixels, and what timm knows.
    assert info.view.image_size == (32 if preprocessor is None else 64)
    assert info.view.mean == ((0.5,) * 3 if preprocessor is None else (0.1,) * 3)


@pytest.mark.parametrize(
    ("name", "activation", "message"),
    [
        ("vit_base_patch32_clip_224", None, r"^model\.name: config\.json beside its weights .* has QuickGELU, which"),
        ("vit_base_patch32_clip_quickgelu_224", "gelu", r"has GELU, which vit_base_patch32_clip_quickgelu_224 has not"),
    ],
)
def test_another_activation_is_said_since_weights_do_not_tell(tmp_path, name, activation, message):
    model, theirs = given(4, name=name)
    config = {"model_type": "clip_vision_model"} | ({} if activation is None else {"hidden_act": activation})
    released = folder_of(tmp_path / "clip", clip(dict(theirs.state_dict())), config)
    with pytest.raises(StudyError, match=message):
        info_of(ModelQuery(name, model.args, released=released))
    other = "vit_base_patch32_clip_quickgelu_224" if activation is None else "vit_base_patch32_clip_224"
    assert info_of(ModelQuery(other, model.args, released=released)).classes == 4
