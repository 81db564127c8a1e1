"""What one Gram matrix tells of the spectrum along channels, under every order of them.

In: G [C, C], a sum over tokens of x x^T. Out: the energy of every channel frequency. In abs(DFT(x)[k])^2, the sum over
c, d of x_c x_d cos(2 pi k (c - d) / C), only the lag c - d modulo C counts, so that it is the DFT, over lags, of the
sums over G's diagonals. One matrix serves all frequencies and all permutations, whatever the number of tokens.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def lags(gram: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """Sums over the diagonals d - c = 0..C // 2 modulo C of a symmetric matrix [C, C], [n, C // 2 + 1].

    By order of its channels, of `orders` [n, C].
    """
    channels, half = len(gram), len(gram) // 2 + 1
    entries, found = np.empty((channels, half)), np.empty((len(orders), half))
    for number, order in enumerate(orders):
        partners = sliding_window_view(np.concatenate([order, order[: half - 1]]), half)
        # A row and a column at a time would read three times as much; nothing of it is out of bounds.
        np.take(gram, channels * order[:, None] + partners, out=entries, mode="clip")
        entries.sum(axis=0, out=found[number])
    return found


def energies(sums: np.ndarray, channels: int) -> np.ndarray:
    """Sum over the tokens of abs(DFT)^2 by bin 0..C // 2, from `lags` [..., C // 2 + 1], of the same shape."""
    return np.maximum(np.fft.hfft(sums, channels)[..., : sums.shape[-1]], 0)
