"""One command looks into one network: the configuration that it writes, and what it says in the end."""

import json
import subprocess
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from huggingface_hub.errors import LocalEntryNotFoundError
from PIL import Image

from distillation_dynamics import look
from distillation_dynamics.errors import StudyError
from distillation_dynamics.networks.inspection import info_of
from distillation_dynamics.spec.images import View
from distillation_dynamics.spec.network import ModelInfo
from losses import size_of

CFG = {
    "architecture": "vit_small_patch14_dinov2",
    "num_classes": 0,
    "pretrained_cfg": {
        "tag": "lvd142m", "input_size": [3, 518, 518], "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.2, 0.3],
        "crop_pct": 1.0, "interpolation": "bicubic", "crop_mode": "center", "num_classes": 0,
    },
}  # fmt: skip
DINOV2 = "vit_small_patch14_dinov2"


def pictures(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(folder / name)
    return folder


@pytest.fixture
def flat(tmp_path):
    return pictures(tmp_path / "flat", "a.jpg", "b.PNG", "sub/c.jpg")


def hub(monkeypatch, tmp_path, config):
    """A hub with one repository; returns what is asked of it."""
    asked, path = [], tmp_path / "hub.json"
    path.write_text(json.dumps(config))

    def download(repository, file, revision):
        asked.append((repository, file, revision))
        return str(path)

    monkeypatch.setattr(look, "hf_hub_download", download)
    return asked


@pytest.mark.parametrize(("given", "revision"), [("", "main"), ("@" + "a" * 40, "a" * 40)])
def test_a_hubs_network_is_that_which_its_configuration_says(monkeypatch, tmp_path, flat, given, revision):
    asked = hub(monkeypatch, tmp_path, CFG)
    found = look.configuration_of(f"hf-hub:timm/{DINOV2}.lvd142m{given}", str(flat))
    assert asked == [(f"timm/{DINOV2}.lvd142m", "config.json", revision)]
    name = f"{DINOV2}_lvd142m"
    assert found == {
        "name": f"look_{name}",
        "data": {"source": "folder", "test": str(flat)},
        "networks": {
            name: {
                "source": "timm",
                "model": {"name": DINOV2, "args": {"num_classes": 0}},
                "weights": f"hf-hub:timm/{DINOV2}.lvd142m@{revision}",
                "view": {
                    "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.2, 0.3], "crop_fraction": 1.0, "crop_mode": "center",
                    "interpolation": "bicubic", "channels": 3, "image_size": 518,
                },
            }
        },
    }  # fmt: skip


def test_a_configuration_of_one_piece_is_read_too_and_arguments_are_kept(monkeypatch, tmp_path, flat):
    hub(
        monkeypatch,
        tmp_path,
        {
            **{**CFG["pretrained_cfg"], "input_size": [3, 518, 392]},
            **{"architecture": "vit", "num_classes": 9, "model_args": {"depth": 3}},
        },
    )
    (found,) = look.configuration_of("hf-hub:me/mine", str(flat))["networks"].values()
    assert found["model"] == {"name": "vit", "args": {"depth": 3, "num_classes": 9}}
    assert found["view"]["channels"] == 3 and "image_size" not in found["view"], "images of a study are squares"


def test_a_folder_and_a_file_leave_classes_and_view_to_what_the_plan_reads(tmp_path, flat):
    folder = tmp_path / "my net"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CFG))
    for given in (str(folder), f"local-dir:{folder}"):
        found = look.configuration_of(given, str(flat))
        assert found["name"] == "look_my_net"
        assert found["networks"]["my_net"] == {
            "source": "timm", "model": {"name": DINOV2}, "weights": f"local-dir:{folder}"
        }  # fmt: skip
    file = folder / "mae.safetensors"
    file.write_bytes(b"")
    found = look.configuration_of(str(file), str(flat), "other", "vit_base_patch16_224")
    assert found["networks"] == {
        "other": {"source": "checkpoint", "model": {"name": "vit_base_patch16_224"}, "weights": str(file)}
    }


@pytest.mark.parametrize(
    ("network", "images", "name", "message"),
    [
        ("nowhere", "flat", None, r"^NETWORK: nowhere is no file or folder; give one, or hf-hub:owner/name"),
        ("flat/a.jpg", "flat", None, r"^NETWORK: nothing beside the weights of flat/a\.jpg says which model .* MODEL="),
        ("flat", "flat", None, r"^NETWORK: nothing beside the weights of flat says which model"),
        ("net", "nowhere", None, r"^IMAGES: nowhere is no folder, \.tar or \.parquet file"),
        ("net", "net", None, r"^IMAGES: no pictures lie in net; give a folder that holds some"),
        ("net", "flat", "...", r"^NAME: no letter or digit"),
    ],
)
def test_what_cannot_be_looked_at_is_a_sentence(tmp_path, flat, monkeypatch, capsys, network, images, name, message):
    (tmp_path / "net").mkdir()
    (tmp_path / "net/config.json").write_text(json.dumps(CFG))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StudyError, match=message):
        look.configuration_of(network, images, name)


def test_a_hub_that_cannot_be_reached_is_a_sentence(monkeypatch, flat):
    def unreachable(*_, **__):
        raise LocalEntryNotFoundError("no")

    monkeypatch.setattr(look, "hf_hub_download", unreachable)
    with pytest.raises(StudyError, match=r"^NETWORK: the hub cannot be reached for me/mine@main; .* give the folder"):
        look.configuration_of("hf-hub:me/mine", str(flat))


