"""Channel permutations for null distributions: the order of channels is arbitrary, so a shuffle removes only order.

In: a number of channels, and tokens of that many. Out: random orders that every metric and block of that width shares,
and mean and 95 % band of what is computed under them.

The amplitude of a channel bin k under a random order depends on k only by its order d = C / gcd(k, C): bin k multiplies
the channels by the d-th roots of unity, each root C / d times, and a random order deals them out at random. So

- all bins of one order have one null distribution, and one transform of shuffled channels gives all of them at once
  (phi(d) / 2 amplitudes that differ, of bins k and -k only one): ten transforms are 640 draws for the bins of order
  384 of 384 channels;
- bins of small order (C / 2, C / 3, ...), of which there are few, need no transform of their own: fold the shuffled
  channels into D classes (d divides D, D divides C) of C / D blocks, and turn each block by a random number of classes.
  The roots are dealt out evenly again, so each turn is another draw, for the few products of a sum over blocks.

Draws of one shuffle are each exact, but not quite independent of each other: tests hold the share of bins that fall
outside by chance against 5 %. `benchmarks/metrics.py` measures what they cost. Where C is small or has few divisors
there are few bins of its own order, and more shuffles are transformed, up to as many as draws are asked for.
"""

from functools import lru_cache
from math import ceil, gcd
from typing import NamedTuple

import numpy as np
import scipy.fft
import torch

# Least number of transformed shuffles; they dominate the cost of the null.
SHUFFLES = 10
# Least number of turned blocks, if a bin's order allows: more blocks make draws less dependent.
BLOCKS = 8


def permutations(channels: int, count: int, seed: int) -> np.ndarray:
    """Return `count` random orders of `channels` channels, int64 [count, channels], equal for equal arguments."""
    orders = np.tile(np.arange(channels, dtype=np.int64), (count, 1))
    return np.random.default_rng(seed).permuted(orders, axis=1)


