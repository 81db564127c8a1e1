"""Checks of recipes, also against images and GPUs, and of timm's strings. Imports no torch."""

import re
from collections.abc import Callable, Iterator

from ..errors import nearest
from ..spec.faults import said
from ..spec.training import Augmentation, Mixing, Recipe
from .keys import Configuration
from .students import key_of, students_of
from .study import Study

# Parts after the first word of timm's string `auto_augment`, separated by dashes: a letter or name, and its value.
MSTD = r"mstd\d+(\.\d+)?"
AUTO_AUGMENT = {
    "rand": rf"m\d+|n[1-9]\d*|p(0(\.\d+)?|1(\.0+)?)|{MSTD}|mmax[1-9]\d*|inc[01]|t(weights|3aw|3a)",
    "augmix": rf"m\d+|w[1-9]\d*|d\d+|b[01]|{MSTD}|a(0*[1-9]\d*(\.\d+)?|0+\.0*[1-9]\d*)",
    **dict.fromkeys(("original", "originalr", "v0", "v0r", "3a"), MSTD),
}
# Largest accepted share of the first weights in a weight average.
MOST_OF_FIRST = 0.1
# Number of transforms in sets from which timm draws without replacement.
DRAWN_ONCE = {"weights": 15, "3aw": 14}


def recipes(config: Configuration) -> dict[str, Recipe]:
    """Return all recipes of a study by their key."""
    found = {f"networks.{name}.recipe": part.recipe for name, part in config.networks.items()}
    found |= {f"{key_of(config, name)}.recipe": student.recipe for name, student in students_of(config).items()}
    return {key: recipe for key, recipe in found.items() if recipe is not None}


def recipe_faults(config: Configuration) -> Iterator[str]:
    """Yield a sentence for each value of a recipe that cannot work or has no effect."""
    classes = config.data.classes
    for key, recipe in recipes(config).items():
        schedule, rate = recipe.schedule, recipe.optimizer.learning_rate
        if recipe.train_images is not None and classes is not None and recipe.train_images < classes:
            yield f"{key}.train_images: {recipe.train_images} images cannot show all {classes} classes; give more"
        if 0 < schedule.warmup_epochs >= recipe.epochs:
            yield f"{key}.schedule.warmup_epochs: must be less than the {recipe.epochs} epochs"
        for name in ("warmup_learning_rate", "minimum_learning_rate"):
            if (given := getattr(schedule, name)) > rate:
                yield f"{key}.schedule.{name}: {given:g} is more than the learning rate of {rate:g}; give less"
        if schedule.warmup_learning_rate and not schedule.warmup_epochs:
            yield f"{key}.schedule.warmup_learning_rate: has no effect without warmup_epochs; give them or remove it"
        if schedule.minimum_learning_rate and schedule.name == "constant":
            yield f"{key}.schedule.minimum_learning_rate: has no effect in a constant schedule; remove it"
        if recipe.augmentation is not None:
            yield from _augmentation_faults(f"{key}.augmentation", recipe.augmentation, recipe.epochs)
        if recipe.mixing is not None:
            yield from _mixing_faults(key, recipe, recipe.mixing)


def _mixing_faults(key: str, recipe: Recipe, mixing: Mixing) -> Iterator[str]:
    if not mixing.mixup and not mixing.cutmix:
        yield f"{key}.mixing: mixes nothing; give mixup, cutmix or both more than 0, or remove it"
    elif not (mixing.mixup and mixing.cutmix) and mixing.switch_probability != Mixing.switch_probability:
        yield f"{key}.mixing.switch_probability: has no effect without both mixup and cutmix; give both or remove it"
    if recipe.batch_size % 2:
        yield f"{key}.batch_size: {recipe.batch_size} images cannot be paired for mixing; give an even number"
    if recipe.augmentation is not None and recipe.augmentation.views is not None:
        yield f"{key}.augmentation.views: has no effect with mixing, which shows no image twice; remove one of them"


def student_key(study: Study, name: str) -> str:
    """Return the key of a student of a study."""
    return f"students.{name}" if "students" in study.configuration else name


def average_notes(study: Study, images: Callable[[Recipe], int | None]) -> Iterator[str]:
    """Yield a sentence for each weight average dominated by the first weights; `images`: those of a recipe, if known.

    With a warm-up none is: update n + 1 leaves at most 1 - (n + 1)^(-2/3) of the average.
    """
    found = {f"networks.{name}.recipe": network.recipe for name, network in study.networks.items()}
    found |= {f"{student_key(study, name)}.recipe": student.recipe for name, student in study.students.items()}
    for key, recipe in found.items():
        if recipe is None or recipe.ema is None or recipe.ema.warmup or (count := images(recipe)) is None:
            continue
        updates = count // recipe.batch_size * recipe.epochs
        if (first := recipe.ema.decay ** (updates - 1)) > MOST_OF_FIRST:
            yield (
                f"{key}.ema.decay: {100 * first:.0f} % of the average that is measured are the weights after the first "
                f"of {updates} updates; lower it, or set warmup: true"
            )


def _augmentation_faults(key: str, augmentation: Augmentation, epochs: int) -> Iterator[str]:
    if augmentation.views is not None and augmentation.views > epochs:
        yield f"{key}.views: {augmentation.views} is more than the {epochs} epochs, which see one each"
    if augmentation.views is not None and augmentation.repeats > 1:
        yield f"{key}.repeats: has no effect with views, of which an epoch shows one of each image; remove one of them"
    low, high = augmentation.crop_scale
    if low > high:
        yield f"{key}.crop_scale: {low:g} is more than {high:g}; give the smaller area first"
    if (text := augmentation.auto_augment) is None:
        return
    if fault := auto_augment_fault(text):
        yield f"{key}.auto_augment: {fault}"
    elif augmentation.color_jitter and "3a" not in text:
        yield f"{key}.color_jitter: has no effect with auto_augment {text} (in timm); remove one of them"


def auto_augment_fault(text: str) -> str | None:
    """Return what timm would refuse or silently ignore in its string `auto_augment`; None if nothing."""
    first, *parts = text.split("-")
    if first not in AUTO_AUGMENT:
        return f"{said(text)} is not an augmentation of timm (rand-m9-mstd0.5); {nearest(first, list(AUTO_AUGMENT))}"
    given: dict[str, str] = {}
    for part in parts:
        if not re.fullmatch(AUTO_AUGMENT[first], part):
            return (
                f"{part!r} in {text!r} is not a part of {first}; give parts as timm's auto_augment names them, or none"
            )
        name = next(name for name in ("mstd", "mmax", "inc", part[0]) if part.startswith(name))
        if name in given:
            return f"{name} is given twice in {text!r}; remove one"
        given[name] = part.removeprefix(name)
    most = DRAWN_ONCE.get(given.get("t", ""))
    if most is not None and int(given.get("n", 2)) > most:
        return f"n{given['n']} in {text!r}: of t{given['t']} at most {most} are drawn"
    return None
