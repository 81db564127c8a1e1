"""Class separability by nearest images in a block's mean patch token: leave-one-out top-1.

In: mean patch tokens [n, C] and labels [n]. Out: percent. The k nearest other images by cosine vote, with k = 10 or the
size of the smallest class minus one. Ties go to the class with the larger sum of cosines. Images of the same group (of
one photograph) do not vote; if a class has a single group, its images cannot be predicted.
"""

import numpy as np

from ..files import Column
from ._classes import ByClass, indices
from ._linear import nearest, sizes_of

REQUIRES = ("features",)
NEIGHBOURS = 10
BLOCK_COLUMNS = {
    "nearest_probe_top1": Column("%", "leave-one-out top-1 of the nearest images by cosine of mean patch tokens"),
}


def nearest_probe_top1(rows: np.ndarray, labels: np.ndarray, groups: np.ndarray | None = None) -> float:
    """Leave-one-out top-1 in percent of rows [n, C] with labels [n]; with `groups` [n] a whole group is left out.

    NaN where all rows point the same way, or one is zero. Raises ValueError for fewer than two classes, or a class of
    one image or group.
    """
    groups = np.arange(len(labels)) if groups is None else groups
    classes = indices(labels, groups)
    # By class, the fewest images in other groups than any one of its images.
    found = nearest(rows, min(NEIGHBOURS, _fewest_others(classes, groups)), groups)
    if found is None:
        return np.nan
    places, cosines = found
    k, count = places.shape[1], classes.max() + 1
    cells = np.arange(len(rows))[:, None] * count + classes[places]
    # Added to a vote it is above 0 and, summed over all k, below 1.
    votes = np.bincount(cells.ravel(), (1 + (cosines + 1.5) / (4 * k)).ravel(), minlength=len(rows) * count)
    return 100 * float(np.mean(votes.reshape(-1, count).argmax(axis=1) == classes))


def _fewest_others(classes: np.ndarray, groups: np.ndarray) -> int:
    """Return the fewest images of its own class in other groups that any image has."""
    places = np.unique_inverse(groups).inverse_indices
    alike = sizes_of(classes * len(groups) + places)
    return int((np.bincount(classes)[classes] - alike).min())


class Metric(ByClass):
    """The nearest-neighbour probe of every block."""

    HOLDS_OUT = True

    def of_classes(
        self, rows: np.ndarray, labels: np.ndarray, positions: np.ndarray, groups: np.ndarray
    ) -> dict[str, float]:
        """Return the columns of BLOCK_COLUMNS."""
        return {"nearest_probe_top1": nearest_probe_top1(rows, labels, groups)}
