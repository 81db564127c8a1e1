"""One command looks into one network: the configuration that it writes, and what it says in the end."""

import json
import os
import subprocess
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from huggingface_hub.errors import LocalEntryNotFoundError
from PIL import Image

from conftest import ROOT
from distillation_dynamics.errors import StudyError
from distillation_dynamics.jobs import model_info
from distillation_dynamics.jobs.build import build_graph
from distillation_dynamics.jobs.content import Content
from distillation_dynamics.jobs.gathered import drawn
from distillation_dynamics.look import __main__ as look
from distillation_dynamics.look import network as networks
from distillation_dynamics.look.configuration import Asked, announced, configuration_of, studied, write
from distillation_dynamics.look.images import data_of
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
ASKED = Asked("", "")


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

    monkeypatch.setattr(networks, "hf_hub_download", download)
    return asked


@pytest.mark.parametrize(("given", "revision"), [("", "main"), ("@" + "a" * 40, "a" * 40)])
def test_a_hubs_network_is_that_which_its_configuration_says(monkeypatch, tmp_path, flat, given, revision):
    asked = hub(monkeypatch, tmp_path, CFG)
    found = configuration_of(Asked(f"hf-hub:timm/{DINOV2}.lvd142m{given}", str(flat)))
    assert asked == [(f"timm/{DINOV2}.lvd142m", "config.json", revision)]
    name = f"{DINOV2}_lvd142m"
    assert found == {
        "name": f"look_{name}",
        "data": {"source": "folder", "test": str(flat)},
        "measure": {"published_images": 0},
        "networks": {
            name: {
                "source": "timm",
                "model": {"name": DINOV2, "args": {"num_classes": 0}},
                "weights": f"hf-hub:timm/{DINOV2}.lvd142m@{revision}",
                "view": {
                    "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.2, 0.3], "crop_fraction": 1.0, "crop_mode": "center",
                    "interpolation": "bicubic", "channels": 3, "image_size": 518,
                },
                "without": ["features"],
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
    (found,) = configuration_of(Asked("hf-hub:me/mine", str(flat)))["networks"].values()
    assert found["model"] == {"name": "vit", "args": {"depth": 3, "num_classes": 9}}
    assert found["view"]["channels"] == 3 and "image_size" not in found["view"], "images of a study are squares"


def test_a_folder_and_a_file_leave_classes_and_view_to_what_the_plan_reads(tmp_path, flat):
    folder = tmp_path / "my net"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CFG))
    for given in (str(folder), f"local-dir:{folder}"):
        found = configuration_of(Asked(given, str(flat)))
        assert found["name"] == "look_my_net"
        assert found["networks"]["my_net"] == {
            "source": "timm", "model": {"name": DINOV2}, "weights": f"local-dir:{folder}",
            "without": ["features"],
        }  # fmt: skip
    file = folder / "mae.safetensors"
    file.write_bytes(b"")
    found = configuration_of(Asked(str(file), str(flat), "other", "vit_base_patch16_224"))
    assert found["networks"] == {
        "other": {
            "source": "checkpoint", "model": {"name": "vit_base_patch16_224"}, "weights": str(file),
            "without": ["features"],
        }
    }  # fmt: skip


@pytest.mark.parametrize(
    ("network", "images", "name", "message"),
    [
        ("nowhere", "flat", None, r"^NETWORK: nowhere is no file or folder; give one, or hf-hub:owner/name"),
        (
            "flat/a.jpg",
            "flat",
            None,
            r"^NETWORK: nothing next to the weights of flat/a\.jpg names their timm model; .* MODEL=",
        ),
        ("flat", "flat", None, r"^NETWORK: nothing next to the weights of flat names their timm model"),
        ("net", "nowhere", None, r"^IMAGES: nowhere is no folder, \.tar or \.parquet file"),
        ("net", "net", None, r"^IMAGES: the folder net holds no images"),
        ("net", "flat", "...", r"^NAME: no letter or digit"),
    ],
)
def test_what_cannot_be_looked_at_is_a_sentence(tmp_path, flat, monkeypatch, capsys, network, images, name, message):
    (tmp_path / "net").mkdir()
    (tmp_path / "net/config.json").write_text(json.dumps(CFG))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StudyError, match=message):
        configuration_of(Asked(network, images, name))


