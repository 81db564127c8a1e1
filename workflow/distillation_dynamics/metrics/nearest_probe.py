"""How well the nearest images by a block's mean patch token tell an image's class: leave-one-out top-1.

In: mean patch tokens [n, C] and labels [n]. Out: percent. Near by cosine; the k nearest other images vote, k = 10 or,
where the smallest class has fewer others, as many as it has. Of classes with equal votes that wins whose cosines add
up to more.
"""

import numpy as np

from ..files import Column
from ._classes import ByClass, indices
from ._linear import nearest

REQUIRES = ("features",)
NEIGHBOURS = 10
BLOCK_COLUMNS = {
    "nearest_probe_top1": Column("%", "leave-one-out top-1 of the nearest images by cosine of mean patch tokens"),
}


def nearest_probe_top1(rows: np.ndarray, labels: np.ndarray) -> float:
    """Leave-one-out top-1 in percent of rows [n, C] with labels [n].

    NaN where all rows point the same way, or one is zero. Raises ValueError for fewer than two classes, or a class of
    one image.
    """
    classes = indices(labels)
    found = nearest(rows, min(NEIGHBOURS, int(np.bincount(classes).min()) - 1))
    if found is None:
        return np.nan
    places, cosines = found
    k, count = places.shape[1], classes.max() + 1
    cells = np.arange(len(rows))[:, None] * count + classes[places]
    # What is added to a vote is above 0 and stays, over all k, below 1.
    votes = np.bincount(cells.ravel(), (1 + (cosines + 1.5) / (4 * k)).ravel(), minlength=len(rows) * count)
    return 100 * float(np.mean(votes.reshape(-1, count).argmax(axis=1) == classes))


class Metric(ByClass):
    """The probe of every block."""

    def of_classes(self, rows: np.ndarray, labels: np.ndarray, positions: np.ndarray) -> dict[str, float]:
        """Return the columns of BLOCK_COLUMNS."""
        return {"nearest_probe_top1": nearest_probe_top1(rows, labels)}
