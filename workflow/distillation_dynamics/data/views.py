"""Preprocessing of images: timm's transforms.

A view of an image is a function of (seed, image, view number), whatever process draws it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image
from timm.data import create_transform
from timm.data.random_erasing import RandomErasing

from ..spec.data import Arrays
from ..spec.images import View
from ..spec.training import Augmentation


def view_of(augmentation: Augmentation | None, seed: int, epoch: int) -> tuple[int, int]:
    """Return the view number of an epoch (0-based), and the seed that draws it."""
    if augmentation is None:
        return 0, 0
    return (epoch, seed) if augmentation.views is None else (epoch % augmentation.views, 0)


def make_transform(seen: View, augmentation: Augmentation | None, normalise: bool = True):
    """Return timm's transform from a PIL image to a normalised float32 tensor [C, H, W].

    Without `normalise` the tensor is uint8, and nothing is erased.
    """
    size = (seen.channels, seen.image_size, seen.image_size)
    common: dict[str, Any] = {"interpolation": seen.interpolation, "mean": seen.mean, "std": seen.std}
    common["normalize"] = normalise
    if augmentation is None:
        return create_transform(
            size, is_training=False, crop_pct=seen.crop_fraction, crop_mode=seen.crop_mode, **common
        )
    return create_transform(
        size,
        is_training=True,
        scale=augmentation.crop_scale,
        hflip=augmentation.horizontal_flip,
        color_jitter=augmentation.color_jitter,
        auto_augment=augmentation.auto_augment,
        re_prob=augmentation.random_erasing,
        re_mode=augmentation.erasing_mode,
        **common,
    )


def make_erasing(augmentation: Augmentation | None) -> RandomErasing | None:
    """Return the random erasing of timm's transform; None if there is none."""
    if augmentation is None or augmentation.random_erasing == 0:
        return None
    return RandomErasing(augmentation.random_erasing, mode=augmentation.erasing_mode, device="cpu")


def evaluation_pixels(arrays: Arrays) -> Callable[[Image.Image], np.ndarray]:
    """Return a function from a PIL image to its uint8 pixels [H, W, C] as in evaluation: resized and cropped."""
    side = arrays.image_size
    transform = create_transform(
        (arrays.channels, side, side),
        is_training=False,
        crop_pct=arrays.crop_fraction,
        crop_mode=arrays.crop_mode,
        mean=arrays.mean,
        interpolation=arrays.interpolation,
        normalize=False,
    )

    resampling = Image.Resampling[arrays.interpolation.upper()]

    def pixels(picture: Image.Image) -> np.ndarray:
        if arrays.crop_fraction == 1 and picture.width == picture.height:
            # Equal to timm's result, in half the time.
            square = picture if picture.width == side else picture.resize((side, side), resampling)
            return np.asarray(square).reshape(side, side, -1)
        return transform(picture).permute(1, 2, 0).numpy()

    return pixels