def test_a_folder_of_transformers_is_looked_at_as_the_model_that_it_is_of(tmp_path, flat):
    folder = tmp_path / "dino"
    folder.mkdir()
    said = {"model_type": "dinov2", "architectures": ["Dinov2Model"], "hidden_size": 384, "num_hidden_layers": 12}
    (folder / "config.json").write_text(json.dumps(said | {"patch_size": 14}))
    (found,) = configuration_of(Asked(str(folder), str(flat)))["networks"].values()
    assert found["model"] == {"name": DINOV2} and found["weights"] == f"local-dir:{folder}" and "view" not in found
    (folder / "config.json").write_text(json.dumps(said | {"model_type": "swin", "architectures": ["SwinModel"]}))
    with pytest.raises(StudyError, match=r"^NETWORK: config\.json of .* is that of transformers \(SwinModel\), which"):
        configuration_of(Asked(str(folder), str(flat)))
    asked = Asked(str(folder), str(flat), model="swin_tiny_patch4_window7_224")
    (found,) = configuration_of(asked)["networks"].values()
    assert found["model"] == {"name": "swin_tiny_patch4_window7_224"}


def test_a_hub_that_cannot_be_reached_is_a_sentence(monkeypatch, flat):
    def unreachable(*_, **__):
        raise LocalEntryNotFoundError("no")

    monkeypatch.setattr(networks, "hf_hub_download", unreachable)
    with pytest.raises(StudyError, match=r"^NETWORK: the hub cannot be reached for me/mine@main; .* give the folder"):
        configuration_of(Asked("hf-hub:me/mine", str(flat)))


@pytest.mark.parametrize(
    ("files", "classes"),
    [
        (("cat/1.jpg", "dog/2.jpg", "dog/more/3.webp", ".ipynb_checkpoints/4.jpg", "dog/._2.jpg"), 2),
        (("cat/1.jpg", "dog/2.jpg", "0.jpg"), None),
        (("all/1.jpg", "all/2.jpg"), None),
        (("a/cat/1.jpg", "b/cat/2.jpg", "b/dog/3.jpg"), 2),
    ],
)
def test_folders_of_pictures_are_classes_where_all_pictures_have_one(tmp_path, files, classes):
    (tmp_path / "images/empty").mkdir(parents=True)
    (tmp_path / "images/readme.txt").write_text("no picture")
    assert data_of(str(pictures(tmp_path / "images", *files))).get("classes") == classes


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
    for number in (10, 2):
        pq.write_table(pa.table({"image": [b"", b"", b""], **columns}), tmp_path / f"part-{number}.parquet")
    both = [str(tmp_path / f"part-{number}.parquet") for number in (2, 10)]
    for images, test in ((tmp_path, both), (tmp_path / "part-10.parquet", both[1:])):
        found = data_of(str(images))
        assert found == {"source": "parquet", "test": test} | ({} if classes is None else {"classes": classes})


def test_columns_of_other_names_are_found_as_the_reader_finds_them(tmp_path):
    image = pa.array([{"bytes": b"x", "path": None}] * 3)
    said = {"info": {"features": {"fine_label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}
    table = pa.table({"img": image, "fine_label": [0, 1, 1], "coarse_label": [0, 0, 0]})
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(said)}), tmp_path / "a.parquet")
    assert data_of(str(tmp_path)) == {
        "source": "parquet",
        "test": [str(tmp_path / "a.parquet")],
        "columns": {"image": "img", "label": "fine_label"},
        "classes": 2,
    }


def test_a_shard_that_is_missing_is_a_sentence_of_the_reader(tmp_path):
    pq.write_table(pa.table({"image": [b"x"]}), tmp_path / "train-00000-of-00002.parquet")
    with pytest.raises(StudyError, match=r"^IMAGES: .* shard 1 of 2 is missing"):
        data_of(str(tmp_path))


