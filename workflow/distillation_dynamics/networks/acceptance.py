"""What is expected of a network, and of the room for what it says, before students use it. Imports no torch."""

import math
import shutil
from pathlib import Path
from typing import Any

from ..errors import StudyError

# Bytes that the stored outputs of a teacher may take.
MOST_STORED = 100e9
# As often as this a network at chance may pass for one that beats it.
LEVEL = 1e-3


def check_teacher(
    name: str, result: dict[str, Any], expected_top1: float | None, tolerance: float, teaches: bool
) -> None:
    """Raise StudyError where a network may not be what the study takes it for; `result` is its `result.json`.

    With `expected_top1` (percent) its accuracy must be that. Without, a network that teaches must beat chance clearly:
    by more than luck, and by as much as `least_top1` asks for. Accuracy is that on the validation images, where there
    are any, or else on the test images.
    """
    split = "test" if result["validation_top1"] is None else "validation"
    measured = result[f"{split}_top1"]
    if expected_top1 is not None:
        if measured is None:
            raise StudyError(
                f"networks.{name}.expected_top1: its accuracy cannot be measured, since it has no head for the images' "
                "classes; leave expected_top1 out"
            )
        if abs(measured - expected_top1) > tolerance:
            raise StudyError(
                f"networks.{name}.expected_top1: {measured:.2f} % was measured on held-out images, but "
                f"{expected_top1} +- {tolerance} % is expected; check weights, classes and view"
            )
        return
    if not teaches:
        return
    if measured is None:
        raise StudyError(
            f"networks.{name}: a teacher's accuracy must be measured, but {result['not_measured']}; choose another "
            "teacher, or one with a head for the images' classes"
        )
    images, chance, classes = result[f"{split}_images"], result[f"{split}_chance"], result["classes"]
    if not beats_chance(measured, images, chance, classes):
        raise StudyError(
            f"networks.{name}: its top-1 on {images} {split} images of {classes} classes is {measured:.2f} %, which "
            f"does not beat chance ({chance:.2f} %) clearly enough to teach: the least is {least_top1(classes):.2f} %, "
            "and more than luck gives; check weights, head and classes, train it longer, or say expected_top1"
        )


def least_top1(classes: int) -> float:
    """Return the least top-1 in percent that beats chance clearly by its size.

    Twice what guessing gives or, where that asks for more (of two classes for all), half of what guessing leaves open.
    """
    guessed = 100 / classes
    return min(2 * guessed, (guessed + 100) / 2)


def beats_chance(top1: float, images: int, chance: float, classes: int) -> bool:
    """Whether top-1 on so many images beats chance (both in percent) clearly: by its size, and by more than luck.

    Luck is what a network has that always says the most frequent class, whose share is `chance`, or guesses as often
    right (one-sided binomial test, p < LEVEL).
    """
    return top1 >= least_top1(classes) and _by_luck(round(top1 * images / 100), images, chance / 100) < LEVEL


def _by_luck(right: int, images: int, share: float) -> float:
    """Return how often at least so many of the images are right by luck, each with the probability `share`."""
    if right <= 0 or share >= 1:
        return 1.0
    if share <= 0:
        return 0.0
    # By logarithms, and not by scipy.stats: a plan asks this, and would wait a second for its import.
    chosen = math.lgamma(images + 1)
    return math.fsum(
        math.exp(
            chosen - math.lgamma(count + 1) - math.lgamma(images - count + 1)
            + count * math.log(share) + (images - count) * math.log1p(-share)
        )
        for count in range(right, images + 1)
    )  # fmt: skip


def check_stored(size: int, folder: str | Path) -> None:
    """Raise StudyError where a teacher's outputs of `size` bytes are too much to be stored in `folder`."""
    existing = next(path for path in (Path(folder), *Path(folder).absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if size > min(MOST_STORED, free):
        raise StudyError(
            f"student.recipe: the teacher's outputs on the training images, stored because views are fixed, would take "
            f"{size / 1e9:.1f} GB; at most {MOST_STORED / 1e9:.0f} GB are stored, and {free / 1e9:.1f} GB are free; "
            "give student.recipe.augmentation without views (the teacher is then asked for every batch), or fewer "
            "train_images, views or pairs of blocks"
        )
