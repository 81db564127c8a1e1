"""What options that objectives share do to the teacher's part before an objective is handed it."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

# Axis of the channels in what a network says of a block.
CHANNELS = {"features": 1, "classes": 2, "registers": 2}


def prepared(target: Tensor, kind: str, options: dict[str, Any]) -> Tensor:
    """Return the target of a kind (`features` [B, C, H, W], `classes` [B, P, C], ...) as options of its term ask."""
    if kind == "features" and options.get("robust") is not None:
        target = without_outliers(target, options["robust"])
    if kind in CHANNELS and options.get("normalise_target"):
        axis = CHANNELS[kind]
        target = F.layer_norm(target.movedim(axis, -1), [target.shape[axis]]).movedim(-1, axis)
    return target


def without_outliers(features: Tensor, limit: float) -> Tensor:
    """Return [B, C, H, W] with patches of more than `limit` times the median norm of their image replaced.

    Each becomes the mean of the image's other patches. Norms are Euclidean over channels; of an even number of patches
    the median is the lower of the two in the middle, so that at least half of them stay as they are.
    """
    norms = features.flatten(2).norm(dim=1)
    outlier = (norms > limit * norms.median(dim=1, keepdim=True).values).unflatten(1, features.shape[2:])[:, None]
    others = (~outlier).sum(dim=(2, 3), keepdim=True)
    mean = features.masked_fill(outlier, 0).sum(dim=(2, 3), keepdim=True) / others
    return torch.where(outlier, mean, features)