def known(monkeypatch, layer_scale=None):
    """Networks are described without their weights."""
    told = ModelInfo(1, size_of(3, 4, classes=10), View(3, 8, (0.5,) * 3, (0.5,) * 3), layer_scale)
    monkeypatch.setattr(model_info, "describe", lambda asked: dict.fromkeys(asked, told))


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
    monkeypatch.setattr(model_info, "describe", lambda them: {owner: info_of(one) for owner, one in them.items()})
    network = {"source": "timm", "model": model, "weights": "hf-hub:me/mine@main"}
    given = {"name": "look_it", "data": {"source": "folder", "test": str(flat)}, "networks": {"it": network}}
    chosen = {} if control is None else {"control": control}
    assert studied(given, ASKED)[0] == given | {"networks": {"it": network | chosen}}


@pytest.mark.parametrize(
    ("layer_scale", "chosen"), [(None, False), (1e-5, True), (0.009, True), (0.01, False), (1, False)]
)
def test_a_layer_scale_that_lets_blocks_do_something_leaves_the_twin(monkeypatch, flat, layer_scale, chosen):
    known(monkeypatch, layer_scale)
    network = {"source": "timm", "model": {"name": "vit"}, "weights": "hf-hub:me/mine@main"}
    given = {"name": "look_it", "data": {"source": "folder", "test": str(flat)}, "networks": {"it": network}}
    assert ("control" in studied(given, ASKED)[0]["networks"]["it"]) == chosen


def test_a_size_and_groups_are_the_studys_and_everything_is_found_at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    pictures(tmp_path / "my [data] it's", "a_1.jpg", "a_2.jpg")
    (tmp_path / "vit [1].safetensors").write_bytes(b"")
    asked = Asked(
        "~/vit [1].safetensors", "~/my [data] it's", model=DINOV2, size="224", groups=r"^(.+)_\d+$", features=True
    )
    assert configuration_of(asked) == {
        "name": "look_vit_1",
        "data": {"source": "folder", "test": f"{tmp_path}/my [data] it's", "groups": r"^(.+)_\d+$"},
        "measure": {"published_images": 0},
        "networks": {
            "vit_1": {
                "source": "checkpoint", "model": {"name": DINOV2}, "weights": f"{tmp_path}/vit [1].safetensors",
                "view": {"image_size": 224},
            }
        },
    }  # fmt: skip


def test_a_size_that_is_asked_for_goes_before_what_a_hub_says(monkeypatch, tmp_path, flat):
    hub(monkeypatch, tmp_path, CFG | {"model_args": {"img_size": 518, "in_chans": 3, "depth": 3}})
    for size, expected in ((None, 518), ("224", 224)):
        (found,) = configuration_of(Asked("hf-hub:me/mine", str(flat), size=size))["networks"].values()
        assert found["view"]["image_size"] == expected and found["view"]["channels"] == 3
        assert found["model"]["args"] == {"depth": 3, "num_classes": 0}, "a study says sizes in its view"


TINY = {"source": "timm", "model": {"name": DINOV2, "args": {"depth": 2, "embed_dim": 12, "num_heads": 2}}}


@pytest.mark.parametrize(
    ("size", "groups", "message"),
    [
        ("225", None, r"^SIZE: \S+ cuts images into patches of 14 x 14 .* not cover 225 .* such as SIZE=224 or 238$"),
        ("3", None, r"^SIZE: 3 is less than the minimum of 4"),
        ("224", "(", r"^GROUPS: '\(' is not a regular expression"),
    ],
)
def test_a_size_that_does_not_fit_and_a_wrong_pattern_are_sentences_of_the_command(
    monkeypatch, flat, size, groups, message
):
    def asked_of(queries):
        try:
            return {owner: info_of(query) for owner, query in queries.items()}
        except StudyError as error:
            raise StudyError(f"networks.it.{error}") from error

    monkeypatch.setattr(model_info, "describe", asked_of)
    network = TINY | {"weights": "hf-hub:me/mine@main", "view": {"image_size": int(size)}}
    data = {"source": "folder", "test": str(flat)} | ({} if groups is None else {"groups": groups})
    with pytest.raises(StudyError, match=message) as said:
        studied({"name": "look_it", "data": data, "networks": {"it": network}}, Asked("", "", size=size))
    assert "\n" not in str(said.value)


