"""Applies the options that objectives share to the teacher's output before an objective receives it."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

# Channel axis of each kind of block output.
CHANNELS = {"features": 1, "classes": 2, "registers": 2}


def prepared(target: Tensor, kind: str, options: dict[str, Any]) -> Tensor:
    """Return a term's target of a kind (`features` [B, C, H, W], `classes` [B, P, C], ...) with its options applied."""
    if kind == "features" and options.get("robust") is not None:
        target = without_outliers(target, options["robust"])
    if kind in CHANNELS and options.get("normalise_target"):
        axis = CHANNELS[kind]
        target = F.layer_norm(target.movedim(axis, -1), [target.shape[axis]]).movedim(-1, axis)
    return target


def without_outliers(features: Tensor, limit: float) -> Tensor:
    """Return [B, C, H, W]; patches with more than `limit` times their image's median norm are replaced.

    Each becomes the mean of the image's other patches. Norms are Euclidean over channels. For an even number of patches
    the lower median is used, so that at least half of them stay unchanged.
    """
    norms = features.flatten(2).norm(dim=1)
    outlier = (norms > limit * norms.median(dim=1, keepdim=True).values).unflatten(1, features.shape[2:])[:, None]
    others = (~outlier).sum(dim=(2, 3), keepdim=True)
    mean = features.masked_fill(outlier, 0).sum(dim=(2, 3), keepdim=True) / others
    return torch.where(outlier, mean, features)
