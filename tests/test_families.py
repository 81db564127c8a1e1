"""Every single-network metric on every family of networks, by what its file declares; awkward studies, too."""

import ast
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

import zoo
from distillation_dynamics import metrics
from distillation_dynamics.metrics.accumulator import Context
from distillation_dynamics.networks.blocks import block_names, block_shapes
from distillation_dynamics.networks.observer import Observer
from distillation_dynamics.outputs import Request
from distillation_dynamics.spec.images import View
from distillation_dynamics.spec.measure import Settings
from streams import measure

FAMILIES = (
    *("vit", "registers", "distilled", "headless", "one_block", "cait", "swin", "resnet"),
    *("dinov3", "beit", "naflex", "naflex_radio"),
)
METRICS = ("attention", "entropy", "gradient", "magnitude", "published", "rank", "sep", "spectrum", "tokens")
KINDS = ("IMAGE_COLUMNS", "BLOCK_COLUMNS", "BIN_COLUMNS")
GRADIENTS = ("gradient_magnitude", "gradient_magnitude_patches")
# Classes, one class, no labels.
LABELS = [0, 1, 2, 3, 4], [0] * 5, [-1] * 5


def build(family):
    if family == "headless":
        return zoo.network("vit", classes=0).requires_grad_(False)
    if family == "one_block":
        return zoo.network("vit", depth=1).requires_grad_(False)
    return zoo.network(family).requires_grad_(False)


def measured(name, network, labels=LABELS[0], images=5, batch=2):
    """What a metric computes of random images that come in batches, as the measure stage asks for it."""
    module, labels = import_module(f"distillation_dynamics.metrics.{name}"), torch.tensor(labels[:images])
    pixels = torch.randn(5, 3, 32, 32, generator=torch.Generator().manual_seed(0))[:images]
    shapes = tuple(block_shapes(network, pixels[:1]))
    context = Context(
        *(np.arange(images), labels.numpy(), [f"{n}.png" for n in range(images)], shapes, block_names(network)),
        *(network.num_classes, View(3, 32, (0, 0, 0), (1, 1, 1))),
    )
    batches = []
    for part in torch.arange(images).split(batch):
        maps: list = []
        asked = Request.of(module.REQUIRES)
        outputs = Observer(network)(pixels[part], asked, labels[part], lambda *given, of=maps: of.append(given))
        outputs.labels, outputs.targets, outputs.positions = labels[part], labels[part], part
        batches.append((maps, outputs))
    metric = module.Metric(Settings(permutations=39), context)
    return module, metric, measure(metric, batches), shapes


@pytest.mark.parametrize("family", FAMILIES)
def test_every_metric_computes_what_its_file_documents_of_every_family(family, tmp_path):
    network = build(family)
    for name in METRICS:
        check_that_columns_are_documented(name, family, measured(name, network), tmp_path / name)


def check_that_columns_are_documented(name, family, measured, folder):
    """Check that a metric filled its documented columns, in their shapes, and wrote its documented files."""
    module, metric, found, shapes = measured
    folder.mkdir()
    documented = {column for kind in KINDS for column in getattr(module, kind, {})}
    if name == "attention" and family == "resnet":
        assert found == {}
        return
    assert set(found) == documented, name
    for column, values in found.items():
        assert len(values) == len(shapes)
        for value, (channels, *_) in zip(values, shapes, strict=True):
            kind = next(kind for kind in KINDS if column in getattr(module, kind, {}))
            assert np.shape(value) == {"IMAGE_COLUMNS": (5,), "BLOCK_COLUMNS": (), "BIN_COLUMNS": (channels,)}[kind]
    empty = {column for column, values in found.items() if all(np.isnan(value).all() for value in values)}
    if name == "gradient":
        expected = {
            **{key: set() for key in ("registers", "dinov3", "naflex_radio")},
            "naflex": {"gradient_magnitude_class"},
            "beit": {"gradient_magnitude_registers"},
            "vit": {"gradient_magnitude_registers"},
            "distilled": {"gradient_magnitude_registers"},
            "one_block": {"gradient_magnitude_registers"},
            "headless": set(found),
        }.get(family, {"gradient_magnitude_registers", "gradient_magnitude_class"})
        assert empty == expected
    else:
        assert empty == set(), name
    metric.save(folder)
    assert sorted(path.name for path in folder.iterdir()) == sorted(getattr(module, "FILES", ()))


@pytest.mark.parametrize("name", METRICS)
def test_labels_of_one_class_and_none_move_nothing_but_gradients(name):
    network = build("vit")
    usual, one_class, unlabelled = (measured(name, network, labels)[2] for labels in LABELS)
    if name == "gradient":
        assert all(np.isfinite(one_class[column]).all() for column in GRADIENTS)
        assert all(np.isnan(unlabelled[column]).all() for column in GRADIENTS)
        return
    for column, values in usual.items():
        np.testing.assert_array_equal(one_class[column], values)
        np.testing.assert_array_equal(unlabelled[column], values)


@pytest.mark.parametrize("name", METRICS)
def test_one_image_is_enough_and_batches_change_nothing(name):
    network = build("registers")
    _, _, alone, _ = measured(name, network, images=1)
    _, _, whole, _ = measured(name, network, batch=5)
    _, _, parts, _ = measured(name, network, batch=1)
    for column, values in whole.items():
        assert not all(np.isnan(value).all() for value in alone[column]), column
        tolerance = 0.02 if "entropy" in column or "rank" in column else 1e-9
        for one, many in zip(values, parts[column], strict=True):
            np.testing.assert_allclose(one, many, rtol=1e-3, atol=tolerance, err_msg=column)


def test_what_a_plan_reads_of_a_metric_are_literals_that_exist():
    fields, settings = set(Request.__dataclass_fields__), set(Settings.__dataclass_fields__)
    for name in (*METRICS, "features", "saliency"):
        tree = ast.parse((Path(metrics.__file__).parent / f"{name}.py").read_text())
        said = {
            target.id: ast.literal_eval(node.value)
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
            and target.id in ("REQUIRES", "OPTIONS", "FILES", "REFERENCE", "IMAGES", "BATCH")
        }
        assert said["REQUIRES"] and set(said["REQUIRES"]) <= fields
        assert set(said.get("OPTIONS", ())) <= settings
        assert said.get("REFERENCE") in (None, *said.get("FILES", ()))
        assert said.get("IMAGES", "measure") in ("measure", "saliency", "compare")
