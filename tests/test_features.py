"""The features stage: streams, dumps, sums and tables agree with the functions on the whole; every family of models."""

import json
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
import torch
from distillation_dynamics.spec.features import FeaturesJob, Probe
from distillation_dynamics.spec.measured import Checkpoints
from safetensors.numpy import load_file

from distillation_dynamics import extensions, features, metrics, models
from distillation_dynamics.data import Batch
from distillation_dynamics.errors import StudyError
from distillation_dynamics.jobs.costs import stored_bytes
from distillation_dynamics.metrics.accumulator import Settings
from distillation_dynamics.spec.base import From
from distillation_dynamics.spec.images import View
from distillation_dynamics.spec.network import Model
from helpers import images_of, tiny_study

FAMILIES = {
    "vit": ("vit_tiny_patch16_224", {"patch_size": 8, "embed_dim": 12, "depth": 3, "num_heads": 2}),
    "deit_distilled": (
        "deit_tiny_distilled_patch16_224",
        {"patch_size": 8, "embed_dim": 12, "depth": 2, "num_heads": 2},
    ),
    "vit_mean_pooled": (
        "vit_tiny_patch16_224",
        {"patch_size": 8, "embed_dim": 12, "depth": 2, "num_heads": 2, "global_pool": "avg", "class_token": False},
    ),
    "vit_mae": ("vit_base_patch16_224.mae", {"patch_size": 8, "embed_dim": 12, "depth": 2, "num_heads": 2}),
    "cait": ("cait_xxs24_224", {"patch_size": 8, "embed_dim": 16, "depth": 3, "num_heads": 2}),
    "swin": (
        "swin_tiny_patch4_window7_224",
        {"patch_size": 2, "embed_dim": 8, "depths": (1, 2, 1), "num_heads": (1, 2, 4), "window_size": 4},
    ),
    "resnet": ("resnet10t", {"stem_width": 8, "channels": (8, 12, 16, 24)}),
    # Of these some columns stay empty.
    "regnet": ("regnetx_002", {}),
    "hiera": ("hiera_tiny_224", {"embed_dim": 8, "num_heads": 1, "stages": (1, 1, 1, 1)}),
    "twins": (
        "twins_svt_small",
        {"embed_dims": (8, 12, 16, 24), "num_heads": (1, 2, 2, 4), "depths": (1, 1, 2, 1), "wss": (2,) * 4},
    ),
    "davit": ("davit_tiny", {"embed_dims": (8, 8, 16, 16), "num_heads": (1, 1, 2, 2), "depths": (1, 1, 1, 1)}),
}
ATTENTION = {"attention_entropy", "attention_distance"}
GRADIENTS = {"gradient_magnitude", "gradient_magnitude_patches", "gradient_magnitude_class"}
NAMES = {
    "swin": ["layers.0", "layers.1", "layers.2"],
    "resnet": ["layer1", "layer2", "layer3", "layer4"],
    "vit": ["blocks.0", "blocks.1", "blocks.2"],
}
VIEW = View(5, 3, 32, (0, 0, 0), (1, 1, 1))


