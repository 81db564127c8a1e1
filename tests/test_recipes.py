"""What a recipe may ask for beyond optimiser and views: what cannot be meant is said; what is, in a report's head."""

import pytest

from distillation_dynamics.report.head import recipe_said
from distillation_dynamics.study.recipes import average_notes
from helpers import changed, load, smoke_config
from test_faults import refusal

RECIPE = smoke_config()["student"]["recipe"]
MIXES = RECIPE | {"mixing": {"mixup": 0.8}}


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("student.recipe.mixing", {}, "student.recipe.mixing: mixes nothing; give mixup, cutmix or both more than 0"),
        ("student.recipe.mixing", {"mixup": 0.8, "probability": 0}, "mixing.probability: 0 is not greater than 0"),
        (
            *("student.recipe.mixing", {"cutmix": 1, "switch_probability": 0.2}),
            "student.recipe.mixing.switch_probability: has no effect without both mixup and cutmix; give both",
        ),
        (
            "student.recipe",
            MIXES | {"batch_size": 63},
            "student.recipe.batch_size: 63 images cannot be paired for mixing",
        ),
        (
            "networks.cait.recipe",
            MIXES | {"batch_size": 63},
            "networks.cait.recipe.batch_size: 63 images cannot be paired",
        ),
        (
            *("student.recipe", MIXES | {"augmentation": {"views": 2}}),
            "student.recipe.augmentation.views: has no effect with mixing, which shows no image twice; remove one of",
        ),
        ("student.recipe.augmentation", {"repeats": 0}, "augmentation.repeats: 0 is less than the minimum of 1"),
        ("student.recipe.ema", {"warmup": True}, "student.recipe.ema: decay must be given"),
        ("student.recipe.ema", {"decay": 1}, "student.recipe.ema.decay: 1 is not less than 1"),
    ],
)
def test_what_a_recipe_cannot_mean_is_said(path, value, sentence):
    assert any(sentence in said for said in refusal(changed(smoke_config(), path, value)))


@pytest.mark.parametrize("name", ["dkd", "nkd"])
def test_a_term_of_one_label_is_refused_where_labels_are_mixed(name):
    config = smoke_config() | {
        "variants": {"one": {"cross_entropy": {"weight": 1}, "late": {"objective": name, "weight": 1}}}
    }
    assert load(config).variants
    (said,) = refusal(changed(config, "student.recipe.mixing", {"mixup": 0.8}))
    assert said == (
        f"variants.one.late: {name} takes one label of an image, and student.recipe.mixing mixes them; remove the "
        "term, or the mixing"
    )


def test_an_average_that_is_mostly_of_the_beginning_is_noted():
    def notes(images=320, **ema):
        study = load(changed(smoke_config(), "student.recipe.ema", {"decay": 0.999} | ema))
        return list(average_notes(study, lambda recipe: images))

    # 2 epochs of 5 batches: .999^9 of the average.
    assert notes() == [
        "student.recipe.ema.decay: 99 % of the average that is measured are the weights after the first of 10 updates; "
        "lower it, or set warmup: true"
    ]
    assert notes(decay=0.77) == [] and notes(decay=0.78) != []  # .77^9 = .095, .78^9 = .107
    assert notes(warmup=True) == [] and notes(images=None) == []


def test_each_gpu_mixes_pairs_of_its_own():
    config = changed(smoke_config(), "compute", {"students": {"gpu": 2}})
    (said,) = refusal(changed(config, "student.recipe", MIXES | {"batch_size": 66}))
    assert said == (
        "compute.students.gpu: student.recipe.batch_size must be a multiple of 4, since each of the 2 GPUs mixes its "
        "images in pairs"
    )


def test_the_head_names_all_that_is_not_in_every_recipe():
    recipe = {"epochs": 2, "batch_size": 64, "optimizer": RECIPE["optimizer"], "schedule": {"name": "cosine"}}
    plain = recipe_said(recipe)
    assert plain == "2 epochs of all training images, batches of 64, adamw at 0.002, cosine"
    assert recipe_said(recipe | {"mixing": None, "ema": None, "augmentation": None}) == plain
    whole = recipe | {
        "clip_gradient_norm": 1.0,
        "augmentation": {"repeats": 3},
        "mixing": {"mixup": 0.8, "cutmix": 0.0},
        "ema": {"decay": 0.999, "warmup": True},
    }
    assert recipe_said(whole) == (
        f"{plain}, gradient clipped at 1, each image in 3 views in a row, mixup 0.8, measured with the average of the "
        "weights over the updates (EMA, decay 0.999 after a warm-up)"
    )
    assert recipe_said(recipe | {"mixing": {"mixup": 0.0, "cutmix": 1.0}}) == f"{plain}, cutmix 1"
