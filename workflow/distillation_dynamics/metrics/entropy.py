"""Shannon entropy of the channel values of each token, from histograms over a fixed range.

In: features, L blocks [B, C, H, W]. Out: float64, in bits. Source: Tian, Xu, Li, Distillation Dynamics, AAAI 2026, with
one range, the smallest to the largest value over all blocks and images of a model. Levels then follow log2(activation
scale / bin width), and one outlier lowers every block. So compare levels between models and checkpoints only by
`entropy_fixed_range`, and shapes of the distribution only by `entropy_standardised`.

If tokens spread over fewer than two bins, entropy depends on where 0 lies in its bin (`rms_per_bin`;
benchmarks/bins.py), and one image moves all edges. So each entropy is measured twice more: in bins shifted by half a
bin, and over the range without its most extreme image. `nearest_entropy` has no bins.
"""

from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import Tensor

from ..files import Column, read_json, write_json
from ..outputs import Outputs
from ..spec.measure import STANDARDISED_RANGE
from ._histogram import bin_edges, bin_width, token_entropies, token_entropy
from ._limits import Limits
from .accumulator import Accumulator, Measured
from .blocks import by_image

REQUIRES = ("features",)
OPTIONS = ("entropy_bins",)
FILES = ("range.json",)
REFERENCE = "range.json"
# The same entropy in other bins.
SHIFTED, WITHOUT_EXTREME = "_shifted", "_without_extreme"
PER_BIN = "mean over tokens of the RMS over channels about the token's mean, over the width of a bin"
IMAGE_COLUMNS = {
    "entropy": Column(
        "bits", "mean token entropy; bins span one range, that of all blocks and images of the checkpoint"
    ),
    "entropy_fixed_range": Column("bits", "mean token entropy; bins span the reference network's range"),
    "clipped_share": Column("", "share of the values outside the reference network's range, counted in the end bins"),
    "entropy_standardised": Column(
        "bits", "mean entropy of tokens of mean 0 and standard deviation 1; bins span -5 to 5"
    ),
    "rms_per_bin": Column("bins", f"{PER_BIN} of entropy"),
    "rms_per_bin_fixed_range": Column("bins", f"{PER_BIN} of entropy_fixed_range"),
    "rms_per_bin_standardised": Column("bins", f"{PER_BIN} of entropy_standardised, which is the same in all tokens"),
    **{
        f"{name}{SHIFTED}": Column("bits", f"{name} in bins shifted by half a bin, one more in number")
        for name in ("entropy", "entropy_fixed_range", "entropy_standardised")
    },
    **{
        f"{name}{WITHOUT_EXTREME}": Column(
            "bits", f"{name} in bins over the range without the image whose removal narrows it most"
        )
        for name in ("entropy", "entropy_fixed_range")
    },
}
BLOCK_COLUMNS = {
    "range_low": Column("activation units", "lower end of the entropy's range, one for all blocks of a checkpoint"),
    "range_high": Column("activation units", "upper end of the entropy's range"),
    "fixed_low": Column("activation units", "lower end of the reference network's range, of entropy_fixed_range"),
    "fixed_high": Column("activation units", "upper end of it"),
    "inner_low": Column("activation units", "lower end of the entropy's range without its most extreme image"),
    "inner_high": Column("activation units", "upper end of it"),
    "entropy_bins": Column("", "equal bins of each entropy"),
}


class Ranged(Accumulator):
    """A metric with bins over one range: pass one finds the range over all blocks and images, pass two measures."""

    passes = 2

    def begin(self) -> None:
        """Reset to an empty range."""
        self.limits = Limits(self.context.groups)

    @property
    def low(self) -> float:
        """The smallest value of all blocks and images."""
        return self.limits.all[0]

    @property
    def high(self) -> float:
        """The largest value of all blocks and images."""
        return self.limits.all[1]

    def update(self, outputs: Outputs) -> None:
        """Receive the features of all blocks for a batch."""
        if self.pass_number == 2:
            super().update(outputs)
        else:
            self.limits.add(outputs.features)

    def entropy(self, block: Tensor, index: int, low: float, high: float, standardise: bool = False) -> np.ndarray:
        """Return the mean entropy of the tokens of every image, [b], in bits of the range; see `token_entropy`."""
        edges = bin_edges(self.settings.entropy_bins, low, high)
        return token_entropy(block, index, edges, standardise).mean(axis=(1, 2))


