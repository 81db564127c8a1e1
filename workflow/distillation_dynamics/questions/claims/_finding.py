"""A finding on one claim: one of four verdicts, one sentence, and the numbers behind it.

The rules are in docs/protocol.md, and in the file of each claim. A verdict concerns this study only.
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...report.templates import rendered
from ...statistics.paired import interval
from ...words import listed, with_interval

SUPPORTED, CONTRADICTED = "supported", "contradicted"
NOT_SEEN, NOT_TESTABLE = "not seen here", "not testable here"
VERDICTS = SUPPORTED, CONTRADICTED, NOT_SEEN, NOT_TESTABLE
# Remarks on scale in a verdict.
AS_SCALE, ALL_SCALE = "as scale", "all of it scale"
NO_CONTROL = "not measured"
# Maximum number of names in a sentence.
MOST_WORDS, MOST_NAMES = 25, 2


class Finding(NamedTuple):
    """Verdict of a claim, reason in one sentence, its numbers, those of its control, and its joint test, if any."""

    verdict: str
    sentence: str
    number: str = ""
    control: str = NO_CONTROL
    scale: str = ""
    comparisons: int = 0
    p: float = np.nan
    detectable: float = np.nan


def why(case: str, **values: Any) -> str:
    """Return the sentence on a claim for a case of `words.md.j2`, with the values that it names."""
    return rendered("questions/claims/words.md.j2", case=case, **values)[0]


def estimate(sentence: str) -> str:
    """Return the part of a sentence with a number and interval, or with any number; the whole sentence without one."""
    parts = re.split(r"[:;] |(?<=\d)\. ", sentence.rstrip("."))
    with_interval = [part for part in parts if "[" in part or "(no interval)" in part]
    last = [part for part in parts[-1:] if len(parts) > 1 and re.search(r"\d", part)]
    return (with_interval or last or [sentence.rstrip(".")])[-1]


def few(names: Sequence[str]) -> str:
    """Return 'a', 'a and b', 'a, b and 3 more': as many names as fit."""
    names = list(dict.fromkeys(names))
    more = len(names) - MOST_NAMES
    return listed(names) if more <= 0 else listed([*names[:MOST_NAMES], f"{more} more"])


def mean_interval(values: np.ndarray, comparisons: int = 1) -> tuple[float, float, float]:
    """Return mean and interval over seeds of values [n], simultaneous 95 % for that many comparisons (Bonferroni)."""
    return float(np.mean(values)), *interval(values, comparisons)


def mean_with_interval(mean: float, low: float, high: float) -> str:
    """Return '+0.22 [-0.09, +0.53]', or that there is no interval."""
    return f"{mean:+.2f} (no interval)" if np.isnan(low) else with_interval(mean, low, high, "+")
