"""Geometry of an image's patch tokens: norms, outliers, similarity to each other and to block 0's tokens.

In: features, L blocks [B, C, H, W]; a token is its C channels. Out: float64, an entry an image. Tokens of outlying norm
are those that Darcet et al., Vision Transformers Need Registers, ICLR 2024, found large Vision Transformers to use as
registers. Where the residual stream hardly changes over depth (cosine to the first block near 1), first and last block
are nearly the same target for a student.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ..files import Column
from ..outputs import Outputs
from .accumulator import Accumulator
from .blocks import by_image, image_chunks

REQUIRES = ("features",)
OUTLIER_FACTOR = 3
IMAGE_COLUMNS = {
    "token_norm_mean": Column("activation units", "mean Euclidean norm of the tokens"),
    "token_norm_maximum": Column("activation units", "largest Euclidean norm of a token"),
    "token_norm_ratio": Column("", "largest norm of a token over the median norm; NaN where the median is 0"),
    "token_norm_outliers": Column("", f"share of the tokens whose norm exceeds {OUTLIER_FACTOR} times the median norm"),
    "token_cosine": Column("", "mean cosine over pairs of different tokens of the image; NaN with one token"),
    "cosine_to_first": Column("", "mean cosine between a token and the same token after block 0; NaN on another grid"),
}


def _cosine(tokens: Tensor, norms: Tensor) -> Tensor:
    """Return the mean cosine over pairs, from |sum of unit tokens|^2 without each token's product with itself."""
    count = tokens.shape[2]
    if count == 1:
        return torch.full_like(norms[:, 0], torch.nan)
    unit = tokens / torch.where(norms > 0, norms, 1)[:, None]
    return (unit.sum(dim=2).square().sum(dim=1) - (norms > 0).sum(dim=1)) / (count * (count - 1))


# Each maps tokens [b, C, N] in float64, their norms [b, N] and the median norm [b, 1] (the mean of the middle two for
# an even number) to one number per image.
SCALARS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "token_norm_mean": lambda tokens, norms, median: norms.mean(dim=1),
    "token_norm_maximum": lambda tokens, norms, median: norms.amax(dim=1),
    "token_norm_ratio": lambda tokens, norms, median: torch.where(
        median > 0, norms.amax(dim=1, keepdim=True) / median, torch.nan
    )[:, 0],
    "token_norm_outliers": lambda tokens, norms, median: (norms > OUTLIER_FACTOR * median).double().mean(dim=1),
    "token_cosine": lambda tokens, norms, median: _cosine(tokens, norms),
}


class Metric(Accumulator):
    """Norms and cosines of every image's tokens."""

    def update(self, outputs: Outputs) -> None:
        """Take the features of all blocks for a batch of images."""
        first = outputs.features[0]
        self.images.add(
            [
                self.of_block(block, index) | {"cosine_to_first": _to_first(block, index, first)}
                for index, block in outputs.features.items()
            ]
        )

    def of_block(self, block: Tensor, index: int) -> dict[str, np.ndarray]:
        """Return all columns except `cosine_to_first` for a batch's images."""
        return dict(zip(SCALARS, by_image(block, index, _scalars).T, strict=True))


def _scalars(images: Tensor) -> Tensor:
    """Return SCALARS of images [b, C, H, W] in float64, [b, scalars]."""
    tokens = images.flatten(2)
    norms = torch.linalg.vector_norm(tokens, dim=1)
    median = norms.quantile(0.5, dim=1, keepdim=True)
    return torch.stack([scalar(tokens, norms, median) for scalar in SCALARS.values()], dim=1)


def _to_first(block: Tensor, index: int, first: Tensor) -> np.ndarray:
    """Return the mean cosine of every image between its tokens and those of the first block, [B]; NaN on another grid.

    A zero token has cosine 0.
    """
    if block.shape != first.shape:
        return np.full(len(block), np.nan)
    chunks = zip(image_chunks(first, 0), image_chunks(block, index), strict=True)
    cosines = [torch.nn.functional.cosine_similarity(a.double(), b.double(), dim=1, eps=1e-300) for a, b in chunks]
    return torch.cat(cosines).mean(dim=(1, 2)).cpu().numpy()
