"""What a plan asks of networks: by timm's own knowledge of their weights, by what is given, without loading any."""

import contextlib
import io
import json
import subprocess
import sys

import pytest
import timm
import torch
from safetensors.torch import save_file

from conftest import ROOT
from distillation_dynamics.errors import StudyError
from distillation_dynamics.jobs import asking, model_info
from distillation_dynamics.networks import inspection
from distillation_dynamics.networks.build import build
from distillation_dynamics.networks.defaults import view_of
from distillation_dynamics.networks.inspection import info_of
from distillation_dynamics.networks.released import check_header
from distillation_dynamics.spec.images import View
from distillation_dynamics.spec.network import Model, ModelQuery
from test_released import (
    DINOV2,
    REGISTERS,
    SMALL,
    SWIN,
    facebook_convnext,
    facebook_dinov2,
    network_of,
    openai_clip,
    save,
    view,
)

DEFAULT = View(1, 28, (0.5,), (0.25,))
ARGS = {"patch_size": 7, "embed_dim": 16, "depth": 2, "num_heads": 2}
VIT = "vit_tiny_patch16_224"
HUB = "hf-hub:timm/vit_small_patch14_dinov2.lvd142m@" + "a" * 40


@pytest.fixture(autouse=True)
def library(monkeypatch):
    """Processes that are started import this library, as those of the workflow do."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "workflow"))


def test_a_network_of_the_study_sees_what_the_study_sees_and_its_info_is_that_of_the_network():
    asked = ModelQuery(VIT, ARGS, classes=10, default=DEFAULT)
    found = info_of(asked)
    assert found.view == DEFAULT and found.classes == 10
    network = build(Model(VIT, ARGS, "timm", 10), DEFAULT)
    assert found.parameters == sum(p.numel() for p in network.parameters())
    assert found.shapes == ((16, 4, 4),) * 2


@pytest.mark.parametrize("released", [HUB, "hf-hub:someone/tuned@" + "b" * 40, "weights.safetensors"])
def test_released_weights_see_what_timm_says_of_them_except_for_what_is_given(released):
    asked = ModelQuery("vit_small_patch14_dinov2", {}, released=released, default=DEFAULT)
    cfg = timm.models.get_pretrained_cfg("vit_small_patch14_dinov2.lvd142m")
    assert view_of(asked) == View(3, 518, cfg.mean, cfg.std, cfg.crop_pct, cfg.interpolation, cfg.crop_mode)
    given = ModelQuery(asked.name, {"img_size": 56}, view={"mean": [0.1] * 3, "image_size": 98}, released=released)
    assert view_of(given) == View(3, 56, (0.1,) * 3, cfg.std, cfg.crop_pct, cfg.interpolation, cfg.crop_mode)
    grey = ModelQuery(
        asked.name, {}, view={"channels": 1, "mean": [0.1], "std": [0.2], "image_size": 98}, released=released
    )
    assert view_of(grey) == View(1, 98, (0.1,), (0.2,), cfg.crop_pct, cfg.interpolation, cfg.crop_mode)


def test_the_tag_of_a_hubs_name_says_which_weights_they_are():
    tags = [cfg for cfg in timm.list_pretrained("vit_base_patch16_224*") if cfg.startswith("vit_base_patch16_224.")]
    seen = {tag: timm.models.get_pretrained_cfg(tag) for tag in tags}
    assert len({(cfg.mean, cfg.num_classes) for cfg in seen.values()}) > 2
    for tag, cfg in seen.items():
        found = info_of(ModelQuery("vit_base_patch16_224", {}, released=f"hf-hub:timm/{tag}@{'c' * 40}"))
        assert found.view.mean == tuple(cfg.mean) and found.classes == cfg.num_classes
        assert found.view.crop_fraction == cfg.crop_pct and found.view.interpolation == cfg.interpolation
    no_head = info_of(ModelQuery("vit_base_patch16_224", {"num_classes": 0}, released="hf-hub:timm/" + tags[0] + "@1"))
    assert no_head.classes == 0


def test_a_folders_own_configuration_says_how_its_weights_see(tmp_path):
    _, network = network_of("test_resnet", {}, 32, 7)
    save(tmp_path / "model.safetensors", network.state_dict())
    asked = ModelQuery("test_resnet", {}, released=f"local-dir:{tmp_path}")
    cfg = {"input_size": [3, 64, 64], "mean": [0.1, 0.2, 0.3], "std": [1, 1, 1], "crop_pct": 0.7, "crop_mode": "squash"}
    for config in (cfg | {"architecture": "test_resnet"}, {"architecture": "test_resnet", "pretrained_cfg": cfg}):
        (tmp_path / "config.json").write_text(json.dumps(config))
        found = info_of(asked)
        assert found.view == View(3, 64, (0.1, 0.2, 0.3), (1.0, 1.0, 1.0), 0.7, "bicubic", "squash")
        assert found.classes == 7


EVA = ("eva02_tiny_patch14_224", SMALL, 56, 0)
DISTILLED = ("deit_tiny_distilled_patch16_224", SMALL, 64, 4)


@pytest.mark.parametrize(
    ("network", "rename", "side", "patch"),
    [
        (DINOV2, facebook_dinov2, 4, 14),
        (REGISTERS, dict, 4, 14),
        (REGISTERS, facebook_dinov2, 4, 14),
        (("vit_base_patch32_clip_quickgelu_224", SMALL, 96, 6), openai_clip, 3, 32),
        (EVA, dict, 4, 14),
        (DISTILLED, dict, 4, 16),
        (DISTILLED, lambda state: {f"module.{name}": value for name, value in state.items()}, 4, 16),
    ],
)
def test_weights_of_a_file_see_images_of_the_size_that_their_positions_are_of(tmp_path, network, rename, side, patch):
    model, args, size, classes = network
    args = {**args, "num_classes": 0}
    _, made = network_of(model, args, size, classes)
    path = save(tmp_path / "weights.safetensors", rename(made.state_dict()))
    own = info_of(ModelQuery(model, args, released=str(path)))
    assert own.view.image_size == side * patch == size and own.resampled is None
    assert (own.size.blocks[0].rows, own.size.blocks[0].columns) == (side, side)
    known = timm.models.get_pretrained_cfg(model)
    assert own.view.mean == known.mean and own.view.image_size != known.input_size[1]
    given = info_of(ModelQuery(model, args, view={"image_size": 6 * patch}, released=str(path)))
    assert given.view.image_size == 6 * patch and given.resampled == (side, 6)
    assert given.resampling == f"its grid of positions is resampled from {side} x {side} to 6 x 6"


def test_weights_of_a_hub_are_resampled_from_the_size_that_timm_says_of_them():
    for asked, expected in ((224, (37, 16)), (518, None)):
        found = info_of(ModelQuery("vit_small_patch14_dinov2", SMALL, view={"image_size": asked}, released=HUB))
        assert found.resampled == expected, asked
    assert info_of(ModelQuery("vit_small_patch14_dinov2", SMALL, released=HUB)).view.image_size == 518
    # Networks without a position a patch, and those that are trained here, have none to resample.
    assert info_of(ModelQuery("test_resnet", {}, view={"image_size": 96}, released="hf-hub:a/b@1")).resampled is None
    assert info_of(ModelQuery(VIT, ARGS, classes=10, default=DEFAULT)).resampled is None


def test_what_a_folder_says_of_its_weights_goes_before_their_positions(tmp_path):
    _, network = network_of(*DINOV2)
    save(tmp_path / "model.safetensors", network.state_dict())
    asked = ModelQuery(DINOV2[0], DINOV2[1], released=f"local-dir:{tmp_path}")
    (tmp_path / "config.json").write_text(json.dumps({"architecture": DINOV2[0], "hidden_size": 24}))
    cfg = {"input_size": [3, 28, 28], "mean": [0.1, 0.2, 0.3], "std": [1, 1, 1]}
    assert info_of(ModelQuery(DINOV2[0], DINOV2[1], released=f"local-dir:{tmp_path}", default=view(98))) == info_of(
        ModelQuery(DINOV2[0], DINOV2[1], released=f"local-dir:{tmp_path}", default=view(98), view={"image_size": 56})
    )
    (tmp_path / "config.json").write_text(json.dumps({"architecture": DINOV2[0], "pretrained_cfg": cfg}))
    found = info_of(asked)
    assert found.view.image_size == 28 and found.resampled == (4, 2)


@pytest.mark.parametrize(
    ("size", "patch", "near"), [(225, 14, "224 or 238"), (237, 14, "224 or 238"), (5, 7, "7"), (30, (6, 4), "24 or 36")]
)
def test_a_size_that_patches_do_not_cover_names_the_nearest_ones(size, patch, near):
    asked = ModelQuery(VIT, ARGS | {"patch_size": patch}, classes=3, default=DEFAULT, view={"image_size": size})
    with pytest.raises(StudyError, match=rf"do not cover {size} .* such as an image_size of {near}$"):
        info_of(asked)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            ModelQuery(VIT, ARGS, classes=3),
            r"^view: nothing says channels and image_size and mean and std of the images",
        ),
        (
            ModelQuery(VIT, ARGS, classes=3, view={"channels": 1, "image_size": 28, "std": [1]}),
            r"says mean of .* give it there",
        ),
        (
            ModelQuery(VIT, ARGS, default=DEFAULT),
            r"^model\.args: the number of classes of .* is unknown; give num_classes there",
        ),
        (
            ModelQuery("vit_tny", {}, classes=3, default=DEFAULT),
            r"^model\.name: timm has no model 'vit_tny'; did you mean",
        ),
        (
            ModelQuery(VIT, ARGS, classes=3, default=DEFAULT, view={"channels": 3}),
            r"^view\.mean: has 1 values, but .* 3 chan",
        ),
        (ModelQuery(VIT, {"img_size": [28, 14]}, classes=3, default=DEFAULT), r"^view\.image_size: .* 28 x 14 pixels"),
        (
            ModelQuery(VIT, ARGS, classes=3, default=DEFAULT, view={"image_size": 30}),
            r"^model\.args: .* do not cover 30",
        ),
    ],
)
def test_what_nobody_says_or_nothing_can_be_is_a_sentence(asked, message):
    with pytest.raises(StudyError, match=message) as error:
        info_of(asked)
    assert "\n" not in str(error.value)


CONVNEXT = ("convnext_atto_ols", {"dims": (8, 8, 16, 16), "depths": (1, 1, 1, 1)}, 32, 5)
CLIP = ("vit_base_patch32_clip_quickgelu_224", SMALL, 96, 6)
SWINS = ("swin_tiny_patch4_window7_224", SWIN | {"window_size": 4}, 64, 3)
FILES = {
    "dinov2": (DINOV2, facebook_dinov2, 28, DINOV2[1], 0),
    "registers": (REGISTERS, facebook_dinov2, 28, REGISTERS[1], 0),
    "clip": (CLIP, openai_clip, 64, CLIP[1], 0),
    "convnext": (CONVNEXT, facebook_convnext, 64, CONVNEXT[1], 5),
    "swin": (SWINS, dict, 96, SWIN | {"window_size": 6}, 3),
    "resnet": (("test_resnet", {}, 32, 7), dict, 64, {}, 7),
    "vit": ((VIT, SMALL, 32, 4), dict, 64, SMALL, 4),
}


@pytest.mark.parametrize("name", FILES)
def test_the_header_of_a_released_file_says_its_classes_before_anything_is_loaded(tmp_path, name):
    (model, args, size, classes), rename, other, now, found = FILES[name]
    _, network = network_of(model, args, size, classes)
    path = save(tmp_path / "model.safetensors", rename(network.state_dict()))
    # OpenAI's projection is a head only if one is asked for.
    expected = 6 if name == "clip" else found
    assert check_header(path, Model(model, now, "timm", 0), view(other), "") == (expected, None)
    asked = ModelQuery(model, now, view={"image_size": other}, released=str(path), default=view(other))
    assert info_of(asked).classes == expected


def test_weights_of_another_architecture_are_refused_before_anything_runs(tmp_path):
    _, network = network_of(VIT, SMALL | {"depth": 3}, 32, 4)
    path = save(tmp_path / "model.safetensors", network.state_dict())
    for asked, message in (
        (
            ModelQuery(VIT, SMALL, released=f"local-dir:{tmp_path}"),
            r"^weights: \S+: is not this architecture .* it has blocks\.2",
        ),
        (
            ModelQuery(VIT, SMALL | {"depth": 3}, classes=9, released=str(path)),
            r"^weights: \S+: its head has 4 classes, but",
        ),
        (ModelQuery(VIT, {"depth": "two"}, released=str(path)), r"^model\.args: timm cannot build"),
    ):
        with pytest.raises(StudyError, match=message):
            info_of(asked)


@pytest.fixture
def in_process(monkeypatch):
    """The process that asks timm is none of its own; returns whom it is asked about, each time."""
    asked = []

    def run(command, **_):
        asked.append([*json.loads(command[-1])])
        said = io.StringIO()
        with monkeypatch.context() as there, contextlib.redirect_stdout(said):
            there.setattr(sys, "argv", command[3:])
            try:
                inspection.main()
            except SystemExit as error:
                return subprocess.CompletedProcess(command, 1, "", str(error))
        return subprocess.CompletedProcess(command, 0, said.getvalue(), "")

    monkeypatch.setattr(asking.subprocess, "run", run)
    return asked


def test_networks_are_asked_once_and_again_only_where_the_network_or_its_file_changed(tmp_path, in_process, capsys):
    _, network = network_of("test_resnet", {}, 32, 7)
    path = save(tmp_path / "weights.safetensors", network.state_dict())
    asked = {
        "networks.a": ModelQuery("test_resnet", {}, released=str(path)),
        "student": ModelQuery(VIT, ARGS, classes=3, default=DEFAULT),
    }
    cache = tmp_path / "cache"
    found = model_info.describe(asked, cache)
    assert {owner: info_of(one) for owner, one in asked.items()} == found
    assert capsys.readouterr().err.count("asking timm") == 1

    assert model_info.describe(asked, cache) == found
    for values in (1, 2):
        save_file({name: value * values for name, value in network.state_dict().items()}, path)
        assert model_info.describe(asked, cache) == found
    assert in_process == [["networks.a", "student"]]
    save(path, {name: value for name, value in network.state_dict().items() if not name.startswith("fc")})
    assert model_info.describe(asked, cache)["networks.a"].classes == 0
    assert in_process[1:] == [["networks.a"]]


def test_a_fault_names_the_network_and_so_does_a_file_that_is_none(tmp_path):
    cache = tmp_path / "cache"
    with pytest.raises(
        StudyError, match=r"^networks\.vit\.model\.name: timm has no model 'vit_tny'; did you mean \S+\?$"
    ):
        model_info.describe({"networks.vit": ModelQuery("vit_tny", {}, classes=3, default=DEFAULT)}, cache)
    (tmp_path / "model.safetensors").write_bytes(b"none")
    for released in (str(tmp_path / "model.safetensors"), f"local-dir:{tmp_path}"):
        with pytest.raises(StudyError, match=r"not a whole safetensors file .* what networks\.vit\.weights names"):
            model_info.describe({"networks.vit": ModelQuery(VIT, {}, released=released)}, cache)
    with pytest.raises(StudyError, match=r"^networks\.vit\.weights: \S+/none/model\.safetensors does not exist"):
        model_info.describe({"networks.vit": ModelQuery(VIT, {}, released=f"local-dir:{tmp_path}/none")}, cache)


def test_a_plan_imports_no_torch():
    code = "import sys; from distillation_dynamics.jobs import model_info\n"
    code += "from distillation_dynamics.stages import network_weights\nprint('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_the_meta_device_draws_no_random_numbers(tmp_path):
    _, network = network_of(VIT, SMALL, 32, 4)
    path = save(tmp_path / "model.safetensors", network.state_dict())
    before = torch.get_rng_state()
    check_header(path, Model(VIT, SMALL, "timm", 4), view(64), "")
    assert torch.equal(before, torch.get_rng_state())
