"""What is expected of a teacher, and of the room for what it says, before students use it. Imports no torch."""

import shutil
from pathlib import Path

from .errors import StudyError

# Bytes that the stored outputs of a teacher may take.
MOST_STORED = 100e9


def check_accuracy(expected_top1: float | None, tolerance: float, measured: float) -> None:
    """Raise StudyError when the measured top-1 (percent) is not the expected one."""
    if expected_top1 is not None and abs(measured - expected_top1) > tolerance:
        raise StudyError(
            f"teacher.expected_top1: {measured:.2f} % was measured on the validation images, but "
            f"{expected_top1} +- {tolerance} % is expected; check weights, classes and preprocessing"
        )


def check_stored(size: int, folder: str | Path) -> None:
    """Raise StudyError where a teacher's outputs of `size` bytes are too much to be stored in `folder`."""
    existing = next(path for path in (Path(folder), *Path(folder).absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if size > min(MOST_STORED, free):
        raise StudyError(
            f"student.recipe: the teacher's outputs on the training images, stored since views are fixed, would take "
            f"{size / 1e9:.1f} GB; at most {MOST_STORED / 1e9:.0f} GB are stored, and {free / 1e9:.1f} GB are free; "
            "give student.recipe.augmentation without views (the teacher is then asked for every batch), or fewer "
            "train_images, views or pairs of blocks"
        )