@pytest.mark.parametrize("size", ["", "22.4", "-224", "224px", "\u00b2"])
def test_a_size_that_is_no_number_is_a_sentence(tmp_path, flat, size):
    (tmp_path / "vit.safetensors").write_bytes(b"")
    with pytest.raises(StudyError, match=r"^SIZE: .* is not a whole number of pixels; .* SIZE=224$"):
        configuration_of(Asked(str(tmp_path / "vit.safetensors"), str(flat), model="vit", size=size))


@pytest.mark.parametrize(
    ("features", "said"),
    [
        (False, "features are not written; FEATURES=1 writes them ({})"),
        (True, "features will be written: {}; without FEATURES=1 they are left out"),
    ],
)
@pytest.mark.parametrize(
    ("images", "side", "size"),
    [
        # 2 blocks, 3 channels, 16-bit numbers, network and control.
        (3, 4, "about 0 MB"),
        (3, 400, f"about {3 * 2 * 3 * 400 * 400 * 2 * 2 / 1e6:.0f} MB"),
        (3, 4000, f"about {3 * 2 * 3 * 4000 * 4000 * 2 * 2 / 1e9:.1f} GB"),
        # Of more images 320 are measured.
        (330, 300, f"about {320 * 2 * 3 * 300 * 300 * 2 * 2 / 1e6:.0f} MB"),
    ],
)
def test_what_features_would_take_is_said_before_anything_is_written(
    tmp_path, monkeypatch, features, said, images, side, size
):
    monkeypatch.chdir(tmp_path)
    told = ModelInfo(1, size_of(3, 2, side, 10), View(3, 8, (0.5,) * 3, (0.5,) * 3))
    monkeypatch.setattr(model_info, "describe", lambda asked: dict.fromkeys(asked, told))
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(images):
        (folder / f"{number}.png").write_bytes(b"")
    (folder / "readme.txt").write_bytes(b"")
    (tmp_path / "vit.safetensors").write_bytes(b"")
    asked = Asked("vit.safetensors", str(folder), model="vit", features=features)
    lines = announced(*studied(configuration_of(asked), asked))
    whole = f"{size}, of every block and token of the images that are measured, network and control"
    looked, left_out = f"vit: looks at {images} images, brought to 8 x 8 pixels", "left out: 1 .txt (readme.txt)"
    assert lines == [looked, left_out, said.format(whole)]
    assert not (tmp_path / "results").exists()