class RandomImages:
    """Stands in for `features.ProbeImages`: nine random images of five classes, the same in every pass."""

    positions = np.arange(9)
    labels = np.arange(9) % 5

    def batches(self, size):
        pixels = torch.randn(9, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        for first in range(0, 9, size):
            part = slice(first, first + size)
            yield Batch(self.positions[part], pixels[part], torch.from_numpy(self.labels[part]))


def measured(family, size):
    torch.manual_seed(0)
    network = models.build(Model(*FAMILIES[family], "timm"), VIEW).eval()
    modules = {name: import_module(f"distillation_dynamics.metrics.{name}") for name in extensions.metrics()}
    observer = features.Observer(network, torch.device("cpu"), {module.NEEDS for module in modules.values()})
    images = RandomImages()
    accumulators = {module: module.Metric(Settings()) for module in modules.values()}
    results = features.measure(observer, images, accumulators, None, size)
    names = models.block_names(network)
    shapes = models.block_shapes(network, torch.zeros(1, 3, 32, 32))
    key = {"model": family, "seed": 0, "epoch": 0, "probe": "balanced"}
    rows = features.rows_of(results, key, images, names, shapes)
    return network, {table: pd.DataFrame(columns) for table, columns in rows.items()}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_metric_measures_every_family(family):
    network, tables = measured(family, 4)
    depth = tables["depth"]
    names = models.block_names(network)
    assert list(depth["block_name"]) == NAMES.get(family, names) == names
    missing = {column.removesuffix("_se") for column in depth if depth[column].isna().any()} - {"cosine_to_first"}
    expected = set()
    if family not in ("vit", "deit_distilled", "vit_mae"):
        expected |= {"gradient_magnitude_class"}
    if family in ("resnet", "regnet", "hiera", "twins", "davit"):
        expected |= ATTENTION
        assert depth[[*ATTENTION]].isna().all(axis=None)
        # The last stage of 32 pixels is one token, which has no other to be like.
        expected |= {"token_cosine"}
    if family == "hiera":
        expected |= GRADIENTS
    assert missing == expected
    widths = tables["spectrum"].groupby("block").size().tolist()
    assert widths == depth["channels"].tolist()
    last = depth["gradient_magnitude_patches"].iloc[-1]
    # The head of Hiera is zero before any training.
    assert (last == 0) == (family in ("vit", "vit_mae", "deit_distilled", "hiera"))


@pytest.mark.parametrize("family", ["vit", "swin"])
def test_batches_of_any_size_measure_the_same(family):
    (_, ones), (_, whole) = measured(family, 2), measured(family, 9)
    for table in ones:
        pd.testing.assert_frame_equal(ones[table], whole[table], rtol=1e-4, atol=1e-5)


def test_per_block_values_are_means_over_images_with_their_standard_error():
    _, tables = measured("vit", 9)
    scalars = tables["scalars"].groupby("block")["entropy_standardised"]
    depth = tables["depth"]
    np.testing.assert_allclose(depth["entropy_standardised"], scalars.mean(), rtol=1e-6)
    np.testing.assert_allclose(depth["entropy_standardised_se"], scalars.sem(), rtol=1e-4)


def job_of(tiny, folder, model, name, seed, epoch, fixed_range=None):
    """The job that measures the weights `folder/name.safetensors` into `folder/name`."""
    weights = From("weights", files=(str(folder / f"{name}.safetensors"),))
    network = Checkpoints(model, (name,), seed, (epoch,), weights)
    fixed = None if fixed_range is None else From("range", files=(str(fixed_range),))
    images = images_of(tiny, folder / "data")
    return FeaturesJob(images, network, ("kept",), tiny.features, fixed, out=str(folder / name))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The stage on the teacher and a student of a tiny study: (folder, study, settings)."""
    folder = tmp_path_factory.mktemp("features")
    tiny = tiny_study(
        folder,
        **{"features.images": 17, "features.dump_images": 10, "features.dump_tokens": 3, "features.dtype": "float32"},
    )
    for number, (name, model) in enumerate((("teacher", tiny.teacher.model), ("student", tiny.student.model))):
        torch.manual_seed(number)
        models.save_weights(folder / f"{name}.safetensors", models.build(model, tiny.data.view))
        fixed_range = folder / "teacher/range.json" if number else None
        features.main(job_of(tiny, folder, model, name, -1, 3, fixed_range))
    return folder, tiny


def whole(folder, tiny, owner, images):
    """Features of all blocks of the given images, in one go."""
    model = tiny.teacher.model if owner == "teacher" else tiny.student.model
    network = models.build(model, tiny.data.view).eval()
    models.load_weights(folder / f"{owner}.safetensors", network)
    with torch.no_grad():
        return [block.numpy() for block in models.features(network, images)]


def probes(folder, tiny):
    images = images_of(tiny, folder / "data")
    split = features.Split(images, "validation")
    positions = features.balanced(split.labels, 17)
    published = features.Split.first(images, "test", 32)
    return next(split.view(0, None, 17, positions=positions)), next(published.view(0, None, 32))


def test_the_tables_hold_both_probes_measured_as_by_the_functions(run):
    folder, tiny = run
    for probe, batch in zip(("balanced", "published"), probes(folder, tiny), strict=True):
        blocks = whole(folder, tiny, "student", batch.images)
        rows = pd.read_parquet(folder / "student/depth.parquet").query(f"probe == '{probe}'")
        np.testing.assert_allclose(rows["entropy"], metrics.layer_entropy(blocks), atol=1e-3)
        np.testing.assert_allclose(rows["intensity"], metrics.spectral_intensity(blocks), rtol=1e-5)
        limits = json.loads((folder / "teacher/range.json").read_text())
        fixed = metrics.layer_entropy(blocks, value_range=(limits["low"], limits["high"]))
        np.testing.assert_allclose(rows["entropy_fixed_range"], fixed, atol=1e-3)
        assert rows["images"].tolist() == [len(batch.labels)] * 2
    assert len(probes(folder, tiny)[1].labels) == 32


def test_the_published_probe_is_the_first_images_of_the_test_source_in_file_order(run):
    folder, _ = run
    scalars = pd.read_parquet(folder / "student/scalars.parquet").query("probe == 'published' and block == 0")
    assert scalars["image"].tolist() == list(range(32)) and scalars["label"].tolist() == [i % 10 for i in range(32)]


def test_the_teachers_range_is_everybodys_and_the_teachers_own(run):
    folder, _ = run
    limits = json.loads((folder / "teacher/range.json").read_text())
    teacher = pd.read_parquet(folder / "teacher/depth.parquet").query("probe == 'balanced'")
    assert (teacher["range_low"] == limits["low"]).all() and (teacher["range_high"] == limits["high"]).all()
    np.testing.assert_array_equal(teacher["entropy_fixed_range"], teacher["entropy"])
    assert (teacher["clipped_share"] == 0).all()


def test_a_dump_holds_the_same_few_tokens_of_a_balanced_part_of_the_images(run):
    folder, tiny = run
    batch, _ = probes(folder, tiny)
    meta = json.loads((folder / "teacher/kept/meta.json").read_text())
    assert len(meta["images"]) == 10 and np.bincount(meta["labels"]).tolist() == [1] * 10
    chosen = np.isin(batch.positions, meta["images"])
    for number, block in enumerate(whole(folder, tiny, "teacher", batch.images)):
        dumped = np.load(folder / f"teacher/kept/block{number:02d}.npy")
        tokens = meta["tokens"][number]
        assert len(tokens) == 3 and meta["axes"][number] == ["image", "channel", "token"]
        assert meta["shapes"][number] == list(dumped.shape) and meta["grids"][number] == list(block.shape[2:])
        expected = block[chosen].reshape(10, block.shape[1], -1)[:, :, tokens]
        np.testing.assert_allclose(dumped, expected, rtol=1e-4, atol=1e-5)


def test_sums_are_those_over_all_tokens_of_all_measured_images(run):
    folder, tiny = run
    batch, _ = probes(folder, tiny)
    sums = load_file(folder / "student/kept/sums.safetensors")
    for number, block in enumerate(whole(folder, tiny, "student", batch.images)):
        tokens = block.transpose(0, 2, 3, 1).reshape(-1, block.shape[1]).astype(np.float64)
        assert sums[f"gram{number:02d}"].dtype == np.float64 and sums["tokens"][number] == len(tokens)
        np.testing.assert_allclose(sums[f"gram{number:02d}"], tokens.T @ tokens, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(sums[f"sum{number:02d}"], tokens.sum(axis=0), rtol=1e-4, atol=1e-4)
        assert sums[f"spectra{number:02d}"].shape == (1, block.shape[1] // 2 + 1)
        spectrum = metrics.channel_spectrum(block[None])[0][: block.shape[1] // 2 + 1]
        np.testing.assert_allclose(sums[f"spectra{number:02d}"][0], spectrum, rtol=1e-4)


def test_what_is_stored_is_about_what_the_plan_says(run):
    folder, tiny = run
    stored = sum(path.stat().st_size for path in (folder / "student/kept").iterdir())
    scalars = (folder / "student/scalars.parquet").stat().st_size
    said = stored_bytes(tiny.features, tiny.student_facts.shapes)
    assert 0.3 * said < stored < 3 * said + 3000 and scalars < 60_000


def test_fifty_thousand_images_of_the_published_teacher_take_a_gigabyte():
    probe = Probe(50_000, 32, (), 100, 20, 1000, "float16", 16)
    shapes = ((384, 14, 14),) * 24
    assert 0.3e9 < stored_bytes(probe, shapes) < 1e9
    # All tokens in float32 would be this much.
    everything = stored_bytes(Probe(50_000, 32, (), 100, 20, 50_000, "float32"), shapes)
    assert everything > 361e9


def test_memory_is_that_of_one_batch_not_of_all_images(monkeypatch):
    alive = []

    class Counting(features.Observer):
        def __call__(self, batch, need):
            observed = super().__call__(batch, need)
            alive.append(sum(block.numel() for block in observed))
            return observed

    network = models.build(Model(*FAMILIES["vit"], "timm"), VIEW)
    module = import_module("distillation_dynamics.metrics.spectrum")
    features.measure(
        Counting(network, torch.device("cpu"), {"features"}), RandomImages(), {module: module.Metric()}, None, 2
    )
    assert alive == [2 * 3 * 12 * 16] * 4 + [3 * 12 * 16]


def test_only_what_is_not_finite_is_said_to_have_diverged(run, monkeypatch):
    folder, tiny = run
    module = import_module("distillation_dynamics.metrics.magnitude")
    for kind, message in ((ValueError, "^of mine$"), (RuntimeError, "^of mine$")):

        def update(self, batch, kind=kind):
            raise kind("of mine")

        monkeypatch.setattr(module.Metric, "update", update)
        with pytest.raises(kind, match=message):
            features.main(job_of(tiny, folder, tiny.teacher.model, "teacher", -1, 3))
    monkeypatch.undo()
    monkeypatch.delitem(module.IMAGE_COLUMNS, "rms")
    with pytest.raises(StudyError, match=r"^distillation_dynamics.metrics.magnitude: its Metric .* differ in rms$"):
        features.main(job_of(tiny, folder, tiny.teacher.model, "teacher", -1, 3))


def test_nan_in_the_features_is_an_error_and_leaves_no_table(tmp_path):
    tiny = tiny_study(tmp_path)
    network = models.build(tiny.student.model, tiny.data.view)
    with torch.no_grad():
        # Each is finite, as weights must be; the product is not.
        network.blocks[1].mlp.fc1.bias[:] = network.blocks[1].mlp.fc2.weight[0] = 1e30
    models.save_weights(tmp_path / "broken.safetensors", network)
    with pytest.raises(StudyError, match=r"broken.safetensors: block 1, image 0 holds NaN or infinity"):
        features.main(job_of(tiny, tmp_path, tiny.student.model, "broken", 0, 1))
    assert not list((tmp_path / "broken").rglob("*.parquet")) and not list((tmp_path / "broken").rglob("*.npy"))
