"""The stage `measure`: small networks on a written data set, at all checkpoints, by metrics alone and together."""

import json
import re
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.numpy import load_file

import zoo
from distillation_dynamics import extensions, metrics
from distillation_dynamics.data.image_set import MeasuredImages
from distillation_dynamics.errors import StudyError
from distillation_dynamics.jobs.costs import stored_bytes
from distillation_dynamics.metrics import tabulated
from distillation_dynamics.metrics.pairs.activations import Activations
from distillation_dynamics.metrics.pairs.agreement import compare
from distillation_dynamics.networks import kept
from distillation_dynamics.networks.blocks import block_names, block_shapes, features
from distillation_dynamics.networks.build import build
from distillation_dynamics.networks.observer import Observer
from distillation_dynamics.networks.weights import load_weights, save_weights
from distillation_dynamics.outputs import ALL, Outputs, Request
from distillation_dynamics.progress import Progress
from distillation_dynamics.spec.base import From, from_json, to_json
from distillation_dynamics.spec.images import Images, ImageSet, View
from distillation_dynamics.spec.measure import Batches, MeasureJob
from distillation_dynamics.spec.network import Checkpoints, Model
from distillation_dynamics.stages import measure as stage
from pictures import make_folder, split_into
from streams import layer_entropy

FAMILIES = (
    *("vit", "distilled", "mean_pooled", "registers", "mae", "cait", "swin", "resnet"),
    # Of these some columns stay empty.
    *("regnet", "hiera", "twins", "davit"),
)
NAMES = {
    "swin": ["layers.0", "layers.1"],
    "resnet": ["layer1", "layer2", "layer3", "layer4"],
    "vit": ["blocks.0", "blocks.1", "blocks.2"],
}
VIEW = View(3, 32, (0.0,) * 3, (1.0,) * 3)
CLASSES, IMAGES = 5, 15
KNOWN = extensions.metrics()
PYRAMIDS = {"swin", "resnet", "regnet", "hiera", "twins", "davit"}
ATTENTION = {"attention_entropy", "attention_distance", "attention_entropy_uniform"}
PATCHES = {"gradient_magnitude", "gradient_magnitude_patches"}
LENS = {"lens_top1", "lens_agreement", "lens_kl"}
# Few, so that a test is quick: what is compared is the same either way.
OPTIONS = {"permutations": 20, "methods": ["gradient"], "dump_images": 10, "dump_tokens": 3, "dtype": "float32"}


class Study:
    """A folder with a data set of 20 pictures of five classes, and networks that are measured on it."""

    def __init__(self, folder):
        self.folder = folder
        make_folder(folder / "pictures", CLASSES, 4)
        self.images = split_into(folder / "data", folder / "pictures", classes=CLASSES, view=VIEW)
        make_folder(folder / "others", 2, 3, seed=5)
        self.others = split_into(folder / "others_data", folder / "others", classes=2, view=VIEW)
        split_into(folder / "unlabelled", folder / "pictures", view=VIEW)
        self.unlabelled = Images("key", VIEW, False, folder=str(folder / "unlabelled"), test=str(folder / "pictures"))

    def image_sets(self, count=IMAGES):
        """The main image set, the published choice, and another."""
        return (
            ImageSet("balanced", self.images, "test", count, CLASSES),
            ImageSet("published", self.images, "test", 4, CLASSES, first=True),
            ImageSet("others", self.others, "test", None, 2),
        )

    def network(self, family, classes=CLASSES, seeds=(0,), names=("trained",), **changes):
        """Networks of one architecture, untrained, one from each seed: the checkpoints of one."""
        deeper = {"depth": 3} if family in ("vit", "cait") else {}
        model, paths = zoo.model(family, classes, **deeper | changes), []
        for seed in seeds:
            network = zoo.network(family, classes=classes, noise=0.05, seed=seed, **deeper | changes)
            said = "_".join(map(str, changes.values()))
            paths.append(self.folder / "weights" / f"{family}{classes}{said}{seed}.safetensors")
            save_weights(paths[-1], network)
        shapes = tuple(tuple(shape) for shape in block_shapes(network, torch.zeros(1, 3, 32, 32)))
        epochs = tuple(range(len(seeds)))
        return Checkpoints(model, names, 0, epochs, names, shapes, From("weights", files=tuple(map(str, paths))))

    def jobs(self, out, network, chosen=tuple(KNOWN), image_sets=None, reference=None, batches=Batches()):  # noqa: B008
        """The jobs that measure a network by the metrics `chosen`; `reference` is the folder of another's."""
        image_sets, listed = self.image_sets() if image_sets is None else image_sets, []
        for name in chosen:
            metric, read = KNOWN[name], None
            if metric.reference and reference:
                read = From("reference", files=(str(reference / name / "trained" / metric.reference),))
            options = {option: value for option, value in OPTIONS.items() if option in metric.options}
            own = image_sets[:1] if metric.main_only else image_sets
            job = MeasureJob(name, network, own, options, read, batches, out=str(out / name))
            listed.append(from_json(MeasureJob, to_json(job)))
        return listed


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return Study(tmp_path_factory.mktemp("measure"))


