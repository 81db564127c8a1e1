"""Faults of a configuration are reported before anything runs, in one sentence with the key and the remedy."""

import copy
import datetime

import pytest
import torch
from PIL import Image
from timm.data import auto_augment as timm_augment
from timm.data import create_transform

from distillation_dynamics.errors import StudyError
from distillation_dynamics.study import recipes
from helpers import changed, load, smoke_config

NAN, INFINITE = float("nan"), float("inf")
TERM = {"cross_entropy": {"weight": 1}}
GPU = {"gpu": 1, "gpu_model": "a100"}
SMOKE = smoke_config()
PROBE = {"source": "parquet", "test": SMOKE["data"]["test"]}


@pytest.fixture(scope="module")
def config():
    return smoke_config()


def refusal(config) -> list[str]:
    """The sentences with which a configuration is refused."""
    with pytest.raises(StudyError) as error:
        load(config)
    sentences = str(error.value).splitlines()
    assert all(len(sentence) < 420 for sentence in sentences)
    return sentences


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        # Values that no key can have, at any place.
        ("name", datetime.date(2026, 11, 24), "name: 2026-11-24 is a date, not text or a number; write it in quotes"),
        ("view.mean", [NAN], "view.mean.0: nan is not a finite number"),
        ("networks.cait.model.args.init_values", NAN, "model.args.init_values: nan is not a finite number"),
        ("state_minutes", INFINITE, "state_minutes: inf is not a finite number"),
        ("measure.entropy_bins", 10**30, "measure.entropy_bins: the number has 31 digits; write one below 9.2e18"),
        ("name", "a\n", "name: 'a\\n' holds a line break"),
        ("data.train", "a\0b", "data.train: 'a\\x00b' holds a line break or another character"),
        ("variants", {1: TERM}, "variants: the key 1 is not text; write it in quotes"),
        # Kinds.
        ("seeds", [True], "seeds.0: true is given, but a whole number is expected"),
        ("seeds", [], "seeds: is empty; give a value"),
        ("seeds", [0, 1, 0], "seeds: 0 is given twice; remove one"),
        ("seeds", {"first": 0}, "seeds: a mapping (keys with values) is given, but a list is expected"),
        ("name", 5, "name: 5 is given, but text is expected; write it in quotes"),
        (
            "networks.cait.model",
            "cait",
            "networks.cait.model: 'cait' is given, but a mapping (keys with values) is expected",
        ),
        ("view.std", [0], "view.std.0: 0 is less than the minimum of 0.0001"),
        ("data.train", {"a": 1}, "data.train: a mapping (keys with values) is given, but text or a list is expected"),
        ("variants.none", {}, "variants.none: is empty; give a value"),
        (
            "variants.none.cross_entropy.weight",
            None,
            "nothing is given, but a number or a mapping (keys with values) is",
        ),
        ("student.recipe.augmentation", None, "nothing is given, but a mapping (keys with values) is expected"),
        ("student.recipe.optimizer.learning_rate", "2e-3", "'2e-3' is given, but a number is expected; write it"),
        ("student.recipe.epochs", 2.5, "student.recipe.epochs: 2.5 is given, but a whole number is expected"),
        (
            "student.recipe.epochs",
            1e300,
            "student.recipe.epochs: 1e+300 is implausibly large; give 0, or one between 1e-12 and 1e+12",
        ),
        (
            "student.recipe.optimizer.lr",
            0.1,
            "optimizer.lr: unknown key; allowed: eps, learning_rate, name, weight_decay",
        ),
        ("networks.cait.label_smoothing", 1, "networks.cait.label_smoothing: 1 is not less than 1"),
        ("compute", {"students": {"mem_mb": "4G"}}, "compute.students.mem_mb: '4G' is given, but a whole number is"),
        (
            "networks.cait.sha256",
            "abc",
            "networks.cait.sha256: 'abc' is not valid; it must be 64 hexadecimal digits",
        ),
        # Names.
        ("name", "Shared", "name: results/Shared is reserved for all studies; choose another name"),
        ("name", "README.md", "name: results/README.md is reserved for all studies"),
        ("name", "a/b", "name: 'a/b' is not valid; it must be at most 64 letters, digits, _, - and dots"),
        ("name", "a.", "name: 'a.' is not valid; it must be at most 64 letters"),
        (
            "variants.Student",
            TERM,
            "variants.Student: is the name of a role, not of a network; choose another name",
        ),
        ("variants.cait", TERM, "variants.cait: is given twice; rename one"),
        (
            "variants.Cait",
            TERM,
            "variants.Cait: differs from cait only in case, which some file systems ignore; rename one",
        ),
        ("variants.Cait_untrained", TERM, "variants.Cait_untrained: is the control of network cait in the tables;"),
        (
            "probes",
            {"Published": PROBE},
            "probes.Published: is the name of the images of data in the tables; choose another name",
        ),
        ("variants.none", {"cross_entropy": {"weight": 0}}, "variants.none: every weight is 0, so nothing would"),
        ("variants.none", {"cross_entropy": {"weight": {"share": 0.5}}}, "variants.none: every weight is a share, and"),
        ("variants.none.cross_entropy.weight", {"share": 1}, "variants.none.cross_entropy.weight.share: 1 is not less"),
        ("variants.none.cross_entropy.weight", {"shares": 0.1}, "weight.shares: unknown key; did you mean share"),
        (
            "variants.none",
            {
                "cross_entropy": {"weight": 1},
                "soft": {"weight": {"share": 0.5}},
                "hard": {"weight": {"share": 0.5}},
            },
            "variants.none: the shares sum to 1, and must sum to less than 1",
        ),
        # Pairs.
        (
            "variants.everything.spectral.pairs",
            "last0",
            "pairs: 'last0' is not first, last, last<n> or [student block,",
        ),
        ("variants.everything.spectral.pairs", {"first": 1}, "pairs: a mapping (keys with values) is not first, last"),
        ("variants.everything.spectral.pairs", [True, 0], "pairs: true is not first, last"),
        ("variants.everything.spectral.pairs", "last99999999999", "asks for student block -2; it has blocks 0 to 1"),
        # Arguments of models.
        (
            "networks.cait.model.args.num_classes",
            5,
            "args.num_classes: cannot be set here; remove it, data.classes says it",
        ),
        ("student.model.args.pretrained", True, "remove it, weights come from networks.<name>.source and .weights"),
        ("student.model.args.depth", 10**12, "student.model.args.depth: 1000000000000 is more than any network has"),
        (
            "student.model.args.num_heads",
            0,
            "for images of 28 pixels (ZeroDivisionError: integer modulo by zero); fix",
        ),
        ("student.model.args.depth", 0, "model.name: timm gives no block features for vit_tiny_patch16_224 with"),
        ("student.model.args.norm_layer", "nope", "28 pixels (KeyError: 'nope'); fix or remove an argument"),
        # Recipes.
        ("student.recipe.schedule.warmup_epochs", 2, "student.recipe.schedule.warmup_epochs: must be less than the 2"),
        ("student.recipe.schedule.warmup_learning_rate", 1, "1 is more than the learning rate of 0.002; give less"),
        (
            "student.recipe.schedule.warmup_learning_rate",
            1e-6,
            "warmup_learning_rate: has no effect without warmup_ep",
        ),
        ("student.recipe.schedule.minimum_learning_rate", 1, "1 is more than the learning rate of 0.002; give less"),
        (
            "student.recipe.schedule",
            {"name": "constant", "minimum_learning_rate": 1e-5},
            "no effect in a constant sch",
        ),
        ("student.recipe.train_images", 9, "student.recipe.train_images: 9 images cannot show all 10 classes"),
        ("student.recipe.augmentation", {"crop_scale": [1, 0.1]}, "crop_scale: 1 is more than 0.1; give the smaller"),
        ("student.recipe.augmentation", {"crop_scale": [0.5]}, "augmentation.crop_scale: give at least 2 values"),
        (
            *("student.recipe.augmentation", {"auto_augment": "rand-m9", "color_jitter": 0.4}),
            "color_jitter: has no effect with auto_augment rand-m9 (in timm); remove one of them",
        ),
        ("student.recipe.augmentation", {"views": 3}, "augmentation.views: 3 is more than the 2 epochs, which see one"),
        (
            *("student.recipe.augmentation", {"views": 2, "repeats": 3}),
            "student.recipe.augmentation.repeats: has no effect with views, of which an epoch shows one of each image",
        ),
        # What jobs ask for.
        ("compute", {"students": {"gpu_model": "a100"}}, "compute.students.gpu_model: has no effect without a GPU"),
        ("compute", {"tables": GPU}, "compute.tables.gpu: this stage does not use a GPU; remove it"),
        (
            "compute",
            {"students": {"gpu": 1, "nodes": 2}},
            "compute.students.nodes: 1 GPUs cannot be shared equally by 2",
        ),
    ],
)
def test_a_wrong_value_is_refused_by_key(config, path, value, sentence):
    said = refusal(changed(copy.deepcopy(config), path, value))
    assert any(sentence in line for line in said), said