def band(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean, 2.5th and 97.5th percentile over axis 0 of values [count, ...], each [...].

    The percentiles are those of Weibull, at rank p (count + 1), so that one more draw falls outside with probability
    5 %; of fewer than 39 draws they are the extremes.
    """
    low, high = np.percentile(values, [2.5, 97.5], axis=0, method="weibull")
    return values.mean(axis=0), low, high


class _Folding(NamedTuple):
    """Bins of small orders with the same blocks: how to fold channels into classes and turn the blocks.

    `waves` [2 n, D] holds the real and the imaginary parts of the n orders' roots by class, and `turns`, by order d,
    the roots that blocks are multiplied by, [shuffles, turns, C / D].
    """

    waves: torch.Tensor
    turns: dict[int, torch.Tensor]


class _Plan(NamedTuple):
    """Draws for one width: shuffles [n, C], the order of every bin [C // 2 + 1], and foldings."""

    shuffles: np.ndarray
    orders: np.ndarray
    foldings: list[_Folding]


@lru_cache
def _plan(channels: int, count: int, seed: int) -> _Plan:
    orders = np.array([channels // gcd(k, channels) for k in range(channels // 2 + 1)])
    if channels < 4:
        # No order of three channels or fewer changes an amplitude.
        return _Plan(np.empty((0, channels), np.int64), orders, [])
    largest = int(np.sum(orders == channels))
    shuffles = min(count, max(SHUFFLES, ceil(count / largest)))
    by_classes: dict[int, dict[int, int]] = {}
    for order in sorted(set(orders.tolist()) - {1}):
        missing = count - shuffles * int(np.sum(orders == order))
        if missing > 0:
            by_classes.setdefault(_classes(channels, order), {})[order] = ceil(missing / shuffles)
    generator = np.random.default_rng([seed, 1])
    foldings = []
    for classes, turns_of in by_classes.items():
        angles = 2 * np.pi * np.outer([classes // order for order in turns_of], np.arange(classes)) / classes
        turns = {
            order: np.exp(2j * np.pi * generator.integers(order, size=(shuffles, turns, channels // classes)) / order)
            for order, turns in turns_of.items()
        }
        waves = torch.from_numpy(np.concatenate([np.cos(angles), np.sin(angles)]))
        foldings.append(_Folding(waves, {order: torch.from_numpy(values) for order, values in turns.items()}))
    return _Plan(permutations(channels, shuffles, seed), orders, foldings)


def _classes(channels: int, order: int) -> int:
    """Return the largest number of classes that leaves BLOCKS blocks; `order` itself if none does."""
    fitting = (n for n in range(order, channels // BLOCKS + 1, order) if channels % n == 0)
    return max(fitting, default=order)


class AmplitudeNull:
    """Amplitudes of all channel bins under random orders of the channels: at least `count` draws for each bin."""

    def __init__(self, channels: int, count: int, seed: int):
        self.channels = channels
        self.plan = _plan(channels, count, seed)
        turned = [
            np.full(turns.shape[1], order) for folding in self.plan.foldings for order, turns in folding.turns.items()
        ]
        # Columns of `_draws` for a shuffle: bins, then turns.
        self.orders = np.concatenate([self.plan.orders, *turned])
        self.sums = np.zeros((len(self.plan.shuffles), len(self.orders)))

    def update(self, chunk_bchw: torch.Tensor) -> np.ndarray | None:
        """Take images [b, C, H, W]; return every image's mean amplitudes, shuffle by shuffle, [n, b, C // 2 + 1].

        None where no order changes them (C < 4).
        """
        if not len(self.plan.shuffles):
            return None
        drawn = self._draws(chunk_bchw)
        if chunk_bchw.dtype == torch.float32 and not np.isfinite(drawn).all():
            # Sums of the largest float32 values are beyond float32.
            drawn = self._draws(chunk_bchw.double())
        self.sums += drawn.sum(axis=2)
        return drawn[:, : len(self.plan.orders)].swapaxes(1, 2)

    def _draws(self, chunk_bchw: torch.Tensor) -> np.ndarray:
        """Return every image's mean of each draw, [n, C // 2 + 1 + turns, b], in activation units."""
        device, kind = chunk_bchw.device, chunk_bchw.dtype
        tokens_cn = chunk_bchw.flatten(2).movedim(1, 0).flatten(1).contiguous()
        foldings = [
            (waves.to(device, kind), [turns.to(device, kind.to_complex()) for turns in by_order.values()])
            for waves, by_order in self.plan.foldings
        ]
        # One array for all draws of a shuffle: fewer and larger steps.
        draws, shuffled, means = tokens_cn.new_empty(len(self.orders), tokens_cn.shape[1]), tokens_cn.clone(), []
        for number, order in enumerate(self.plan.shuffles):
            torch.index_select(tokens_cn, 0, torch.from_numpy(order).to(device), out=shuffled)
            end = self._absolute(_transformed(shuffled), draws, 0)
            for waves, turns_of in foldings:
                classes = waves.shape[1]
                real, imaginary = (waves @ shuffled.reshape(classes, -1)).chunk(2)
                folded = torch.complex(real, imaginary).view(len(turns_of), self.channels // classes, -1)
                for turns, values in zip(turns_of, folded, strict=True):
                    end = self._absolute(turns[number] @ values, draws, end)
            means.append(draws.unflatten(1, (len(chunk_bchw), -1)).mean(dim=2))
        return torch.stack(means).double().cpu().numpy() / self.channels

    def _absolute(self, values: torch.Tensor, out: torch.Tensor, first: int) -> int:
        """Write absolute values into rows of `out` from `first` on; return the next row."""
        end = first + len(values)
        if values.is_cuda:
            torch.abs(values, out=out[first:end])
        else:
            # NumPy takes a fifth of torch's time on a CPU.
            np.abs(values.numpy(), out=out[first:end].numpy())
        return end

    def bands(self, amplitude: np.ndarray, images: int) -> np.ndarray:
        """Return mean, 95 % band and standard deviation of the mean amplitude over `images` images, [4, C // 2 + 1].

        `amplitude` [C // 2 + 1]: that of the actual order; bin 0 is the same for any order.
        """
        found = np.stack([amplitude, amplitude, amplitude, np.zeros(len(amplitude))])
        for order in np.unique(self.orders[1:]) if len(self.sums) else ():
            drawn = self.sums[:, self.orders == order] / images
            deviation = drawn.std(ddof=1) if drawn.size > 1 else 0
            found[:, self.plan.orders == order] = np.array([*band(drawn.ravel()), deviation])[:, None]
        return found


def _transformed(tokens_cn: torch.Tensor) -> torch.Tensor:
    """DFT over channels, one-sided, [C // 2 + 1, N], in the type of the tokens."""
    if tokens_cn.is_cuda:
        return torch.fft.rfft(tokens_cn, dim=0)
    # scipy's transform takes half of torch's time on a CPU.
    return torch.from_numpy(scipy.fft.rfft(tokens_cn.numpy(), axis=0))
