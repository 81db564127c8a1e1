"""Computes the channel spectrum for every channel order from one Gram matrix.

In: G [C, C], a sum over tokens of x x^T. Out: the energy of every channel frequency. abs(DFT(x)[k])^2 is the sum over
c, d of x_c x_d cos(2 pi k (c - d) / C) and depends only on the lag c - d modulo C. So it is the DFT, over lags, of the
sums over G's diagonals. One matrix is enough for all frequencies and permutations, whatever the number of tokens.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def lags(gram: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """Return the sums over the diagonals d - c = 0..C // 2 modulo C of a symmetric matrix [C, C], [n, C // 2 + 1].

    One row for each of the channel orders [n, C].
    """
    channels, half = len(gram), len(gram) // 2 + 1
    entries, found = np.empty((channels, half)), np.empty((len(orders), half))
    for number, order in enumerate(orders):
        partners = sliding_window_view(np.concatenate([order, order[: half - 1]]), half)
        # Indexing rows and columns separately would read three times as much; all indices are in bounds.
        np.take(gram, channels * order[:, None] + partners, out=entries, mode="clip")
        entries.sum(axis=0, out=found[number])
    return found


def energies(sums: np.ndarray, channels: int) -> np.ndarray:
    """Return the sum over tokens of abs(DFT)^2 for bins 0..C // 2, from `lags` [..., C // 2 + 1], in the same shape."""
    return np.maximum(np.fft.hfft(sums, channels)[..., : sums.shape[-1]], 0)
