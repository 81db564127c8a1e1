"""Checks a network's accuracy and the space for its outputs before students use it. Imports no torch."""

import math
import shutil
from pathlib import Path
from typing import Any

from ..errors import StudyError

# Maximum bytes of a teacher's stored outputs.
MOST_STORED = 100e9
# Probability that a network at chance passes the test.
LEVEL = 1e-3


def check_teacher(
    name: str, result: dict[str, Any], expected_top1: float | None, tolerance: float, teaches: bool
) -> None:
    """Raise StudyError if a network's accuracy is not as expected; `result` is its `result.json`.

    With `expected_top1` (percent) the accuracy must equal it. Without, a teacher must clearly beat chance:
    significantly, and by the margin of `least_top1`. Accuracy is on the validation images if there are any, else on the
    test images.
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
    """Return the least top-1 in percent that clearly beats chance in size.

    Twice the chance level or, if larger (always with two classes), halfway between chance and 100 %.
    """
    guessed = 100 / classes
    return min(2 * guessed, (guessed + 100) / 2)


def beats_chance(top1: float, images: int, chance: float, classes: int) -> bool:
    """Return whether top-1 on `images` images clearly beats chance (both in percent), in size and significantly.

    Chance is the accuracy of always predicting the most frequent class, `chance`, or of guessing (one-sided binomial
    test, p < LEVEL).
    """
    return top1 >= least_top1(classes) and _by_luck(round(top1 * images / 100), images, chance / 100) < LEVEL


def _by_luck(right: int, images: int, share: float) -> float:
    """Return the probability of at least `right` correct images of `images`, each with probability `share`."""
    if right <= 0 or share >= 1:
        return 1.0
    if share <= 0:
        return 0.0
    # With logarithms instead of scipy.stats, whose import would take a plan a second.
    chosen = math.lgamma(images + 1)
    return math.fsum(
        math.exp(
            chosen - math.lgamma(count + 1) - math.lgamma(images - count + 1)
            + count * math.log(share) + (images - count) * math.log1p(-share)
        )
        for count in range(right, images + 1)
    )  # fmt: skip


def check_stored(size: int, folder: str | Path) -> None:
    """Raise StudyError if a teacher's outputs of `size` bytes are too large to store in `folder`."""
    existing = next(path for path in (Path(folder), *Path(folder).absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if size > min(MOST_STORED, free):
        raise StudyError(
            f"student.recipe: the teacher's outputs on the training images, stored because views are fixed, would take "
            f"{size / 1e9:.1f} GB; at most {MOST_STORED / 1e9:.0f} GB are stored, and {free / 1e9:.1f} GB are free; "
            "give student.recipe.augmentation without views (the teacher is then asked for every batch), or fewer "
            "train_images, views or pairs of blocks"
        )