@pytest.mark.parametrize(
    ("files", "classes"),
    [
        (("cat/1.jpg", "dog/2.jpg", "dog/more/3.jpg"), 3),
        (("cat/1.jpg", "dog/2.jpg", "0.jpg"), None),
        (("all/1.jpg", "all/2.jpg"), None),
        (("a/cat/1.jpg", "b/cat/2.jpg", "b/dog/3.jpg"), 2),
    ],
)
def test_folders_of_pictures_are_classes_where_all_pictures_have_one(tmp_path, files, classes):
    (tmp_path / "images/empty").mkdir(parents=True)
    (tmp_path / "images/readme.txt").write_text("no picture")
    assert look._data(str(pictures(tmp_path / "images", *files))).get("classes") == classes


@pytest.mark.parametrize(
    ("columns", "classes"),
    [
        ({"label": [0, 4, 2]}, 5),
        ({"label": [0, None, 2]}, None),
        ({"label": [-1, -1, -1]}, None),
        ({"other": [1, 2, 3]}, None),
    ],
)
def test_labels_of_parquet_files_are_classes(tmp_path, columns, classes):
    for number in (1, 0):
        pq.write_table(pa.table({"image": [b"", b"", b""], **columns}), tmp_path / f"part-{number}.parquet")
    both = [str(tmp_path / f"part-{number}.parquet") for number in (0, 1)]
    for images, test in ((tmp_path, both), (tmp_path / "part-1.parquet", both[1:])):
        found = look._data(str(images))
        assert found == {"source": "parquet", "test": test} | ({} if classes is None else {"classes": classes})


REPORT = """# Answers

## Is it U-shaped?

**1 of 1 networks is, in entropy.**

Its control is flat.

| metric | n |
|---|---|
| entropy | 1 |

A network is called U-shaped where.

## Does a variant help?

No.
"""


def known(monkeypatch, layer_scale=None):
    """Networks are described without their weights."""
    told = ModelInfo(1, size_of(3, 4, classes=10), View(3, 8, (0.5,) * 3, (0.5,) * 3), layer_scale)
    monkeypatch.setattr(look.model_info, "describe", lambda asked: dict.fromkeys(asked, told))


@pytest.mark.parametrize(
    ("model", "control"),
    [
        ({"name": DINOV2, "args": {"depth": 2, "embed_dim": 12, "num_heads": 2, "num_classes": 0}}, "unit_layer_scale"),
        ({"name": "test_vit", "args": {"num_classes": 0}}, None),
        ({"name": "test_resnet", "args": {"num_classes": 0}}, None),
    ],
)
def test_a_control_is_chosen_where_the_untrained_twin_would_be_the_identity(monkeypatch, flat, model, control):
    # In this process, and as of weights that nobody has to fetch.
    monkeypatch.setattr(look.model_info, "describe", lambda them: {owner: info_of(one) for owner, one in them.items()})
    network = {"source": "timm", "model": model, "weights": "hf-hub:me/mine@main"}
    given = {"name": "look_it", "data": {"source": "folder", "test": str(flat)}, "networks": {"it": network}}
    chosen = {} if control is None else {"control": control}
    assert look.with_control(given) == given | {"networks": {"it": network | chosen}}


@pytest.mark.parametrize(
    ("layer_scale", "chosen"), [(None, False), (1e-5, True), (0.009, True), (0.01, False), (1, False)]
)
def test_a_layer_scale_that_lets_blocks_do_something_leaves_the_twin(monkeypatch, flat, layer_scale, chosen):
    known(monkeypatch, layer_scale)
    network = {"source": "timm", "model": {"name": "vit"}, "weights": "hf-hub:me/mine@main"}
    given = {"name": "look_it", "data": {"source": "folder", "test": str(flat)}, "networks": {"it": network}}
    assert ("control" in look.with_control(given)["networks"]["it"]) == chosen


def test_the_study_is_run_and_its_figures_and_its_answer_are_named(tmp_path, flat, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    known(monkeypatch)
    (tmp_path / "vit.safetensors").write_bytes(b"")
    ran = []

    def run(command, check):
        ran.append(command)
        folder = tmp_path / "results/look_mine/statistics"
        folder.mkdir(parents=True)
        (folder / "report.md").write_text(REPORT)
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(subprocess, "run", run)
    arguments = ["vit.safetensors", str(flat), "--name", "mine", "--model", "vit_tiny_patch16_224", "--keep-going"]
    assert look.main(arguments) is None
    (command,) = ran
    assert command[2:] == ["snakemake", "--cores", "all", "--configfile", "results/look_mine/look.yaml", "--keep-going"]
    written = yaml.safe_load((tmp_path / "results/look_mine/look.yaml").read_text())
    assert written == look.configuration_of("vit.safetensors", str(flat), "mine", "vit_tiny_patch16_224")
    assert capsys.readouterr().out.endswith(
        "Page: results/look_mine/index.html\nFigures: results/look_mine/figures\n\n"
        "Is it U-shaped? **1 of 1 networks is, in entropy.**\n\nIts control is flat.\n"
    )


def test_a_run_that_fails_and_a_network_that_is_none_end_with_an_error(tmp_path, flat, monkeypatch):
    monkeypatch.chdir(tmp_path)
    known(monkeypatch)
    (tmp_path / "vit.safetensors").write_bytes(b"")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=3))
    assert "snakemake ended with status 3" in look.main(
        ["vit.safetensors", str(flat), "--model", "vit_tiny_patch16_224"]
    )
    assert look.main(["nowhere", str(flat)]).startswith("error: NETWORK: nowhere is no file or folder")
