"""How images travel to the device that computes: as uint8, normalised there.

Random erasing draws normalised float32 values, so its rectangles travel beside the images and are written after
normalisation. The values are those of timm's transforms to the bit, on any device.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..spec.images import View

# Image, first and last row + 1, first and last column + 1 of an erased rectangle.
PLACE = 5


class Rectangle(NamedTuple):
    """Part of one image [C, H, W] that random erasing replaces: rows, columns and values [C, h, w]."""

    rows: slice
    columns: slice
    values: Tensor


class Canvas:
    """Takes an image's place in timm's random erasing, and keeps the rectangles that are written."""

    dtype = torch.float32

    def __init__(self, shape: Sequence[int]):
        self.shape, self.rectangles = shape, list[Rectangle]()

    def size(self) -> Sequence[int]:
        """Return the shape of the image, [C, H, W]."""
        return self.shape

    def __setitem__(self, place: tuple[slice, slice, slice], values: Tensor) -> None:
        _, rows, columns = place
        size = self.shape[0], rows.stop - rows.start, columns.stop - columns.start
        self.rectangles.append(Rectangle(rows, columns, values.expand(size)))


class Erased(NamedTuple):
    """The rectangles of a batch: places [E, 5], and the values [n] of all, one rectangle after the other."""

    places: np.ndarray
    values: Tensor


def gathered(rectangles: Sequence[Sequence[Rectangle]]) -> Erased:
    """Return the rectangles of a batch's images, given by image."""
    places, values = [], [torch.empty(0)]
    for number, own in enumerate(rectangles):
        for rows, columns, part in own:
            places.append((number, rows.start, rows.stop, columns.start, columns.stop))
            values.append(part.flatten())
    return Erased(np.array(places, dtype=np.int64).reshape(-1, PLACE), torch.cat(values))


def pinned(device: torch.device) -> bool:
    """Return whether what goes to the device is copied from pinned memory."""
    return device.type == "cuda"


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor on the device; a GPU copies it from pinned memory while the process goes on."""
    return (tensor.pin_memory() if pinned(device) else tensor).to(device, non_blocking=True)


def normalised(pixels: Tensor, view: View, erased: Erased | None = None) -> Tensor:
    """Return uint8 pixels [B, C, H, W] as normalised float32, with what was erased; all on one device."""
    largest, mean, std = _constants(view.mean, view.std, pixels.device)
    result = pixels.float().div_(largest).sub_(mean).div_(std)
    if erased is not None and len(erased.places):
        sizes = [result.shape[1] * (bottom - top) * (right - left) for _, top, bottom, left, right in erased.places]
        parts = erased.values.split(sizes)
        for (number, top, bottom, left, right), part in zip(erased.places, parts, strict=True):
            place = result[number, :, top:bottom, left:right]
            place.copy_(part.view(place.shape))
    return result


@lru_cache(maxsize=16)
@torch.inference_mode(False)
def _constants(mean: tuple[float, ...], std: tuple[float, ...], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return 255, mean and standard deviation [1, C, 1, 1] on the device, copied to it once.

    255 is a tensor too, because a GPU divides by a number by multiplying with its rounded reciprocal.
    """
    shaped = (torch.tensor(values).view(1, -1, 1, 1) for values in ((255.0,), mean, std))
    largest, centre, spread = (values.to(device) for values in shaped)
    return largest, centre, spread
