"""Channel permutations for nulls: the order of channels is arbitrary, so what a shuffle keeps says nothing of order.

In: a number of channels. Out: permutations that every metric and block of that width shares, and the mean and 95 % band
of whatever was computed under each of them.
"""

import numpy as np


def permutations(channels: int, count: int, seed: int) -> np.ndarray:
    """Return `count` random orders of `channels` channels, int64 [count, channels], equal for equal arguments."""
    orders = np.tile(np.arange(channels, dtype=np.int64), (count, 1))
    return np.random.default_rng(seed).permuted(orders, axis=1)


def band(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean, 2.5th and 97.5th percentile over axis 0 of values [count, ...], each [...]."""
    low, high = np.percentile(values, [2.5, 97.5], axis=0)
    return values.mean(axis=0), low, high
