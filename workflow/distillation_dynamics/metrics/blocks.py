"""Input of metrics: features, block by block, a few images at a time. l block, b image, c channel, h, w."""

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from ..outputs import check_values

# A chunk in float64 and its intermediates fit a processor's cache.
CHUNK_VALUES = 2**18
Found = TypeVar("Found")


def once(compute: Callable[[Tensor], Found]) -> Callable[[Tensor], Found]:
    """Cache a function of a block, so that several metrics compute its value once.

    The value lives as long as the block. All callers share it and must not change it.
    """
    known = WeakTensorKeyDictionary()

    @functools.wraps(compute)
    def found(block: Tensor) -> Found:
        if block not in known:
            known[block] = compute(block)
        return known[block]

    return found


def checked(block: Any, index: int) -> Tensor:
    """Return a block [B, C, H, W], array or tensor, as a float32 or float64 tensor without gradient.

    Half precision becomes float32, integers float64. Raises ValueError for another shape or an empty axis.
    """
    tensor = block.detach() if isinstance(block, Tensor) else torch.tensor(block)
    if tensor.ndim != 4 or 0 in tensor.shape or tensor.is_complex():
        said = f"got {tensor.dtype} {tuple(tensor.shape)}"
        raise ValueError(f"features: block {index} must be real numbers [B, C, H, W], no axis empty, {said}")
    if tensor.dtype in (torch.float32, torch.float64):
        return tensor
    return tensor.to(torch.float32 if tensor.is_floating_point() else torch.float64)


def image_chunks(block: Tensor, index: int, values: int | None = None) -> Iterator[Tensor]:
    """Yield the images of a block [B, C, H, W] in order, [b, C, H, W] of at most `values` (None: CHUNK_VALUES) values.

    `index`: the block's number in its network, for messages. Raises NotFinite for NaN or infinity.
    """
    extremes(block, index)
    yield from block.split(max(1, (values or CHUNK_VALUES) // math.prod(block.shape[1:])))


def by_image(block: Tensor, index: int, measure: Callable[[Tensor], Tensor]) -> np.ndarray:
    """Return `measure` of a block's images [b, C, H, W] in float64, for all images, [B, ...]."""
    return torch.cat([measure(chunk.double()) for chunk in image_chunks(block, index)]).cpu().numpy()


def extremes(block: Tensor, index: int, first: int = 0) -> tuple[float, float]:
    """Return the smallest and largest value of a block [B, C, H, W]; `first` images came before.

    NaN and infinity survive in the extremes, so one look at the data is enough. Raises NotFinite if there are any.
    """
    low, high = _extremes(block)
    if not math.isfinite(low) or not math.isfinite(high):
        check_values(block, f"features: block {index},", first)
    return low, high


@once
def _extremes(block: Tensor) -> tuple[float, float]:
    low, high = block.aminmax()
    return float(low), float(high)


@once
def mean_tokens(block: Tensor) -> Tensor:
    """Return one row per image, its mean patch token, [B, C] in float64, for a block [B, C, H, W]."""
    return block.double().mean(dim=(2, 3))