@pytest.fixture(scope="module")
def vit(study):
    """A small ViT at two checkpoints, measured by everything: its facts and the folder."""
    out, network = study.folder / "vit", study.network("vit", seeds=(0, 1), names=("trained", "control"))
    stage.main(study.jobs(out, network))
    return network, out


def files_in(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def depth(out, chosen=tuple(KNOWN), probe="balanced", name="trained"):
    """The columns of blocks of several metrics side by side, of one network on one image set."""
    tables = [pd.read_parquet(path) for metric in chosen if (path := out / metric / "depth.parquet").is_file()]
    joined = pd.concat(tables, axis=1)
    joined = joined.loc[:, ~joined.columns.duplicated()]
    return joined[(joined["probe"] == probe) & (joined["network"] == name)].reset_index(drop=True)


def empty(table):
    """Columns that have no value at all."""
    return {column.removesuffix("_se") for column in table if table[column].isna().all()}


def whole(network, images, checkpoint=0):
    """Features of all blocks for images, in one go."""
    built = build(network.model, VIEW)
    load_weights(network.weights.files[checkpoint], built)
    with torch.no_grad():
        return [block.numpy() for block in features(built.eval(), images)]


def pixels(image_set):
    return next(MeasuredImages(image_set, 0).batches(100))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_metric_measures_every_family(study, family, tmp_path):
    network = study.network(family)
    stage.main(study.jobs(tmp_path, network, image_sets=study.image_sets()[:1]))
    for name, metric in KNOWN.items():
        documented = tabulated.documentation(import_module(f"distillation_dynamics.metrics.{name}"))
        assert set(documented) == set(metric.tables)
        for table, columns in documented.items():
            assert pq.read_schema(tmp_path / name / f"{table}.parquet").names == list(columns)
        kept = {path.name for path in (tmp_path / name).glob("trained/*")}
        assert kept == set(metric.files_of(len(network.shapes)))
    table = depth(tmp_path)
    assert list(table["block_name"]) == NAMES.get(family, block_names(build(network.model, VIEW)))
    expected = set()
    if family in PYRAMIDS:
        # Blocks of other grids and channels than the first and the last.
        expected = LENS | {"cosine_to_first"}
    if family in PYRAMIDS - {"swin"}:
        assert table[[*ATTENTION]].isna().all(axis=None)
        # The last stage of 32 pixels is one token, which has no other to be like.
        expected = expected | ATTENTION | {"token_cosine"}
    if family in ("resnet", "regnet"):
        # After a ReLU half of the values are 0, which have no density.
        expected = expected | {"entropy_nearest", "entropy_nearest_standardised"}
    if family not in ("vit", "distilled", "mae", "registers"):
        expected = expected | {"gradient_magnitude_class"}
    if family != "registers":
        expected = expected | {"gradient_magnitude_registers"}
    if family == "hiera":
        expected = expected | PATCHES
    missing = {column.removesuffix("_se") for column in table if table[column].isna().any()}
    assert missing == expected
    widths = pd.read_parquet(tmp_path / "spectrum/spectrum.parquet").groupby("block").size().tolist()
    assert widths == table["channels"].tolist() == [channels for channels, _, _ in network.shapes]
    if family != "hiera":
        last = table["gradient_magnitude_patches"].iloc[-1]
        assert (last == 0) == (family in ("vit", "mae", "distilled", "registers"))


@pytest.mark.parametrize("name", KNOWN)
def test_a_metric_alone_has_the_numbers_that_it_has_among_all(study, vit, name, tmp_path):
    network, out = vit
    stage.main(study.jobs(tmp_path, network, [name]))
    ours, theirs = files_in(tmp_path / name), files_in(out / name)
    assert ours.keys() == theirs.keys() and ours
    assert [file for file in ours if ours[file] != theirs[file]] == []


def test_numbers_of_every_image_set_are_those_of_the_functions_on_all_of_its_images(study, vit):
    network, out = vit
    limits = json.loads((out / "entropy/trained/range.json").read_text())
    for image_set, count in zip(study.image_sets(), (IMAGES, 4, 6), strict=True):
        batch = pixels(image_set)
        for number, name in enumerate(network.names):
            blocks, rows = whole(network, batch.images, number), depth(out, probe=image_set.name, name=name)
            # Features in batches differ from those in one go by rounding, which may move a value into the next bin.
            np.testing.assert_allclose(rows["entropy"], layer_entropy(blocks), atol=2e-3)
            np.testing.assert_allclose(
                rows["intensity"], np.mean(metrics.measure("spectrum", blocks)["intensity"], axis=1), rtol=1e-5
            )
            fixed = layer_entropy(blocks, limits=(limits["low"], limits["high"]))
            np.testing.assert_allclose(rows["entropy_fixed_range"], fixed, atol=2e-3)
            assert rows["images"].tolist() == [count] * 3 == [len(batch.labels)] * 3


def test_image_sets_are_spread_over_classes_or_the_first_in_file_order_or_all(study, vit):
    _, out = vit
    table = pd.read_parquet(out / "magnitude/scalars.parquet").query("network == 'trained' and block == 0")
    images = {probe: rows for probe, rows in table.groupby("probe")}
    assert np.bincount(images["balanced"]["label"]).tolist() == [3] * CLASSES
    assert images["published"]["image"].tolist() == [0, 1, 2, 3] and (images["published"]["label"] == 0).all()
    assert images["others"]["label"].tolist() == [0] * 3 + [1] * 3


def test_files_are_those_of_the_main_image_set_and_tables_of_maps_too(study, vit):
    network, out = vit
    batch = pixels(study.image_sets()[0])
    for number, name in enumerate(network.folders):
        rows, blocks = Activations(out / f"rows/{name}/rows.safetensors"), whole(network, batch.images, number)
        sums = load_file(out / f"rank/{name}/grams.safetensors")
        meta = json.loads((out / f"features/{name}/meta.json").read_text())
        assert rows.image_count == IMAGES and rows.labels.tolist() == batch.labels.tolist()
        chosen = np.isin(batch.positions, meta["images"])
        assert chosen.sum() == 10 and np.bincount(meta["labels"]).tolist() == [2] * CLASSES
        for index, block in enumerate(blocks):
            np.testing.assert_allclose(rows.pooled(index), block.mean(axis=(2, 3)), rtol=1e-4, atol=1e-5)
            tokens = block.transpose(0, 2, 3, 1).reshape(-1, block.shape[1]).astype(np.float64)
            for gram in (rows.gram(index), sums[f"gram{index:02d}"]):
                assert gram.dtype == np.float64
                np.testing.assert_allclose(gram, tokens.T @ tokens, rtol=1e-4, atol=1e-4)
            dumped = np.load(out / f"features/{name}/block{index:02d}.npy")
            expected = block[chosen].reshape(10, block.shape[1], -1)[:, :, meta["tokens"][index]]
            np.testing.assert_allclose(dumped, expected, rtol=1e-4, atol=1e-5)
    maps = pd.read_parquet(out / "saliency/saliency.parquet")
    assert set(maps["network"]) == set(network.names) and len(maps) == 2 * IMAGES * 2


def test_blocks_have_the_mean_over_images_and_its_standard_error(vit):
    _, out = vit
    scalars = pd.read_parquet(out / "entropy/scalars.parquet").query("probe == 'balanced' and network == 'trained'")
    values, table = scalars.groupby("block")["entropy_standardised"], depth(out)
    np.testing.assert_allclose(table["entropy_standardised"], values.mean(), rtol=1e-6)
    np.testing.assert_allclose(table["entropy_standardised_se"], values.sem(), rtol=1e-4)


def test_the_range_of_the_reference_network_is_everybodys_and_its_controls(study, vit, tmp_path):
    _, out = vit
    limits = json.loads((out / "entropy/trained/range.json").read_text())
    first = depth(out, ["entropy"])
    assert (first["range_low"] == limits["low"]).all() and (first["range_high"] == limits["high"]).all()
    assert (first["fixed_low"] == limits["low"]).all() and (first["fixed_high"] == limits["high"]).all()
    np.testing.assert_array_equal(first["entropy_fixed_range"], first["entropy"])
    assert (first["clipped_share"] == 0).all()
    other = study.network("cait")
    stage.main(study.jobs(tmp_path, other, ["entropy"], reference=out))
    batch = pixels(study.image_sets()[0])
    control = study.network("vit", seeds=(1,))
    for table, network in ((depth(out, ["entropy"], name="control"), control), (depth(tmp_path, ["entropy"]), other)):
        blocks = whole(network, batch.images)
        assert (table["range_low"] != limits["low"]).all() and not table["entropy"].equals(table["entropy_fixed_range"])
        fixed = layer_entropy(blocks, limits=(limits["low"], limits["high"]))
        np.testing.assert_allclose(table["entropy_fixed_range"], fixed, atol=2e-3)
        outside = [((block < limits["low"]) | (block > limits["high"])).mean() for block in blocks]
        np.testing.assert_allclose(table["clipped_share"], outside, atol=1e-3)


def test_untrained_weights_that_several_networks_share_are_measured_once(study, vit, tmp_path, monkeypatch):
    _, out = vit
    trained = study.network("vit", seeds=(0, 1), names=("soft", "soft"))
    own = study.network("vit", seeds=(0, 2), names=("hard", "hard"))
    passes = []
    monkeypatch.setattr(stage, "_observer", lambda *given, of=stage._observer: passes.append(given[1]) or of(*given))
    session = stage.Session()
    for folder, network in (("soft", trained), ("hard", own)):
        stage.main(study.jobs(tmp_path / folder, network, reference=out), session=session)
        stage.main(study.jobs(tmp_path / f"{folder}_alone", network, reference=out))
        assert files_in(tmp_path / folder) == files_in(tmp_path / f"{folder}_alone")
    assert [Path(path).stem[-1] for path in passes] == [*"01", *"01", "2", *"02"], "hard's untrained weights are soft's"
    assert set(pd.read_parquet(tmp_path / "hard/entropy/scalars.parquet")["network"]) == {"hard"}
    # Other images, settings or weights are measured.
    stage.main(study.jobs(tmp_path / "fewer", own, ["magnitude"], study.image_sets(10)[:1]), session=session)
    assert len(passes) == 9


class Told(Progress):
    """Notes what it is told."""

    def __init__(self):
        self.ended, self.failed = {}, {}

    def end(self, job, seconds):
        self.ended[job] = seconds

    def fail(self, job, error):
        self.failed[job] = str(error)


THREE = ["magnitude", "entropy", "rows"]


@pytest.mark.parametrize("place", ["__init__", "update", "compute", "save", "next_pass"])
def test_a_metric_that_fails_ends_alone_and_the_others_have_their_bits(study, vit, tmp_path, monkeypatch, place):
    network, out = vit
    module = import_module("distillation_dynamics.metrics.entropy")

    def fail(self, *arguments):
        raise StudyError("of mine")

    monkeypatch.setattr(module.Metric, place, fail)
    told = Told()
    stage.main(study.jobs(tmp_path, network, THREE), progress=told)
    assert told.failed == {1: "of mine"} and sorted(told.ended) == [0, 2] and min(told.ended.values()) > 0
    assert not (tmp_path / "entropy/depth.parquet").exists()
    for name in ("magnitude", "rows"):
        assert files_in(tmp_path / name) == files_in(out / name)
    with pytest.raises(StudyError, match=r"^of mine$"):
        stage.main(study.jobs(tmp_path / "again", network, ["entropy"]))


def test_a_metric_that_fills_other_columns_than_it_documents_ends_alone(study, vit, tmp_path, monkeypatch):
    network, _ = vit
    # A copy, since a key that is deleted comes back in another place.
    module = import_module("distillation_dynamics.metrics.magnitude")
    columns = {name: column for name, column in module.IMAGE_COLUMNS.items() if name != "rms"}
    monkeypatch.setattr(module, "IMAGE_COLUMNS", columns)
    told = Told()
    stage.main(study.jobs(tmp_path, network, THREE), progress=told)
    assert re.search(
        r"metrics/magnitude\.py, line \d+: of_block returned rms, which its file does not document$", told.failed[0]
    )


def test_a_fault_of_the_code_is_not_said_to_be_one_of_the_weights(study, vit, tmp_path, monkeypatch):
    def fail(self, outputs):
        raise ValueError("of mine")

    monkeypatch.setattr(import_module("distillation_dynamics.metrics.magnitude").Metric, "update", fail)
    with pytest.raises(StudyError, match=r"metrics/magnitude\.py: ValueError: of mine$"):
        stage.main(study.jobs(tmp_path, vit[0], THREE))


def broken(study):
    """A ViT whose second block gives what is not finite; its weights are."""
    network = study.network("vit", names=("broken",))
    built = build(network.model, VIEW)
    with torch.no_grad():
        # The product is not.
        built.blocks[1].mlp.fc1.bias[:] = built.blocks[1].mlp.fc2.weight[0] = 1e30
    path = study.folder / "broken.safetensors"
    save_weights(path, built)
    return replace(network, weights=From("broken", files=(str(path),)))


@pytest.mark.parametrize("chosen", [("rows",), tuple(KNOWN)])
def test_a_network_that_computes_no_numbers_is_named_by_its_file_and_leaves_no_table(study, tmp_path, chosen):
    told = Told()
    stage.main(study.jobs(tmp_path, broken(study), chosen), progress=told)
    assert told.ended == {} and len(told.failed) == len(chosen)
    # Of all metrics attention comes first: the maps that it is given by what block 1 gave.
    what = "logits, image 0" if chosen == ("rows",) else "attention: block 2, image 0"
    for message in told.failed.values():
        assert re.fullmatch(rf"{study.folder}/broken\.safetensors: {what} holds NaN or infinity; train .*", message)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_each_checkpoint_is_measured_with_its_own_weights(study, tmp_path):
    """TinyViT keeps what it computed from its weights as long as it is evaluated."""
    names, family = ("trained", "control"), "tiny_vit"
    together = study.network(family, seeds=(0, 1), names=names)
    chosen = ["magnitude", "rows", "attention"]
    stage.main(study.jobs(tmp_path / "both", together, chosen))
    for seed, name in enumerate(names):
        stage.main(study.jobs(tmp_path / name, study.network(family, seeds=(seed,), names=(name,)), chosen))
        for metric in chosen:
            if metric == "rows":
                continue
            alone, both = (
                pd.read_parquet(tmp_path / folder / metric / "depth.parquet").query(f"network == '{name}'")
                for folder in (name, "both")
            )
            columns = [column for column in alone if column != "epoch"]
            pd.testing.assert_frame_equal(alone[columns], both[columns].reset_index(drop=True))
        assert (tmp_path / name / f"rows/{name}").exists()
        assert files_in(tmp_path / name / f"rows/{name}") == files_in(tmp_path / f"both/rows/{name}")
    kept = [files_in(tmp_path / f"both/rows/{name}")["rows.safetensors"] for name in names]
    assert kept[0] != kept[1]


def test_without_a_head_all_is_measured_but_what_needs_one(study, tmp_path):
    network = study.network("vit", classes=0)
    stage.main(study.jobs(tmp_path, network))
    table = depth(tmp_path)
    gradients = {column for column in table if column.startswith("gradient_") and not column.endswith("_se")}
    assert empty(table) == LENS | gradients
    rows = Activations(tmp_path / "rows/trained/rows.safetensors")
    assert rows.logits is None and set(compare(rows, rows)) == {"agreement", "kl", "top1", "other_top1"}
    assert np.isnan([*compare(rows, rows).values()]).all()
    maps = pd.read_parquet(tmp_path / "saliency/saliency.parquet").groupby("method")["map"]
    assert np.isnan(np.concatenate([*maps.get_group("gradient")])).all()
    assert np.isfinite(np.concatenate([*maps.get_group("image")])).all()


def test_without_labels_all_is_measured_but_what_needs_them(study, vit, tmp_path):
    network, out = vit
    image_sets = (ImageSet("balanced", study.unlabelled, "test", None),)
    stage.main(study.jobs(tmp_path, network, image_sets=image_sets))
    table = depth(tmp_path)
    before = empty(depth(out))
    gradients = {column for column in table if column.startswith("gradient_") and not column.endswith("_se")}
    lost = empty(table) - before - gradients
    assert lost == {"lens_top1", "linear_probe_top1", "linear_probe_chance", "nearest_probe_top1", "nc1"}
    assert gradients <= empty(table)
    scalars = pd.read_parquet(tmp_path / "magnitude/scalars.parquet")
    assert scalars["label"].isna().all() and table["images"].tolist() == [20] * 3
    assert Activations(tmp_path / "rows/trained/rows.safetensors").labels.tolist() == [-1] * 20


def test_a_head_of_other_classes_than_the_labels_has_no_logit_of_a_label(study, tmp_path):
    network = study.network("vit", classes=7)
    stage.main(study.jobs(tmp_path, network))
    for image_set in ("balanced", "published", "others"):
        table = depth(tmp_path, probe=image_set)
        gradients = {column for column in table if column.startswith("gradient_") and not column.endswith("_se")}
        assert gradients | {"lens_top1"} <= empty(table)
        assert table[["lens_agreement", "lens_kl"]].notna().all(axis=None)
    rows = Activations(tmp_path / "rows/trained/rows.safetensors")
    found = compare(rows, rows)
    assert np.isnan([found["top1"], found["other_top1"]]).all() and (found["agreement"], found["kl"]) == (100, 0)
    maps = pd.read_parquet(tmp_path / "saliency/saliency.parquet").query("method != 'image'")
    assert np.isnan(np.concatenate([*maps["map"]])).all() and (maps["label"] >= 0).all()


def test_a_head_sorts_an_image_set_of_as_many_classes_and_no_other(study, vit):
    _, out = vit
    assert depth(out, probe="balanced")["lens_top1"].notna().all()
    assert depth(out, probe="others")[["lens_top1", "gradient_magnitude"]].isna().all(axis=None)
    assert depth(out, probe="others")["lens_agreement"].notna().all()


def test_one_image_one_block_and_one_class_are_measured(study, tmp_path):
    one_class = split_into(tmp_path / "data", _one_class(tmp_path), classes=1, view=VIEW)
    settings = {
        "image": (study.network("vit"), (ImageSet("balanced", study.images, "test", 1, CLASSES),), 1),
        "block": (study.network("vit", depth=1), study.image_sets()[:1], IMAGES),
        "class": (study.network("vit", classes=1), (ImageSet("balanced", one_class, "test", None, 1),), 6),
    }
    sure = [
        "entropy",
        "intensity",
        "rms",
        "sample_rank_95",
        "token_norm_mean",
        "attention_entropy",
        "gradient_magnitude",
    ]
    for name, (network, image_sets, images) in settings.items():
        stage.main(study.jobs(tmp_path / name, network, image_sets=image_sets))
        table = depth(tmp_path / name)
        assert len(table) == len(network.shapes) and table["images"].tolist() == [images] * len(table)
        assert table[sure].notna().all(axis=None), name
        if name == "image":
            assert table[[f"{column}_se" for column in sure]].isna().all(axis=None)
        if name == "class":
            assert (table["lens_top1"] == 100).all()


def _one_class(folder):
    make_folder(folder / "one", 1, 6)
    return folder / "one"


@pytest.mark.parametrize("family", ["vit", "swin", "resnet"])
def test_batches_of_any_size_measure_the_same_but_for_rounding(study, tmp_path, monkeypatch, family):
    network = study.network(family)
    stage.main(study.jobs(tmp_path / "whole", network))
    for size in (1, 4):
        parts = tmp_path / str(size)
        # Others at a time inside of a batch, too.
        stage.main(study.jobs(parts, network, batches=Batches(size, max(1, size - 1), max(1, size - 2))))
        for path in (tmp_path / "whole").rglob("*.parquet"):
            name = path.relative_to(tmp_path / "whole")
            ours, theirs = pd.read_parquet(path), pd.read_parquet(parts / name)
            maps = [np.concatenate([*table.pop("map")]) if "map" in table else np.zeros(1) for table in (ours, theirs)]
            np.testing.assert_allclose(*maps, rtol=1e-3, atol=1e-5)
            for column in ours:
                if ours[column].dtype.kind != "f":
                    assert ours[column].equals(theirs[column])
                    continue
                # A value on the edge of a bin goes to one side or the other.
                least = 0.02 if "entropy" in column else 1e-4
                said = f"{name} {column}"
                np.testing.assert_allclose(ours[column], theirs[column], rtol=2e-3, atol=least, err_msg=said)


def test_memory_is_that_of_one_batch_not_of_all_images(study, tmp_path, monkeypatch):
    alive = []

    class Counting(Observer):
        def __call__(self, images, request, labels=None, take=None):
            said = super().__call__(images, request, labels, take)
            alive.append(sum(block.numel() for block in said.features.values()))
            return said

    network = study.network("vit")
    monkeypatch.setattr(stage, "Observer", Counting)
    stage.main(study.jobs(tmp_path, network, ["magnitude"], study.image_sets(5)[:1], batches=Batches(2)))
    assert alive == [2 * 3 * 12 * 16] * 2 + [3 * 12 * 16]


def test_what_is_stored_is_about_what_the_plan_says(study, vit):
    network, out = vit
    for job in study.jobs(out, network, ["features", "rows", "rank"]):
        stored = sum(path.stat().st_size for name in network.folders for path in Path(job.out, name).iterdir())
        said = stored_bytes(job)
        assert 0.3 * said < stored < 3 * said + 20_000, job.metric
    assert stored_bytes(study.jobs(out, network, ["magnitude"])[0]) is None


def test_fifty_thousand_images_of_the_published_teacher_take_a_gigabyte(study):
    shapes = ((384, 14, 14),) * 24
    network = Checkpoints(
        Model("cait_s24_224", {}, "timm", 1000), ("a",), -1, (-1,), ("a",), shapes, From("weights", files=())
    )
    image_set = (ImageSet("balanced", study.images, "validation", 50_000, 1000),)

    def size(metric, **options):
        return stored_bytes(MeasureJob(metric, network, image_set, options, None, out=""))

    kept = size("features", dump_images=1000, dump_tokens=16) + size("rank")
    assert 0.3e9 < kept < 1e9
    # All tokens in float32 would be this much.
    assert size("features", dump_images=50_000, dtype="float32") > 361e9


@pytest.mark.parametrize("most, passed", [(0, 4), (2**30, 2), (10 * 3 * 12 * 16 * 4, 3)])
def test_what_fits_is_kept_for_the_second_pass_and_has_the_same_bits(study, vit, tmp_path, monkeypatch, most, passed):
    """15 images in batches of 10 and 5: of both, none, or the first; entropy passes twice, magnitude once."""
    network, batches = study.network("vit"), []

    class Counting(Observer):
        def __call__(self, images, request, labels=None, take=None):
            batches.append(len(images))
            return super().__call__(images, request, labels, take)

    def measured(folder, most):
        monkeypatch.setattr(stage, "Kept", lambda later: kept.Kept(later, most))
        stage.main(
            study.jobs(folder, network, ["entropy", "magnitude", "rank"], study.image_sets()[:1], None, Batches(10))
        )
        return files_in(folder)

    monkeypatch.setattr(stage, "Observer", Counting)
    found = measured(tmp_path / "one", most)
    assert len(batches) == passed and found == measured(tmp_path / "none", 0)


def test_attention_or_gradients_of_a_second_pass_are_not_kept():
    outputs = Outputs(features={0: torch.zeros(2, 3, 4, 4)})
    for later in (Request(), Request(features=ALL, attention=ALL), Request(gradients=ALL), Request(network=True)):
        of = kept.Kept(later)
        of.add(outputs)
        assert of.outputs == []
    of = kept.Kept(Request(features=ALL, prefix=ALL), most=600)
    for _ in range(3):
        of.add(outputs)
    assert len(of.outputs) == 1, "384 bytes each"
