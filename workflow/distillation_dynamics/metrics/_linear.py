"""What several metrics do with rows [n, C]: take off their mean, keep what inner products need, find nearest ones.

Imports no torch.
"""

from typing import Any

import numpy as np

# Rows that point the same way but for rounding: there is no nearest among them.
TOLERANCE = 1e-12
CHUNK_VALUES = 2**23


def centred(rows: np.ndarray) -> np.ndarray:
    """Return rows [n, C] less their mean, in float64; rows that are all alike become exactly 0."""
    moved = rows.astype(np.float64) - rows[0].astype(np.float64)
    return moved - moved.mean(axis=0)


def reduced(rows: np.ndarray) -> np.ndarray:
    """Return rows [n, min(n, C)] in float64 that have the inner products of rows [n, C]."""
    if rows.shape[0] >= rows.shape[1]:
        return rows
    triangular: Any = np.linalg.qr(rows.T, mode="r")
    return np.ascontiguousarray(triangular.T)


def nearest(rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the places [n, k] of the k rows nearest to each by cosine, itself left out, and the cosines [n, k].

    The k stand in no order. None where all rows point the same way, or one has no direction.
    """
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
        own = np.arange(len(cosines))
        cosines[own, start + own] = -np.inf
        places.append(np.argpartition(-cosines, k - 1, axis=1)[:, :k])
        near.append(np.take_along_axis(cosines, places[-1], axis=1))
    return np.concatenate(places), np.concatenate(near)