def test_a_file_of_a_look_that_somebody_changed_stays(tmp_path):
    path, first, second = tmp_path / "look.yaml", {"name": "look_a", "size": 518}, {"name": "look_a", "size": 224}
    assert "it replaces" not in write(path, first)
    assert yaml.safe_load(path.read_text()) == first
    assert write(path, first).endswith("as before")
    assert write(path, second).endswith("(it replaces the one of an earlier look)")
    assert yaml.safe_load(path.read_text()) == second
    for changed in (path.read_text().replace("224", "280"), path.read_text() + "# mine\nseeds: [1]\n", "name: [", ""):
        path.write_text(changed)
        with pytest.raises(StudyError, match=r"look\.yaml: was edited, .*NAME=.*or delete the file$"):
            write(path, first)
        assert path.read_text() == changed
    path.write_text("# my own words\nsize: 518\nname: look_a\n")
    assert write(path, first).endswith("as before") and path.read_text().startswith("# my own words")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["NETWORK=a b", "IMAGES=~/my [data]"], ["a b", "~/my [data]"]),
        (['NETWORK=it\'s "here"', "IMAGES=$HOME"], ['it\'s "here"', "$HOME"]),
        (
            ["NETWORK=n", "IMAGES=i", r"GROUPS=^(.+)$(x|_\d+$", "SIZE=224", "NAME=my look", "MODEL=vit", "FEATURES=1"],
            [
                *("n", "i", "--model=vit", "--name=my look", "--size=224", r"--groups=^(.+)$(x|_\d+$", "--features"),
            ],
        ),
        (["NETWORK=n", "IMAGES=i", "SIZE=", "FEATURES=0", "ARGS=--keep-going -n"], ["n", "i", "--keep-going", "-n"]),
        ([], ["", ""]),
    ],
)
def test_make_hands_every_word_on_as_it_is_given(tmp_path, given, expected):
    (tmp_path / "activate").write_text(f"PATH={tmp_path}:$PATH\n")
    (tmp_path / "python").write_text("#!/bin/sh\nfor word; do printf '%s\\n' \"$word\"; done\n")
    (tmp_path / "python").chmod(0o755)
    command = ["make", "-s", "-o", "setup", "-C", str(ROOT), "look", f"BIN={tmp_path}", *given]
    # What the machine says of itself is nothing that a look is asked for.
    environment = os.environ | {"NAME": "machine", "GROUPS": "1", "MODEL": "Dell"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.splitlines() == ["-m", "distillation_dynamics.look", *expected]


@pytest.mark.parametrize(
    ("network", "images", "message"),
    [("", "flat", r"^NETWORK: is not given"), ("net", "", r"^IMAGES: is not given")],
)
def test_what_is_not_given_is_said(tmp_path, monkeypatch, network, images, message):
    monkeypatch.chdir(tmp_path)
    pictures(tmp_path / "flat", "a.jpg")
    (tmp_path / "net").write_bytes(b"")
    with pytest.raises(StudyError, match=message):
        configuration_of(Asked(network, images, model="vit"))


def test_the_study_is_run_and_its_page_and_its_figures_are_named(tmp_path, flat, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    known(monkeypatch)
    (tmp_path / "vit.safetensors").write_bytes(b"")
    ran = []

    def run(command, check):
        ran.append(command)
        (tmp_path / "results/look_mine/index.html").touch()
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(subprocess, "run", run)
    arguments = ["vit.safetensors", str(flat), "--name", "mine", "--model", "vit_tiny_patch16_224", "--keep-going"]
    assert look.main(arguments) is None
    (command,) = ran
    assert command[2:] == ["snakemake", "--cores", "all", "--configfile", "results/look_mine/look.yaml", "--keep-going"]
    written = yaml.safe_load((tmp_path / "results/look_mine/look.yaml").read_text())
    assert written == configuration_of(Asked("vit.safetensors", str(flat), "mine", "vit_tiny_patch16_224"))
    assert capsys.readouterr().out.endswith("Page: results/look_mine/index.html\nFigures: results/look_mine/figures\n")


def test_a_run_that_fails_and_a_network_that_is_none_end_with_an_error(tmp_path, flat, monkeypatch):
    monkeypatch.chdir(tmp_path)
    known(monkeypatch)
    (tmp_path / "vit.safetensors").write_bytes(b"")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=3))
    assert "snakemake ended with status 3" in look.main(
        ["vit.safetensors", str(flat), "--model", "vit_tiny_patch16_224"]
    )
    for arguments in ([], ["", ""], ["hf-hub:owner/name", ""]):
        assert look.main(arguments).startswith("error: NETWORK, IMAGES: give both, as in make look NETWORK=hf-hub:")
    assert look.main(["nowhere", str(flat)]).startswith("error: NETWORK: nowhere is no file or folder")


@pytest.mark.parametrize("folders", [("cat", "dog"), ("", "")])
def test_a_look_at_labelled_pictures_has_a_figure_of_probes_and_one_at_others_has_none(tmp_path, monkeypatch, folders):
    known(monkeypatch)
    monkeypatch.chdir(tmp_path)
    images = pictures(tmp_path / "images", *(os.path.join(name, f"{n}.jpg") for n, name in enumerate(folders)))
    (tmp_path / "vit.safetensors").write_bytes(b"")
    asked = Asked("vit.safetensors", str(images), model="vit")
    _, study = studied(configuration_of(asked), asked)
    graph = build_graph(study, Content({"main": {"test": ""}}, {"vit": ""}))
    assert ("class_probes" in drawn(graph)) == bool(folders[0])
