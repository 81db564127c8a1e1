"""What is expected of a teacher before any student may use it. Imports no torch."""

from .errors import StudyError


def check_accuracy(expected_top1: float | None, tolerance: float, measured: float) -> None:
    """Raise StudyError when the measured top-1 (percent) is not the expected one."""
    if expected_top1 is not None and abs(measured - expected_top1) > tolerance:
        raise StudyError(
            f"teacher.expected_top1: {measured:.2f} % was measured on the validation images, but "
            f"{expected_top1} +- {tolerance} % is expected; check weights, classes and preprocessing"
        )
