"""The input that metrics share: features, block by block, a few images at a time. l block, b image, c channel, h, w."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..outputs import check_values

# Some tens of bytes a value while something is computed of a chunk.
CHUNK_VALUES = 2**20


def checked(block: Any, index: int) -> Tensor:
    """Return a block [B, C, H, W], an array or tensor, as a tensor of float32 or float64 without a gradient.

    Half precision becomes float32, whole numbers float64. Raises ValueError where it has another shape or an axis is
    empty.
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

    `index` is the block's position in its network, for the messages. Raises NotFinite for NaN or infinity.
    """
    images = max(1, (values or CHUNK_VALUES) // math.prod(block.shape[1:]))
    for number, chunk in enumerate(block.split(images)):
        extremes(chunk, index, number * images)
        yield chunk


def by_image(block: Tensor, index: int, measure: Callable[[Tensor], Tensor]) -> np.ndarray:
    """Return what `measure` gives of the images [b, C, H, W] of a block, in float64, of all its images, [B, ...]."""
    return torch.cat([measure(chunk.double()) for chunk in image_chunks(block, index)]).cpu().numpy()


def all_tokens(images: Tensor) -> Tensor:
    """Return the tokens of images [b, C, H, W] as rows [b H W, C] in float64."""
    return images.double().movedim(1, 3).flatten(0, 2)


def extremes(chunk: Tensor, index: int, first: int = 0) -> tuple[float, float]:
    """Return the smallest and the largest value of images [b, C, H, W], of which `first` come before them in `index`.

    NaN and infinity survive in the extremes, which take one look at the data. Raises NotFinite where there are any.
    """
    low, high = (float(extreme) for extreme in chunk.aminmax())
    if not math.isfinite(low) or not math.isfinite(high):
        check_values(chunk, f"features: block {index},", first)
    return low, high
