"""Saliency against plain autograd and explicit sums; the stage that writes it, and the figures that show it."""

import warnings
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import timm
import torch
from distillation_dynamics.spec.measured import Checkpoints
from distillation_dynamics.spec.saliency import Saliency, SaliencyJob
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from distillation_dynamics import data, metrics, models
from distillation_dynamics import saliency as stage
from distillation_dynamics.errors import StudyError
from distillation_dynamics.figures import stage as drawing
from distillation_dynamics.figures.gradient_maps import columns_of
from distillation_dynamics.figures.maps import share_of_largest
from distillation_dynamics.figures.style import Style
from distillation_dynamics.metrics.saliency import METHODS, SAMPLES, SD, STEPS, saliency
from distillation_dynamics.spec.base import From
from distillation_dynamics.spec.data import Arrays, DataJob
from distillation_dynamics.spec.images import Images, Validation, View
from distillation_dynamics.spec.network import Model
from made_up import figure_job

FAMILIES = {
    "vit": ("vit_tiny_patch16_224", {"patch_size": 8, "embed_dim": 12, "depth": 2, "num_heads": 2}),
    "mean_pooled": (
        "vit_tiny_patch16_224",
        {"patch_size": 8, "embed_dim": 12, "depth": 2, "num_heads": 2, "global_pool": "avg", "class_token": False},
    ),
    "distilled": (
        "deit_tiny_distilled_patch16_224",
        {"patch_size": 8, "embed_dim": 12, "depth": 2, "num_heads": 2},
    ),
    "cait": ("cait_xxs24_224", {"patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2, "init_values": 0.5}),
    "swin": (
        "swin_tiny_patch4_window7_224",
        {"patch_size": 2, "embed_dim": 12, "depths": (1, 2), "num_heads": (1, 2), "window_size": 4},
    ),
    "resnet": ("resnet10t", {}),
}
LABELS = torch.tensor([1, 0, 4])


def build(family):
    name, arguments = FAMILIES[family]
    if family != "resnet":
        arguments = {"img_size": 16, **arguments}
    torch.manual_seed(0)
    network = timm.create_model(name, num_classes=5, **arguments)
    # timm starts heads near zero, where every gradient looks alike.
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network.double().eval()


def draw(count=3):
    return torch.randn(count, 3, 16, 16, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def input_gradient(network, image, label):
    image = image.detach().clone().requires_grad_()
    network(image[None])[0, label].backward()
    return image.grad


def assert_close(ours, reference):
    assert ours.dtype == torch.float32
    torch.testing.assert_close(ours.double(), reference, rtol=1e-5, atol=1e-6 * float(reference.abs().max()))


@pytest.mark.parametrize("family", FAMILIES)
def test_gradient_is_the_absolute_input_gradient_of_the_labels_logit(family):
    network, images = build(family), draw()
    ours = saliency(network, images, LABELS, "gradient")
    reference = [input_gradient(network, *pair).abs() for pair in zip(images, LABELS, strict=True)]
    assert_close(ours, torch.stack(reference))


@pytest.mark.parametrize("family", ["vit", "cait", "resnet"])
@pytest.mark.parametrize("seed", [0, 7])
def test_smoothgrad_is_the_mean_over_noisy_copies_of_the_absolute_gradient(family, seed):
    network, images = build(family), draw(2)
    ours = saliency(network, images, LABELS[:2], "smoothgrad", seed)
    for number, (image, label) in enumerate(zip(images, LABELS, strict=False)):
        spread = 0.15 * (image.max() - image.min())
        generator = torch.Generator().manual_seed(seed)
        total = torch.zeros_like(image)
        for _ in range(5):
            # The draws come ten copies at a time.
            for noise in torch.normal(0, torch.full((10, 3, 16, 16), float(spread)), generator=generator):
                total += input_gradient(network, image + noise, label).abs()
        assert_close(ours[number], total / 50)


def test_smoothgrad_agrees_with_noise_of_another_source():
    network, image, label = build("vit"), draw(1), LABELS[:1]
    ours = saliency(network, image, label, "smoothgrad")[0].double()
    spread = float(0.15 * (image.max() - image.min()))
    generator = np.random.default_rng(5)
    noisy = [image[0] + torch.from_numpy(generator.normal(0, spread, image.shape[1:])) for _ in range(400)]
    draws = torch.stack([input_gradient(network, copy, label[0]).abs() for copy in noisy])
    # In standard errors of a mean of 50 and one of 400; of 768 values the largest of normal ones lies near 3.2.
    distance = (ours - draws.mean(dim=0)) / (draws.std(dim=0) * (1 / 50 + 1 / 400) ** 0.5)
    assert distance.abs().max() < 5 and 0.8 < distance.square().mean() ** 0.5 < 1.2


@pytest.mark.parametrize("family", ["vit", "cait", "swin", "resnet"])
def test_integrated_gradients_are_the_left_riemann_sum_from_zero(family):
    network, images = build(family), draw()
    ours = saliency(network, images, LABELS, "integrated_gradients")
    reference = []
    for image, label in zip(images, LABELS, strict=True):
        gradients = [input_gradient(network, k / 50 * image, label) for k in range(50)]
        reference.append(image * torch.stack(gradients).mean(dim=0))
    assert_close(ours, torch.stack(reference))


@pytest.mark.parametrize("family", ["vit", "mean_pooled", "cait"])
def test_integrated_gradients_add_up_to_the_change_of_the_logit(family):
    network, images = build(family), draw()
    total = saliency(network, images, LABELS, "integrated_gradients").double().sum(dim=(1, 2, 3))
    with torch.no_grad():
        change = (network(images) - network(torch.zeros_like(images)))[range(3), LABELS]
    # A left sum of 50 steps is off by about a hundredth of the gradient's change along the way.
    torch.testing.assert_close(total, change, rtol=0.1, atol=0.1 * float(change.abs().max()))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("family", ["vit", "resnet"])
def test_an_image_has_the_same_attributions_alone_and_in_a_batch(family, method):
    network, images = build(family), draw()
    together = saliency(network, images, LABELS, method)
    for number in range(3):
        one = slice(number, number + 1)
        assert saliency(network, images[one], LABELS[one], method).equal(together[one])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [0.0, 1.5])
def test_a_constant_image_has_finite_attributions(method, value):
    network, images = build("vit"), torch.full((1, 3, 16, 16), value, dtype=torch.float64)
    ours = saliency(network, images, LABELS[:1], method)
    assert ours.isfinite().all()
    if method == "smoothgrad":
        # No range, no noise.
        assert_close(ours, input_gradient(network, images[0], LABELS[0]).abs()[None])
    if method == "integrated_gradients" and value == 0:
        assert (ours == 0).all()


@pytest.mark.parametrize("method", METHODS)
def test_random_state_network_and_images_are_left_as_they_were(method):
    network, images = build("vit"), draw(1)
    logits, images_before, state = network(images), images.clone(), torch.get_rng_state()
    first = saliency(network, images, LABELS[:1], method)
    assert torch.get_rng_state().equal(state)
    torch.rand(3)
    assert saliency(network, images, LABELS[:1], method).equal(first)
    assert network(images).equal(logits) and images.equal(images_before) and not images.requires_grad
    assert all(parameter.grad is None and parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_frozen_parameters_and_switched_off_gradients_change_nothing(method, mode):
    network, images = build("cait"), draw(1)
    before = saliency(network, images, LABELS[:1], method)
    network.requires_grad_(False)
    with mode():
        assert saliency(network, images.clone(), LABELS[:1].clone(), method).equal(before)


def test_one_channel_and_float32_are_enough():
    torch.manual_seed(0)
    network = timm.create_model(
        "vit_tiny_patch16_224", img_size=8, patch_size=8, in_chans=1, embed_dim=12, depth=1, num_heads=1, num_classes=2
    ).eval()
    for method in METHODS:
        ours = saliency(network, torch.randn(2, 1, 8, 8), LABELS[:2], method)
        assert ours.shape == (2, 1, 8, 8) and ours.isfinite().all()


def test_a_map_is_the_largest_absolute_value_over_colours():
    attributions = torch.tensor([1.0, -3.0, 2.0]).view(1, 3, 1, 1).expand(2, 3, 4, 5)
    np.testing.assert_array_equal(metrics.saliency_map(attributions), np.full((2, 4, 5), 3))


def test_the_settings_are_those_of_the_paper():
    assert (SAMPLES, SD, STEPS) == (50, 0.15, 50)


@pytest.mark.parametrize("method", METHODS)
def test_awkward_input_is_an_error_that_names_it(method):
    images = draw(2)
    images[1, 2, 3, 4] = np.nan
    with pytest.raises(ValueError, match="images: image 1 holds NaN or infinity"):
        saliency(build("vit"), images, LABELS[:2], method)
    with pytest.raises(ValueError, match="training mode"):
        saliency(build("vit").train(), draw(1), LABELS[:1], method)
    with pytest.raises(ValueError, match="method must be one of gradient, smoothgrad, integrated_gradients"):
        saliency(build("vit"), draw(1), LABELS[:1], method.upper())


@pytest.fixture(scope="module")
def written(tmp_path_factory, root):
    """The stage's two tables for two checkpoints of a small network on Fashion-MNIST, and what went into them."""
    folder = tmp_path_factory.mktemp("saliency")
    source = str(root / "resources/fashion_mnist/test-00000-of-00001.parquet")
    sources = {"train": source, "test": source}
    view = View(10, 1, 28, (0.286,), (0.353,), 1.0, "bicubic")
    images = Images("key", view, True, folder=str(folder / "data"), **sources)
    arrays, files = Arrays(1, 28, 1.0, "bicubic"), {key: (source,) for key in sources}
    model = Model("vit_tiny_patch16_224", {"patch_size": 7, "embed_dim": 12, "depth": 2, "num_heads": 2}, "timm")
    data.main(DataJob(10, Validation("train", 5), {}, True, arrays, **files, out=images.folder))
    weights = []
    for epoch in (0, 3):
        torch.manual_seed(epoch)
        weights.append(str(folder / f"epoch{epoch}.safetensors"))
        models.save_weights(weights[-1], models.build(model, view))
    checkpoints = Checkpoints(model, ("soft", "soft"), 1, (0, 3), From("weights", files=tuple(weights)))
    settings = Saliency(4, ("gradient", "integrated_gradients"))
    stage.main(SaliencyJob(images, checkpoints, settings, out=str(folder / "out")))
    return SimpleNamespace(folder=folder, images=images, model=model, weights=weights)


def read(written, name):
    return pq.read_table(Path(written.folder) / "out" / f"{name}.parquet")


def test_the_stage_writes_a_map_a_row_with_every_column_documented(written):
    expected = {"saliency": stage.SALIENCY_COLUMNS, "gradient_maps": stage.GRADIENT_COLUMNS}
    for name, columns in expected.items():
        table = read(written, name)
        assert table.column_names == list(columns)
        assert str(table.schema.field("map").type) == "list<element: float>"
        for field in table.schema:
            assert field.metadata[b"description"].decode() == columns[field.name].description
    saliency_table = read(written, "saliency").to_pandas()
    assert len(saliency_table) == 2 * 3 * 4
    keys = saliency_table.groupby(["model", "seed", "epoch", "method"], sort=False).size()
    assert list(keys.index) == [
        ("soft", 1, epoch, method) for epoch in (0, 3) for method in ("image", "gradient", "integrated_gradients")
    ]
    assert all(len(row.map) == row.rows * row.columns == 28 * 28 for row in saliency_table.itertuples())
    gradients = read(written, "gradient_maps").to_pandas()
    assert len(gradients) == 2 * 2 * 4
    assert all(len(row.map) == row.rows * row.columns == 16 for row in gradients.itertuples())
    assert list(gradients["block_name"].unique()) == ["blocks.0", "blocks.1"]


def test_the_stages_maps_are_those_of_the_functions(written):
    split = data.Split(written.images, "validation")
    positions = data.balanced(split.labels, 4)
    (batch,) = split.view(0, None, 4, positions=positions)
    network = models.build(written.model, written.images.view).eval()
    models.load_weights(written.weights[1], network)
    table = read(written, "saliency").to_pandas().query("epoch == 3")
    for method in ("gradient", "integrated_gradients"):
        rows = table[table["method"] == method]
        np.testing.assert_array_equal(rows["image"], positions)
        np.testing.assert_array_equal(rows["label"], split.labels[positions])
        maps = metrics.saliency_map(saliency(network, batch.images, batch.labels, method)).flatten(1)
        np.testing.assert_allclose(np.stack(rows["map"]), maps, rtol=1e-4, atol=1e-7)
    pixels = table[table["method"] == "image"]["map"]
    expected = split.array[split.index[positions]].reshape(4, -1) / 255
    np.testing.assert_allclose(np.stack(pixels), expected, atol=1e-6)
    gradients = read(written, "gradient_maps").to_pandas().query("epoch == 3")
    for block, maps in enumerate(metrics.gradient_maps(network, batch.images, batch.labels)):
        rows = gradients[gradients["block"] == block]
        np.testing.assert_array_equal(rows["image"], positions)
        np.testing.assert_allclose(np.stack(rows["map"]), maps.flatten(1), rtol=1e-4, atol=1e-9)
    np.testing.assert_array_equal(np.stack(gradients.query("block == 1")["map"]), 0)


STYLE = Style("colorblind", 60, ("soft", "spectral_first_last_sum", "projector_first_last_frozen"), "soft")
MODELS = {
    "teacher": 6,
    "teacher_untrained": 6,
    "soft": 3,
    "spectral_first_last_sum": 3,
    "projector_first_last_frozen": 3,
}


def test_each_checkpoint_is_explained_with_its_own_weights_whatever_a_network_keeps(written, tmp_path):
    model, weights = Model("tiny_vit_5m_224", {}, "timm"), []
    for seed in (0, 1):
        torch.manual_seed(seed)
        network = models.build(model, written.images.view)
        for name, parameter in network.named_parameters():
            if "attention_biases" in name:
                torch.nn.init.normal_(parameter, std=5)
        weights.append(str(tmp_path / f"{seed}.safetensors"))
        models.save_weights(weights[-1], network)
    maps = []
    for number, files in enumerate((weights, weights[1:])):
        checkpoints = Checkpoints(
            model, ("soft",) * len(files), 0, (0, 1)[-len(files) :], From("w", files=tuple(files))
        )
        out = tmp_path / f"out{number}"
        stage.main(SaliencyJob(written.images, checkpoints, Saliency(1, ("gradient",)), out=str(out)))
        maps.append(pq.read_table(out / "saliency.parquet", filters=[("epoch", "==", 1)]))
    assert maps[0].equals(maps[1])


def test_a_checkpoint_that_is_not_finite_is_named(written, tmp_path):
    network = models.build(written.model, written.images.view)
    with torch.no_grad():
        # Finite numbers that give infinite ones: NaN in weights is refused when they are read.
        network.norm.weight.fill_(1e30)
        network.head.weight.fill_(1e30)
    models.save_weights(tmp_path / "broken.safetensors", network)
    checkpoints = Checkpoints(
        written.model, ("soft",), 0, (0,), From("w", files=(str(tmp_path / "broken.safetensors"),))
    )
    job = SaliencyJob(written.images, checkpoints, Saliency(1, ("gradient",)), out=str(tmp_path / "out"))
    with pytest.raises(StudyError, match=r"broken.safetensors: gradients: block \d.*; train this model again, it div"):
        stage.main(job)


@pytest.fixture(scope="module")
def tables():
    """Tables of a made-up study: two epochs, two seeds of each student, three images, maps of different sizes."""
    generator = np.random.default_rng(0)
    rows = {"saliency": [], "gradient_maps": []}
    for model, blocks in MODELS.items():
        for seed in (-1,) if model.startswith("teacher") else (1, 0):
            for epoch, image in np.ndindex(2, 3):
                key = {"model": model, "seed": seed, "epoch": epoch, "image": 7 * image, "label": image}
                for method in ("image", *METHODS):
                    values = generator.uniform(0, 1, 64).astype(np.float32)
                    rows["saliency"].append({**key, "method": method, "rows": 8, "columns": 8, "map": values})
                for block in range(blocks):
                    values = generator.uniform(0, 1, 4).astype(np.float32) * (block < 5)
                    name = {"block": block, "block_name": f"blocks.{block}"}
                    rows["gradient_maps"].append({**key, **name, "rows": 2, "columns": 2, "map": values})
    # In print teachers come first, wherever they are in the table.
    return {name: pd.DataFrame(values).iloc[::-1] for name, values in rows.items()}


def figure_of(name, tables):
    STYLE.apply()
    return import_module(f"distillation_dynamics.figures.{name}").draw(tables, STYLE)


@pytest.mark.parametrize("name", ["saliency", "gradient_maps", "saliency_over_depth"])
def test_equal_tables_give_equal_bytes(name, tables, tmp_path):
    paths = []
    for table in import_module(f"distillation_dynamics.figures.{name}").TABLES:
        paths.append(str(tmp_path / f"{table}.parquet"))
        tables[table].to_parquet(paths[-1])
    kinds = ("gif",) if name == "saliency_over_depth" else ("pdf", "png")
    contents = []
    for attempt in ("one", "two"):
        files = [str(tmp_path / f"{attempt}.{kind}") for kind in kinds]
        drawing.main(figure_job(name, paths, STYLE, files))
        contents.append([Path(file).read_bytes() for file in files])
    assert contents[0] == contents[1]


@pytest.mark.parametrize("name", ["saliency", "gradient_maps"])
def test_no_text_runs_out_of_the_page(name, tables):
    figure = figure_of(name, tables)
    FigureCanvasAgg(figure).draw()
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert box.x0 > -0.02 and box.y0 > -0.02 and box.x1 < width + 0.02 and box.y1 < height + 0.02


@pytest.mark.parametrize("name", ["saliency", "gradient_maps"])
def test_figures_show_every_model_teachers_first(name, tables):
    names = [axes.get_ylabel().replace("\n", " ") for axes in figure_of(name, tables).axes if axes.get_ylabel()]
    assert names[:2] == ["teacher", "teacher untrained"]
    assert sorted(names[2:]) == sorted(model.replace("_", " ") for model in MODELS if "teacher" not in model)


def test_the_saliency_figure_shows_the_last_epoch_of_the_lowest_seed_as_a_share_of_its_99th_percentile(tables):
    axes = next(axes for axes in figure_of("saliency", tables).axes if axes.get_ylabel() == "soft")
    table = tables["saliency"].query("model == 'soft' and seed == 0 and epoch == 1 and image == 0")
    values = table[table["method"] == "gradient"]["map"].iloc[0].reshape(8, 8).astype(float)
    pixels = table[table["method"] == "image"]["map"].iloc[0].reshape(8, 8)
    background, overlay = axes.images
    assert background.get_array().shape == pixels.shape
    share = np.clip(values / np.percentile(values, 99), 0, 1)
    np.testing.assert_allclose(overlay.get_array()[..., :3], colormaps["inferno"](share)[..., :3])
    assert (np.argsort(overlay.get_array()[..., 3].ravel())[:10] == np.argsort(share.ravel())[:10]).all()


def test_gradient_maps_stand_at_their_relative_depth_and_say_where_they_are_zero(tables):
    figure = figure_of("gradient_maps", tables)
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == [*map(str, range(6))] * 2 + [*map(str, range(3))] * 3
    columns = {}
    for axes in figure.axes:
        if axes.get_title():
            columns.setdefault(axes.get_title(), set()).add(round(axes.get_position().x0, 6))
    assert columns["5"] < columns["2"] and len(columns["0"]) == 1
    zeros = [axes.get_title() for axes in figure.axes if any(text.get_text() == "0" for text in axes.texts)]
    assert zeros == ["5", "5"]


@pytest.mark.parametrize("blocks, across, expected", [(1, 1, {0: 0}), (3, 6, {0: 0, 2: 1, 5: 2}), (24, 3, [0, 12, 23])])
def test_blocks_are_placed_by_relative_depth(blocks, across, expected):
    ours = columns_of(blocks, across)
    assert ours == (expected if isinstance(expected, dict) else dict(enumerate(expected)))


def test_the_animation_has_a_frame_a_block_of_the_deepest_model(tables, tmp_path):
    paths = []
    for table in ("gradient_maps", "saliency"):
        paths.append(str(tmp_path / f"{table}.parquet"))
        tables[table].to_parquet(paths[-1])
    file = str(tmp_path / "depth.gif")
    drawing.main(figure_job("saliency_over_depth", paths, STYLE, [file]))
    with Image.open(file) as animated:
        assert animated.n_frames == 6 and animated.info["loop"] == 0


def test_a_gradient_map_without_values_is_drawn_as_the_image_with_these_words(tables):
    maps = tables["gradient_maps"].copy()
    maps["map"] = [np.full_like(values, np.nan) for values in maps["map"]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = figure_of("gradient_maps", tables | {"gradient_maps": maps})
        FigureCanvasAgg(figure).draw()
    texts = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert texts == {"no value"}


def test_a_map_without_range_is_drawn_as_nothing_or_everything():
    np.testing.assert_array_equal(share_of_largest(np.zeros((2, 2))), 0)
    np.testing.assert_array_equal(share_of_largest(np.full((2, 2), 3.0)), 1)
    lonely = np.zeros((20, 20))
    lonely[3, 4] = 5
    np.testing.assert_array_equal(share_of_largest(lonely), lonely / 5)


@pytest.mark.parametrize("name", ["saliency", "gradient_maps"])
def test_an_empty_table_is_refused_by_name(name, tables):
    with pytest.raises(StudyError, match=f"{name}.parquet: the table is missing or empty"):
        figure_of(name, tables | {name: tables[name].iloc[:0]})


def test_intensity_undoes_the_normalisation_and_is_the_mean_over_colours():
    colours = View(2, 3, 4, (0.4, 0.5, 0.6), (0.1, 0.2, 0.3))
    pixels = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    mean, std = torch.tensor(colours.mean).view(3, 1, 1), torch.tensor(colours.std).view(3, 1, 1)
    torch.testing.assert_close(stage.intensity((pixels - mean) / std, colours), pixels.mean(dim=1))