def test_a_missing_part_is_named_once_with_all_that_it_lacks(config):
    (sentence,) = refusal({key: config[key] for key in ("name", "teacher", "student")})
    assert sentence == "the configuration: data must be given"
    assert refusal(changed(config, "student.recipe", {"epochs": 1})) == [
        "student.recipe: batch_size, optimizer, schedule must be given"
    ]


def test_what_holds_itself_is_refused(config):
    loop: list = []
    loop.append(loop)
    assert refusal(changed(config, "seeds", [0]) | {"seeds": loop}) == ["seeds.0: contains itself; write it out"]


def test_a_whole_number_may_be_written_as_any_number(config):
    study = load(changed(changed(config, "seeds", [1.0, 2e0]), "student.recipe.epochs", 1e1))
    assert study.seeds == (1, 2) and all(type(seed) is int for seed in study.seeds)
    assert type(study.students["student"].recipe.epochs) is int and study.students["student"].recipe.epochs == 10


def test_a_long_or_nested_value_is_not_written_out(config):
    assert all("weight" not in line for line in refusal(changed(config, "seeds", config["variants"])))
    (sentence,) = refusal(changed(config, "name", "x" * 5000))
    assert len(sentence) < 250 and "..." in sentence


# Strings as timm reads them; what it does with the rest is to fail, or to go on as if it was not there.
GOOD = [
    "rand",
    "rand-m9-mstd0.5-inc1",
    "rand-m9-n3-p0.5-mmax20",
    "rand-mstd101",
    "rand-n15-tweights",
    "rand-n14-t3aw",
    "rand-n30-t3a",
    "augmix",
    "augmix-m5-w4-d2",
    "augmix-a0.5-b1-mstd1",
    "original",
    "originalr-mstd0.5",
    "v0",
    "v0r",
    "3a",
    "3a-mstd1",
]
FAIL = [
    "rand-m9-foo5",
    "rand-x9",
    "rand-m9.5",
    "rand-w0",
    "augmix-n2",
    "v0-m9",
    "v1",
    "original-foo1",
    "rand-mstd.5",
    "aug",
]
PASSED_OVER = [
    "rand-foo",
    "rand-m",
    "rand-m9-",
    "rand-tnope",
    "rand-",
    "v0-mstd",
    "augmix-x",
    "rand9-m9",
    "rand-p2",
    "augmix-w0",
    "rand-m9-m5",
]
FAIL_ON_IMAGES = ["rand-n16-tweights", "rand-n15-t3aw", "augmix-a0"]


