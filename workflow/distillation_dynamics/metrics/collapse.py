"""Collapse of a block's mean patch tokens to their class means: NC1, 0 if images of a class are identical.

In: mean patch tokens [n, C] and labels [n]. Out: tr(S_W pinv(S_B)) / K for K classes. S_W is the mean over images of
the outer product of deviations from the class mean; S_B is the mean over classes of that of class means from the mean
of class means. Source: Papyan, Han, Donoho, PNAS 2020, with classes of equal size, so that the mean of class means is
that of all images. For unequal classes the latter would give S_B a K-th tiny eigenvalue whose inverse dominates the
result.
"""

import numpy as np

from ..files import Column
from ._classes import ByClass, indices
from ._linear import centred, reduced

REQUIRES = ("features",)
BLOCK_COLUMNS = {
    "nc1": Column("", "within-class scatter by the pseudo-inverse of that between classes, over classes (NC1)"),
}


def nc1(rows: np.ndarray, labels: np.ndarray) -> float:
    """Return NC1 of rows [n, C] with labels [n]; NaN if all class means are equal.

    Raises ValueError for fewer than two classes, or a class of one image.
    """
    classes = indices(labels)
    rows = reduced(centred(rows))
    counts = np.bincount(classes)
    means = np.zeros((len(counts), rows.shape[1]))
    np.add.at(means, classes, rows)
    means /= counts[:, None]
    within = rows - means[classes]
    _, singular, directions = np.linalg.svd(means - means.mean(axis=0), full_matrices=False)
    # Differences of class means due to rounding alone.
    rounding = max(rows.shape) * np.finfo(np.float64).eps * max(singular[0], np.abs(rows).max())
    kept = singular > rounding
    if not kept.any():
        return np.nan
    scatter = np.square(within @ directions[kept].T).mean(axis=0)
    # The eigenvalues of S_B are squared singular values over K.
    return float(np.sum(scatter / np.square(singular[kept])))


class Metric(ByClass):
    """NC1 of every block."""

    def of_classes(
        self, rows: np.ndarray, labels: np.ndarray, positions: np.ndarray, groups: np.ndarray
    ) -> dict[str, float]:
        """Return the columns of BLOCK_COLUMNS."""
        return {"nc1": nc1(rows, labels)}
