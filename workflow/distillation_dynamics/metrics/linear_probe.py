"""Linear separability of classes by a block's mean patch token: held-out top-1 of ridge regression.

In: mean patch tokens [n, C] and labels [n]. Out: percent. Closed form to one-hot classes, without penalty on the
intercept; every image is predicted once, from the other four of five folds. Images of one group (of one photograph)
share a fold; if a class has a single group, its images cannot be predicted. The penalty is RIDGE times the mean
eigenvalue of the training rows' centred second moment (its trace over the min(n - 1, C) eigenvalues), so that scale and
rotation of the channels have no effect.
"""

import numpy as np
from scipy.linalg import solve

from ..files import Column
from ._classes import ByClass, indices
from ._linear import centred, reduced

REQUIRES = ("features",)
OPTIONS = ("seed",)
FOLDS = 5
RIDGE = 0.03
BLOCK_COLUMNS = {
    "linear_probe_top1": Column("%", "held-out top-1 of ridge regression from mean patch tokens to classes"),
    "linear_probe_chance": Column("%", "share of the most frequent class"),
}


def probe_folds(
    labels: np.ndarray, positions: np.ndarray, seed: int = 0, groups: np.ndarray | None = None
) -> np.ndarray:
    """Return the fold 0..4 of each image, [n], from labels, positions and groups [n] (None: no groups).

    Groups of a class (the class of most of their images, the lowest if tied) are spread evenly over folds, in an order
    drawn from `seed` and each group's first position; the order of images has no effect.
    """
    of_group = np.arange(len(labels)) if groups is None else np.unique_inverse(groups).inverse_indices
    count = of_group.max() + 1
    classes = np.unique_inverse(labels)
    votes = np.bincount(of_group * len(classes.values) + classes.inverse_indices, minlength=count * len(classes.values))
    most = votes.reshape(count, -1).argmax(axis=1)
    first = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(first, of_group, positions)
    drawn = np.array([np.random.default_rng([seed, int(position)]).random() for position in first])
    fold = np.empty(count, dtype=np.int64)
    fold[np.lexsort((first, drawn, most))] = np.arange(count) % FOLDS
    return fold[of_group]


def linear_probe_top1(rows: np.ndarray, labels: np.ndarray, fold: np.ndarray) -> float:
    """Return held-out top-1 in percent of rows [n, C] with labels [n]; each `fold` [n] is predicted from the others.

    NaN if all rows are equal. Raises ValueError for fewer than two classes, or a class of one image.
    """
    classes = indices(labels)
    wanted = np.eye(classes.max() + 1)[classes]
    rows = reduced(centred(rows))
    if not rows.any():
        return np.nan
    right = 0
    for number in np.unique(fold):
        held = fold == number
        mean, frequency = rows[~held].mean(axis=0), wanted[~held].mean(axis=0)
        x, y = rows[~held] - mean, wanted[~held] - frequency
        moment = x.T @ x
        penalty = RIDGE * moment.trace() / min(len(x) - 1, x.shape[1])
        # Training rows that are all equal teach nothing.
        if penalty > 0:
            weights = solve(moment + penalty * np.eye(len(moment)), x.T @ y, assume_a="pos")
            predicted = ((rows[held] - mean) @ weights + frequency).argmax(axis=1)
        else:
            predicted = frequency.argmax()
        right += int(np.sum(predicted == classes[held]))
    return 100 * right / len(rows)


class Metric(ByClass):
    """The linear probe of every block."""

    HOLDS_OUT = True

    def of_classes(
        self, rows: np.ndarray, labels: np.ndarray, positions: np.ndarray, groups: np.ndarray
    ) -> dict[str, float]:
        """Return the columns of BLOCK_COLUMNS."""
        share = np.unique_counts(labels).counts.max() / len(labels)
        top1 = linear_probe_top1(rows, labels, probe_folds(labels, positions, self.settings.seed, groups))
        return {"linear_probe_top1": top1, "linear_probe_chance": 100 * share}
