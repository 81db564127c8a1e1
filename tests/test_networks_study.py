"""Several networks compared, from released files to figures and the report."""

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import save_file

from distillation_dynamics.drawing.layout import note_of
from distillation_dynamics.drawing.style import NoValue, Style
from distillation_dynamics.figures import probes
from distillation_dynamics.jobs import planning
from distillation_dynamics.jobs.build import build_graph
from distillation_dynamics.jobs.gathered import drawn
from distillation_dynamics.jobs.graph import Graph
from distillation_dynamics.jobs.hashes import Hashes
from distillation_dynamics.look import __main__ as look
from distillation_dynamics.networks.build import build
from distillation_dynamics.questions.networks import cka_column
from distillation_dynamics.spec.images import View
from distillation_dynamics.spec.network import Model
from distillation_dynamics.spec.tables import Names
from frames import frame, minus_ones
from helpers import copy_project, load, snakemake

SMALL = {"embed_dim": 24, "num_heads": 2}
VIT = "vit_tiny_patch16_224"
NETWORKS = {
    "vit": (VIT, SMALL | {"depth": 5, "num_classes": 3}, 48, "permuted"),
    "zero": (VIT, SMALL | {"depth": 1, "num_classes": 3}, 32, "untrained"),
    "dino": ("vit_small_patch14_dinov2", SMALL | {"depth": 3, "num_classes": 0}, 28, "untrained"),
}
CLASSES, IMAGES = ("a", "b", "c"), 4
METRICS = ["covariance", "entropy", "gradient", "magnitude", "rank", "spectrum"]
LABELS = {"accuracy", "saliency"}


def released(folder):
    """Files as released: that of DINOv2 with the grid of larger images, and what only its training used."""
    for seed, (name, (model, args, size, _)) in enumerate(NETWORKS.items()):
        torch.manual_seed(seed)
        size = 70 if name == "dino" else size
        network = build(Model(model, args, "timm", args["num_classes"]), View(3, size, (0.5,) * 3, (0.5,) * 3))
        state = network.state_dict()
        for key, value in state.items():
            if key.endswith("gamma"):
                value.fill_(0.3)
            if name == "zero" and key.startswith("head."):
                value.zero_()
        save_file(
            state | ({"mask_token": torch.zeros(1, 24)} if name == "dino" else {}), folder / f"{name}.safetensors"
        )


def pictures(root):
    """Smooth pictures of odd sizes: RGB, RGBA, grey and 16 bit, four of each class; and a set without classes."""
    generator = np.random.default_rng(0)

    def picture(number, rough):
        rows, columns = generator.integers(40, 80, 2)
        size = (columns, rows)
        few = generator.integers(0, 256, (rough, rough, 3), dtype=np.uint8)
        image = Image.fromarray(few).resize(size, Image.Resampling.BICUBIC)
        if number % 4 == 3:
            return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
        return image.convert(("RGB", "RGBA", "L")[number % 4])

    folders = {f"pictures/{name}": 3 + k for k, name in enumerate(CLASSES)} | {"rough": 40}
    for folder, rough in folders.items():
        (root / folder).mkdir(parents=True)
        for number in range(IMAGES):
            picture(number, rough).save(root / folder / f"{folder.replace('/', '_')}{number}.png")


