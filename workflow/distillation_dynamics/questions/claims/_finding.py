"""What is said of one claim: a verdict of four words, one sentence, and the numbers that it rests on.

The rules stand in docs/protocol.md, and each in the file of its claim. A verdict speaks of this study alone.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ...statistics.paired import interval
from ...words import listed, with_interval

SUPPORTED, CONTRADICTED = "supported", "contradicted"
NOT_SEEN, NOT_TESTABLE = "not seen here", "not testable here"
VERDICTS = SUPPORTED, CONTRADICTED, NOT_SEEN, NOT_TESTABLE
# What a verdict says of scale.
AS_SCALE, ALL_SCALE = "as scale", "all of it scale"
NO_CONTROL = "not measured"
# Of a sentence; a longer list of names is cut.
MOST_WORDS, MOST_NAMES = 25, 2


class Finding(NamedTuple):
    """The verdict, why in one sentence, its numbers, those of its control, and what its joint test says, if any."""

    verdict: str
    sentence: str
    number: str = ""
    control: str = NO_CONTROL
    scale: str = ""
    comparisons: int = 0
    p: float = np.nan
    detectable: float = np.nan


def estimate(sentence: str) -> str:
    """Return the part of a sentence that holds a number with its interval, or any number; without one all of it."""
    parts = re.split(r"[:;] |(?<=\d)\. ", sentence.rstrip("."))
    with_interval = [part for part in parts if "[" in part or "(no interval)" in part]
    last = [part for part in parts[-1:] if len(parts) > 1 and re.search(r"\d", part)]
    return (with_interval or last or [sentence.rstrip(".")])[-1]


def few(names: Sequence[str]) -> str:
    """Return 'a', 'a and b', 'a, b and 3 more': the names that a sentence has room for."""
    names = list(dict.fromkeys(names))
    more = len(names) - MOST_NAMES
    return listed(names) if more <= 0 else listed([*names[:MOST_NAMES], f"{more} more"])


def mean_interval(values: np.ndarray, comparisons: int = 1) -> tuple[float, float, float]:
    """Return mean and interval over seeds of values [n], 95 % for all of so many comparisons (Bonferroni)."""
    return float(np.mean(values)), *interval(values, comparisons)


def mean_with_interval(mean: float, low: float, high: float) -> str:
    """Return '+0.22 [-0.09, +0.53]', or that there is no interval."""
    return f"{mean:+.2f} (no interval)" if np.isnan(low) else with_interval(mean, low, high, "+")
