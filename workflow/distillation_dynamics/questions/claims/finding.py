"""What is said of one claim."""

from typing import NamedTuple

import numpy as np

from ...statistics.paired import interval

SUPPORTED, CONTRADICTED, UNDECIDED, UNTESTABLE = "supported", "contradicted", "undecided", "not testable here"
NO_CONTROL = "not measured"


class Finding(NamedTuple):
    """The verdict, its numbers, those of its control, and why."""

    verdict: str
    number: str
    control: str
    why: str


def untestable(why: str, number: str = "", control: str = NO_CONTROL) -> Finding:
    """Return that a claim cannot be tested here, and why."""
    return Finding(UNTESTABLE, number, control, why)


def mean_interval(values: np.ndarray) -> tuple[float, float, float]:
    """Return mean and 95 % t interval over seeds of values [n]; NaN for the interval with one seed."""
    return float(np.mean(values)), *interval(values)


def mean_with_interval(mean: float, low: float, high: float) -> str:
    """Return '+0.22 [-0.09, 0.53]', or that there is no interval."""
    return f"{mean:+.2f} [no interval]" if np.isnan(low) else f"{mean:+.2f} [{low:+.2f}, {high:+.2f}]"
