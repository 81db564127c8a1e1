"""The input that every metric shares: features are checked here and handed out a few images at a time.

In: an array or tensor [L, B, C, H, W], or a sequence of L blocks [B, C, H, W] (arrays, memory maps,
tensors). Out: float32 or float64 tensors [b, C, H, W] on the device of the input, all finite. Axes: l block,
b image, c channel, h row, w column.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from ..outputs import NotFinite

Block = np.ndarray | torch.Tensor
Features = np.ndarray | torch.Tensor | Sequence[Block]

# Some tens of bytes a value while something is computed of a chunk.
CHUNK_VALUES = 2**20


def iterate_blocks(features: Features) -> Iterator[tuple[int, Block]]:
    """Yield (index, block [B, C, H, W]), fetching each block only when it is due.

    Raises ValueError where features have the wrong number of axes, no block, an empty axis or complex values.
    """
    if isinstance(features, np.ndarray | torch.Tensor) and features.ndim != 5:
        raise ValueError(f"features must have 5 axes [L, B, C, H, W], got shape {tuple(features.shape)}")
    if len(features) == 0:
        raise ValueError("features hold no blocks")
    for index in range(len(features)):
        yield index, _checked(features[index], index)


def image_chunks(block: Block, index: int, values: int = CHUNK_VALUES, finite: bool = False) -> Iterator[torch.Tensor]:
    """Yield the images of a block [B, C, H, W] in order as tensors [b, C, H, W] of at most `values` values.

    Half precision becomes float32, float32 and float64 stay, everything else becomes float64. `index` is the
    block's position in its network, for the messages. Raises ValueError for a wrong shape, NotFinite for NaN or
    infinity; `finite` says that the caller has seen to the latter.
    """
    block = _checked(block, index)
    images = max(1, values // math.prod(block.shape[1:]))
    for first in range(0, len(block), images):
        chunk = _as_float_tensor(block[first : first + images])
        if not finite:
            extremes(chunk, index, first)
        yield chunk


def extremes(chunk: torch.Tensor, index: int, first: int = 0) -> tuple[float, float]:
    """Return the smallest and the largest value of images [b, C, H, W], of which `first` come before them in `index`.

    NaN and infinity survive in the extremes, which take one look at the data. Raises NotFinite where there are any.
    """
    low, high = (float(extreme) for extreme in chunk.aminmax())
    if not math.isfinite(low) or not math.isfinite(high):
        broken = ~chunk.isfinite().flatten(1).all(dim=1)
        image = first + int(broken.nonzero()[0])
        raise NotFinite(f"features: block {index}, image {image} holds NaN or infinity")
    return low, high


def _checked(block: Block, index: int) -> Block:
    block = block.detach() if isinstance(block, torch.Tensor) else np.asarray(block)
    if block.ndim != 4 or 0 in block.shape:
        shape = tuple(block.shape)
        raise ValueError(f"features: block {index} must be [B, C, H, W], no axis empty, got shape {shape}")
    if "complex" in str(block.dtype):
        raise ValueError(f"features: block {index} must hold real numbers, got {block.dtype}")
    return block


def _as_float_tensor(images: Block) -> torch.Tensor:
    if isinstance(images, torch.Tensor):
        keeps = images.dtype in (torch.float32, torch.float64)
        return images if keeps else images.to(torch.float32 if images.is_floating_point() else torch.float64)
    short = images.dtype.kind == "f" and images.dtype.itemsize <= 4
    wanted = np.dtype(np.float32 if short else np.float64)
    if images.dtype == wanted and images.flags.c_contiguous and images.flags.writeable:
        return torch.from_numpy(images)
    # The copy reads a memory map, and PyTorch takes neither read-only arrays nor negative strides.
    return torch.from_numpy(np.array(images, dtype=wanted, order="C"))


def stacked(values: Sequence[np.ndarray]) -> np.ndarray | list[np.ndarray]:
    """Return one array with a row a block, or the list of them where blocks differ in shape."""
    return np.stack(values) if len({value.shape for value in values}) == 1 else list(values)
