"""Is a curve over depth U-shaped? What may be said of it, and which of these a row of numbers gets."""

import numpy as np

from ..thresholds import LEVEL

U_SHAPED, NOT_U_SHAPED, UNDECIDED, EMPTY = "U-shaped", "not U-shaped", "undecided", "flat"
# Of an entropy whose bins decide.
NOT_RESOLVED = "not resolved"
# What a test says; the others say that there was none.
TESTED = U_SHAPED, NOT_U_SHAPED, UNDECIDED, EMPTY
NO_INTERIOR, ONE_IMAGE = "no interior block", "one image"


def verdicts(p: np.ndarray, p_skewed: np.ndarray, p_none: np.ndarray, blocks: np.ndarray, flat: np.ndarray):
    """Return the verdict of each row: adjusted p values of `fall_and_rise.tested`, number of blocks, what is flat.

    Without an interior block or a second image there is no test. A flat curve is called flat, whatever p. A U needs
    p <= .05; where only blocks too skewed for so many images have it, the row is undecided. What is no U is called so
    where p_none <= .05, and is undecided otherwise.
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