def configuration(**data):
    networks = {}
    for name, (model, args, size, control) in NETWORKS.items():
        given = {"source": "checkpoint", "model": {"name": model, "args": args}, "weights": f"{name}.safetensors"}
        networks[name] = given | {"view": {"image_size": size}, "control": control}
    return {
        "name": "beside",
        "data": {"source": "folder", "test": "pictures", **data},
        "probes": {"rough": {"source": "folder", "test": "rough"}},
        "networks": networks,
        "measure": {
            "metrics": ["covariance", "entropy", "gradient", "magnitude", "rank", "spectrum"],
            "permutations": 20,
        },
        "compare": {"metrics": ["cka"]},
        "figures": {"dpi": 50},
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A copy of the project with the study, its files and its pictures."""
    folder = copy_project(tmp_path_factory.mktemp("networks"))
    released(folder)
    pictures(folder)
    (folder / "study.yaml").write_text(yaml.safe_dump(configuration(classes=len(CLASSES)), sort_keys=False))
    return folder


@pytest.fixture(scope="module")
def study(folder):
    """The folder in which the study was run, and its results."""
    done = snakemake(folder, config="study.yaml")
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    return folder, folder / "results/beside"


@pytest.mark.slow
def test_a_labelled_study_that_holds_nothing_out_has_the_accuracy_of_heads_that_fit(study):
    runs = pd.read_parquet(study[1] / "summary/runs.parquet").set_index("network")
    assert runs["validation_top1"].isna().all()
    assert list(runs.index[runs["test_top1"].notna()]) == ["vit", "zero"]
    # All logits are equal: the first class is named.
    assert runs.loc["zero", "test_top1"] == pytest.approx(100 / len(CLASSES))
    assert list(runs["test_images"]) == [12, 12, 0]


@pytest.mark.slow
def test_networks_have_no_seed_and_released_ones_no_epoch(study):
    assert minus_ones(study[1]) == []
    for path in (study[1] / "tables").glob("*.parquet"):
        table = pq.read_table(path)
        assert str(table.schema.field("seed").type) == str(table.schema.field("epoch").type) == "int64"
        assert table["seed"].null_count == len(table) > 0
        epochs = dict(zip(table["network"].to_pylist(), table["epoch"].to_pylist(), strict=True))
        assert {epoch for name, epoch in epochs.items() if name in NETWORKS} == {None}
        assert {epoch for name, epoch in epochs.items() if name not in NETWORKS} <= {0}


@pytest.mark.slow
def test_every_table_says_which_image_set(study):
    depth = pd.read_parquet(study[1] / "tables/depth.parquet")
    counts = depth.groupby("probe")["images"].agg(["min", "max"])
    assert counts.loc[["balanced", "rough"]].to_numpy().tolist() == [[12, 12], [4, 4]]
    assert set(depth["network"]) == {f"{name}{end}" for name in NETWORKS for end in ("", f"_{NETWORKS[name][3]}")}
    # Noise at every pixel fills more directions than smooth pictures do. (Of 4 tokens an image their number decides.)
    rank = depth[depth["block"] == 0].pivot(index="network", columns="probe", values="covariance_rank")
    assert (rank["rough"] > rank["balanced"])[["vit", "vit_permuted", "zero", "zero_untrained"]].all()


@pytest.mark.slow
def test_a_gradient_of_zero_is_a_value_and_one_without_a_logit_is_none(study):
    depth = pd.read_parquet(study[1] / "tables/depth.parquet").query("probe == 'balanced'")
    gradient = depth.groupby("network")["gradient_magnitude_patches"]
    assert (gradient.get_group("zero") == 0).all() and (gradient.get_group("vit").iloc[:-1] > 0).all()
    assert gradient.get_group("dino").isna().all()
    unlabelled = pd.read_parquet(study[1] / "tables/depth.parquet").query("probe == 'rough'")
    assert unlabelled["gradient_magnitude_patches"].isna().all()


@pytest.mark.slow
def test_the_report_calls_no_flat_control_a_control_and_no_single_block_a_shape(study):
    text = (study[1] / "statistics/report.md").read_text()
    assert "dino_untrained is flat over depth in" in text and "The first needs a LayerScale." in text
    assert "fewer than 3 blocks cannot be tested." in text
    shapes = text[text.index("## Is it U-shaped?") : text.index("## Networks compared")]
    assert "zero is" not in shapes and "| zero | entropy |" not in shapes
    assert "On the image set rough:" in text


@pytest.mark.slow
def test_what_was_resampled_stands_in_the_record(study):
    loaded = [path.read_text() for path in (study[0] / "results/shared/networks").glob("*/result.json")]
    assert sum("pos_embed" in text and "mask_token" in text for text in loaded) == 1


@pytest.mark.slow
def test_the_figures_are_those_that_have_something_to_show(study):
    there = {path.stem for path in (study[1] / "figures").glob("*.png")}
    assert {"probes", "networks", "accuracy", "shape", "depth_profiles", "rank"} <= there
    assert not {"saliency", "training_curves"} & there


@pytest.mark.parametrize(("classes", "there"), [({"classes": 3}, LABELS), ({}, set())])
def test_what_is_about_labels_is_drawn_where_a_head_sorts_them(folder, monkeypatch, classes, there):
    monkeypatch.chdir(folder)
    config = configuration(**classes) | {"measure": {}}
    assert set(drawn(graph_of(config))) & LABELS == there


def test_image_sets_are_drawn_where_there_are_several_and_their_metrics_were_measured(folder, monkeypatch):
    monkeypatch.chdir(folder)
    config = configuration()
    assert "probes" in drawn(graph_of(config))
    assert "probes" not in drawn(graph_of(config | {"probes": {}}))
    config["measure"] = {"metrics": [name for name in METRICS if name != "covariance"]}
    assert "probes" not in drawn(graph_of(config))


def graph_of(config) -> Graph:
    study = load(config)
    return build_graph(study, planning.content_of(study, Hashes()))


def depth_of(networks, sets, blocks=3):
    """Rows of depth.parquet with numbers that tell who they are of."""
    rows = []
    for n, network in enumerate(networks):
        for s, (probe, images) in enumerate(sets.items()):
            for block in range(blocks):
                row = {
                    "network": network,
                    "seed": None,
                    "epoch": None,
                    "probe": probe,
                    "images": images,
                    "block": block,
                }
                row |= {"block_name": f"blocks.{block}", "channels": 8, "tokens": 9, "entropy_se": 0.1}
                rows.append(row | dict.fromkeys(probes.PANELS, 1 + 100.0 * n + 10 * s + block))
    return frame(rows)


def style_of(networks, controls=True):
    own = {name: f"{name}_untrained" for name in networks} if controls else {}
    return Style("colorblind", 100, Names(tuple(networks), own, None, {}, {}))


def visible(figure):
    return [axes for axes in figure.axes if axes.get_visible()]


def test_a_panel_has_a_line_an_image_set_and_one_of_its_control():
    table = depth_of(("a", "a_untrained", "b", "b_untrained"), {"balanced": 50, "published": 9, "other": 50})
    figure = probes.draw({"depth": table}, style_of("ab"))
    panels = visible(figure)
    assert len(panels) == 2 * len(probes.PANELS) and [axes.get_title() for axes in panels[:2]] == ["a", "b"]
    drawn_lines = [list(line.get_ydata()) for line in panels[1].lines]
    assert drawn_lines == [[201, 202, 203], [301, 302, 303], [221, 222, 223], [321, 322, 323]]
    texts = panels[0].get_legend_handles_labels()[1]
    assert texts == ["balanced (50 images)", "other (50 images)"]
    assert "the network's control on the same images" in note_of(figure)
    assert "a rank of so few" not in note_of(figure)


def test_few_images_networks_without_a_value_and_missing_controls_are_said():
    table = depth_of(("a", "b"), {"balanced": 5, "other": 1}, blocks=1)
    table.loc[table["network"] == "b", "entropy"] = np.nan
    figure = probes.draw({"depth": table}, style_of("ab", controls=False))
    assert "No control was measured." in note_of(figure)
    assert "The smallest set has 9 tokens for up to 8 channels" in note_of(figure)
    assert [text.get_text() for axes in visible(figure) for text in axes.texts] == ["no value"]
    assert "other (1 image)" in visible(figure)[0].get_legend_handles_labels()[1]


def test_more_networks_than_a_page_holds_are_said():
    names = [f"n{number}" for number in range(probes.MOST + 1)]
    figure = probes.draw({"depth": depth_of(names, {"balanced": 5, "other": 5})}, style_of(names, controls=False))
    assert len(visible(figure)) == probes.MOST * len(probes.PANELS)
    assert f"the first {probes.MOST} of {probes.MOST + 1} networks" in figure.get_suptitle()


def test_a_single_image_set_is_nothing_to_compare():
    with pytest.raises(NoValue, match="a single image set"):
        probes.draw({"depth": depth_of("a", {"balanced": 5, "published": 5})}, style_of("a"))


def test_one_command_finds_the_control_of_a_folder_and_plans_the_study(folder, monkeypatch, capfd):
    monkeypatch.chdir(folder)
    model, args, size, _ = NETWORKS["dino"]
    given = folder / "released"
    given.mkdir()
    (given / "model.safetensors").symlink_to(folder / "dino.safetensors")
    cfg = {"input_size": [3, size, size], "mean": [0.4] * 3, "std": [0.2] * 3, "num_classes": 0}
    said = {"architecture": model, "num_classes": 0, "model_args": args, "pretrained_cfg": cfg}
    (given / "config.json").write_text(json.dumps(said))
    assert look.main(["local-dir:released", "pictures", "--name", "mine", "--dry-run"]) is None
    written = yaml.safe_load((folder / "results/look_mine/look.yaml").read_text())
    assert written["networks"]["mine"]["control"] == "unit_layer_scale" and written["data"]["classes"] == 3
    told = capfd.readouterr()
    assert "measure" in told.out + told.err and "U-shaped" not in told.out


@pytest.mark.parametrize(
    ("tokens", "images", "column"),
    [
        ([1, 1, 1, 1], [1, 1, 1, 1], "cka_tokens"),
        ([1, 0, 1, 1], [1, 0, 1, 1], "cka_tokens"),
        ([0, 1, 0, 1], [1, 1, 1, 1], "cka_images"),
        ([1, 0, 0, 1], [1, 1, 1, 1], "cka_images"),
        ([0, 1, 0, 1], [0, 0, 0, 0], "cka_images"),
    ],
)
def test_cka_of_tokens_is_read_where_it_tells_of_all_blocks(tokens, images, column):
    rows = pd.DataFrame({"block": [0, 0, 1, 1], "other_block": [0, 1, 0, 1]})
    for name, known in (("cka_tokens", tokens), ("cka_images", images)):
        rows[name] = np.where(known, 0.5, np.nan)
    assert cka_column({("a", "b"): rows}) == column
