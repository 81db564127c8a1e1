"""Orthogonal Procrustes distance of two networks' rows after optimal rotation; it is a metric.

In: mean patch tokens [n, Dx] and [n, Dy] of the same n images. Both are centred and scaled to Frobenius norm 1; the
distance is min over orthogonal Q of |X - Y Q| = sqrt(2 - 2 |X^T Y|_*), |.|_* the nuclear norm, between 0 (equal up to
rotation, scale and origin) and sqrt(2). Source: Williams et al., NeurIPS 2021 (eq. 4 with the linear alignment). It is
biased: with fewer images than channels any two networks come close; the distance with shuffled images shows by how
much. Images of one group (of one photograph) count as one, their mean, since shuffling would separate them. Imports no
torch.
"""

from functools import partial

import numpy as np

from ...files import Column
from .._linear import centred, reduced
from .activations import Activations

REQUIRES = ("pooled",)
PAIR_COLUMNS = {
    "procrustes": Column(
        "", "orthogonal Procrustes distance of the mean patch tokens, 0 to sqrt(2); NaN where constant"
    ),
    "procrustes_shuffled": Column("", "control: the same with the other's images in a fixed random order"),
}


def compare(first: Activations, second: Activations) -> dict[str, np.ndarray]:
    """Return the columns of PAIR_COLUMNS, [L1, L2]."""
    ours, theirs = (rows.of_blocks("procrustes", partial(_of_block, rows)) for rows in (first, second))
    order = np.random.default_rng(0).permutation(len(first.first_images))
    return {
        name: np.array([[_distance(x, y[places]) for y in theirs] for x in ours])
        for name, places in (("procrustes", slice(None)), ("procrustes_shuffled", order))
    }


def _of_block(rows: Activations, block: int) -> np.ndarray:
    return _normalised(rows.photographs(block))


def _normalised(rows: np.ndarray) -> np.ndarray:
    """Return rows minus their mean, scaled to norm 1; NaN if they are all equal."""
    rows = reduced(centred(rows))
    norm = np.linalg.norm(rows)
    return rows / norm if norm > 0 else np.full_like(rows, np.nan)


def _distance(x: np.ndarray, y: np.ndarray) -> float:
    cross = x.T @ y
    if np.isnan(cross).any():
        return np.nan
    nuclear = np.linalg.svd(cross, compute_uv=False).sum()
    return float(np.sqrt(max(0.0, 2 - 2 * nuclear)))
