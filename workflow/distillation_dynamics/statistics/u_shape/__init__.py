"""Decides whether a curve over depth is U-shaped: the possible verdicts, and the verdict for a row of numbers."""

import numpy as np

from ..thresholds import LEVEL

U_SHAPED, NOT_U_SHAPED, UNDECIDED, EMPTY = "U-shaped", "not U-shaped", "undecided", "flat"
# For an entropy that depends on the position of bins.
NOT_RESOLVED = "not resolved"
# Verdicts of a test; the others mean that there was none.
TESTED = U_SHAPED, NOT_U_SHAPED, UNDECIDED, EMPTY
NO_INTERIOR, ONE_IMAGE = "no interior block", "one image"


def verdicts(p: np.ndarray, p_skewed: np.ndarray, p_none: np.ndarray, blocks: np.ndarray, flat: np.ndarray):
    """Return the verdict of each row from adjusted p values of `fall_and_rise.tested`, number of blocks, and flatness.

    Without an interior block or a second image there is no test. A flat curve is called flat, whatever its p. A U needs
    p <= .05; if only blocks that are too skewed for the number of images have it, the row is undecided. Without a U the
    row is called so if p_none <= .05, otherwise undecided.
    """
    p = np.asarray(p, dtype=np.float64)
    cases = [
        (np.asarray(blocks) < 3, NO_INTERIOR),
        (np.isnan(p), ONE_IMAGE),
        (np.asarray(flat), EMPTY),
        (p <= LEVEL, U_SHAPED),
        (np.asarray(p_skewed) <= LEVEL, UNDECIDED),
        (np.asarray(p_none) <= LEVEL, NOT_U_SHAPED),
    ]
    conditions, names = zip(*cases, strict=True)
    return np.select(conditions, names, UNDECIDED)
