"""Operations on rows [n, C] shared by metrics: centring, reduction, nearest rows.

Imports no torch.
"""

from typing import Any

import numpy as np

# Rows whose directions differ only by rounding have no nearest row.
TOLERANCE = 1e-12
CHUNK_VALUES = 2**23


def centred(rows: np.ndarray) -> np.ndarray:
    """Return rows [n, C] minus their mean, float64; identical rows become exactly 0."""
    moved = rows.astype(np.float64) - rows[0].astype(np.float64)
    return moved - moved.mean(axis=0)


def reduced(rows: np.ndarray) -> np.ndarray:
    """Return rows [n, min(n, C)], float64, with the same inner products as rows [n, C]."""
    if rows.shape[0] >= rows.shape[1]:
        return rows
    triangular: Any = np.linalg.qr(rows.T, mode="r")
    return np.ascontiguousarray(triangular.T)


def sizes_of(groups: np.ndarray) -> np.ndarray:
    """Return for each image the size of its group, itself included, [n], from groups [n]."""
    found = np.unique(groups, return_inverse=True, return_counts=True)
    return found[2][found[1]]


def of_groups(rows: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the mean row of each group, [G, C] in float64, in the order of groups [n]; the rows themselves if all
    groups are single.
    """
    first, places, sizes = np.unique(groups, return_index=True, return_inverse=True, return_counts=True)[1:]
    if len(sizes) == len(rows):
        return rows
    sums = np.zeros((len(sizes), rows.shape[1]))
    np.add.at(sums, places, rows)
    return (sums / sizes[:, None])[np.argsort(first)]


def nearest(rows: np.ndarray, k: int, groups: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the k rows nearest to each by cosine, as indices [n, k] in no order, and the cosines [n, k].

    Excludes the row itself and, with `groups` [n], all of its group. None if all rows point the same way, or one has no
    direction.
    """
    groups = np.arange(len(rows)) if groups is None else groups
    rows = rows.astype(np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not lengths.all():
        return None
    rows = rows / lengths
    if np.abs(rows - rows[0]).max() <= TOLERANCE:
        return None
    places, near, step = [], [], max(1, CHUNK_VALUES // len(rows))
    for start in range(0, len(rows), step):
        cosines = rows[start : start + step] @ rows.T
        cosines[groups[start : start + step, None] == groups] = -np.inf
        places.append(np.argpartition(-cosines, k - 1, axis=1)[:, :k])
        near.append(np.take_along_axis(cosines, places[-1], axis=1))
    return np.concatenate(places), np.concatenate(near)
