"""What several metrics do with rows [n, C]: take off their mean, and keep of them what inner products need.

Imports no torch.
"""

import numpy as np


def centred(rows: np.ndarray) -> np.ndarray:
    """Return rows [n, C] less their mean, in float64; rows that are all alike become exactly 0."""
    moved = rows.astype(np.float64) - rows[0].astype(np.float64)
    return moved - moved.mean(axis=0)


def reduced(rows: np.ndarray) -> np.ndarray:
    """Return rows [n, min(n, C)] in float64 that have the inner products of rows [n, C]."""
    if rows.shape[0] >= rows.shape[1]:
        return rows
    # Left singular vectors times singular values.
    triangle = np.linalg.qr(rows.T, mode="r")
    return np.ascontiguousarray(triangle.T)