class Metric(Ranged):
    """Entropy over the network's own range, over the reference network's, and standardised."""

    def of_block(self, block: Tensor, index: int) -> dict[str, np.ndarray]:
        """Return the columns of a batch's images."""
        own, fixed = self._own, self._fixed
        low, high = fixed.range
        clipped = by_image(block, index, lambda images: ((images < low) | (images > high)).double().mean(dim=(1, 2, 3)))
        in_own = self._under(block, index, own)
        in_fixed = in_own if fixed == own else self._under(block, index, fixed)
        found = {"entropy" + name: values for name, values in in_own.items()}
        found |= {"entropy_fixed_range" + name: values for name, values in in_fixed.items()}
        bins = self.settings.entropy_bins
        standard, shifted, deviation = self._in_bins(block, index, STANDARDISED_RANGE, standardise=True)
        return found | {
            "entropy_standardised": standard,
            f"entropy_standardised{SHIFTED}": shifted,
            "clipped_share": clipped,
            "rms_per_bin": deviation / bin_width(bins, *own.range),
            "rms_per_bin_fixed_range": deviation / bin_width(bins, *fixed.range),
            "rms_per_bin_standardised": np.full(len(block), 1 / bin_width(bins, *STANDARDISED_RANGE)),
        }

    def _under(self, block: Tensor, index: int, ranges: "Ranges") -> dict[str, np.ndarray]:
        """Return the entropy in the bins of a range, in those shifted by half a bin, and in those of its inner range,
        [b].
        """
        as_is, shifted = self._in_bins(block, index, ranges.range)
        inner = as_is if ranges.inner == ranges.range else self.entropy(block, index, *ranges.inner)
        return {"": as_is, SHIFTED: shifted, WITHOUT_EXTREME: inner}

    def _in_bins(self, block: Tensor, index: int, limits: tuple[float, float], standardise: bool = False) -> list:
        edges = bin_edges(self.settings.entropy_bins, *limits)
        found = token_entropies(block, index, edges, standardise)
        return [values.mean(axis=(1, 2)) for values in found if values is not None]

    @cached_property
    def _own(self) -> "Ranges":
        return Ranges(self.limits.all, self.limits.without_extreme)

    @cached_property
    def _fixed(self) -> "Ranges":
        """Range of `entropy_fixed_range`: the reference network's, or its own if it is the reference."""
        if self.context.reference is None:
            return self._own
        limits = read_json(self.context.reference)
        return Ranges((limits["low"], limits["high"]), (limits["inner_low"], limits["inner_high"]))

    def compute(self) -> Measured:
        """Return the columns of IMAGE_COLUMNS and BLOCK_COLUMNS."""
        facts = *self._own.range, *self._fixed.range, *self._own.inner, self.settings.entropy_bins
        images = super().compute()
        blocks = len(images["entropy"])
        return images | {name: [fact] * blocks for name, fact in zip(BLOCK_COLUMNS, facts, strict=True)}

    def save(self, folder: Path) -> None:
        """Write `range.json`, in activation units: {"low", "high"} of all blocks and images, and without the extreme
        image {"inner_low", "inner_high"}.
        """
        low, high = self._own.range
        inner_low, inner_high = self._own.inner
        write_json(folder / REFERENCE, {"low": low, "high": high, "inner_low": inner_low, "inner_high": inner_high})


class Ranges(NamedTuple):
    """The range of the bins, and the range without the most extreme image; each (low, high)."""

    range: tuple[float, float]
    inner: tuple[float, float]