def augmented(text: str, channels: int) -> torch.Tensor:
    mean = (0.5,) * channels
    transform = create_transform((channels, 28, 28), is_training=True, auto_augment=text, mean=mean, std=mean)
    return transform(Image.new("L" if channels == 1 else "RGB", (28, 28), 100))


@pytest.mark.parametrize("text", GOOD)
@pytest.mark.parametrize("channels", [1, 3])
def test_what_timm_can_do_is_accepted(text, channels):
    assert recipes.auto_augment_fault(text) is None
    torch.manual_seed(0)
    assert augmented(text, channels).shape == (channels, 28, 28)


@pytest.mark.parametrize("text", [*FAIL, *PASSED_OVER, *FAIL_ON_IMAGES])
def test_what_timm_refuses_or_passes_over_is_refused(config, text):
    if text in FAIL:
        with pytest.raises((AssertionError, ValueError)):
            augmented(text, 3)
    elif text in FAIL_ON_IMAGES:
        with pytest.raises((ValueError, ZeroDivisionError)):
            augmented(text, 3)
    (sentence,) = refusal(changed(config, "student.recipe", recipe_with(config, text)))
    assert sentence.startswith("student.recipe.augmentation.auto_augment: ") and text.split("-")[-1] in sentence


def recipe_with(config, text: str) -> dict:
    return config["student"]["recipe"] | {"augmentation": {"auto_augment": text}}


def test_the_sets_that_timm_draws_without_replacement_are_as_large_as_said():
    sizes = {name: len(timm_augment.rand_augment_choices(name)) for name in recipes.DRAWN_ONCE}
    assert sizes == recipes.DRAWN_ONCE
