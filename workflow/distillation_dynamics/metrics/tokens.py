"""Geometry of an image's patch tokens: their lengths, their outliers, their likeness to each other and to block 0's.

In: features [L, B, C, H, W] or L blocks [B, C, H, W]; a token is its C channels. Out: float64, one entry an image.
Tokens of outlying norm are those that Darcet et al., Vision Transformers Need Registers, ICLR 2024, found large
Vision Transformers to use as registers. Where the residual stream hardly changes over depth (cosine to the first block
near 1), first and last block are nearly the same target for a student.
"""

from collections.abc import Callable

import numpy as np
import torch

from ..files import Column
from ..outputs import Outputs
from .accumulator import Accumulator
from .blocks import Block, Features, image_chunks, iterate_blocks, stacked

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


def _cosine(tokens: torch.Tensor, norms: torch.Tensor) -> torch.Tensor:
    """Mean cosine over pairs: of all pairs' sum, |sum of unit tokens|^2, the tokens' own, each 1, are taken away."""
    count = tokens.shape[2]
    if count == 1:
        return torch.full_like(norms[:, 0], torch.nan)
    unit = tokens / torch.where(norms > 0, norms, 1)[:, None]
    return (unit.sum(dim=2).square().sum(dim=1) - (norms > 0).sum(dim=1)) / (count * (count - 1))


# Each takes tokens [b, C, N] in float64, their norms [b, N] and the median norm [b, 1]; it gives one number an image.
_SCALARS: dict[str, Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "token_norm_mean": lambda tokens, norms, median: norms.mean(dim=1),
    "token_norm_maximum": lambda tokens, norms, median: norms.amax(dim=1),
    "token_norm_ratio": lambda tokens, norms, median: torch.where(
        median > 0, norms.amax(dim=1, keepdim=True) / median, torch.nan
    )[:, 0],
    "token_norm_outliers": lambda tokens, norms, median: (norms > OUTLIER_FACTOR * median).double().mean(dim=1),
    "token_cosine": lambda tokens, norms, median: _cosine(tokens, norms),
}


def token_scalars(features: Features) -> dict[str, np.ndarray | list[np.ndarray]]:
    """Norms and mutual cosine of every image's tokens: name -> [L, B].

    token_norm_mean and token_norm_maximum in activation units; token_norm_ratio, the maximum over the image's median
    (of an even number of tokens, the mean of the middle two), NaN where that is 0; token_norm_outliers, the share of
    tokens whose norm exceeds 3 times the median; token_cosine, the mean cosine over all pairs of different tokens, a
    token of zeros having cosine 0 with every other, NaN with one token. Raises ValueError for a wrong shape, NaN or
    infinity.
    """
    rows = [_block_scalars(block, index) for index, block in iterate_blocks(features)]
    return {name: stacked([row[name] for row in rows]) for name in _SCALARS}


def cosine_to_first(features: Features) -> np.ndarray | list[np.ndarray]:
    """Mean cosine between each image's tokens and those of the first block, [L, B]: mean over h, w of cos(A[l], A[0]).

    A token of zeros has cosine 0, so the first row is 1 but for such tokens. A block whose shape is not that of the
    first is NaN. Raises ValueError for a wrong shape, NaN or infinity.
    """
    blocks = list(iterate_blocks(features))
    return stacked([_to_first(block, index, blocks[0][1]) for index, block in blocks])


def _block_scalars(block: Block, index: int) -> dict[str, np.ndarray]:
    parts = []
    for chunk in image_chunks(block, index):
        tokens = chunk.double().flatten(2)
        norms = torch.linalg.vector_norm(tokens, dim=1)
        median = norms.quantile(0.5, dim=1, keepdim=True)
        parts.append({name: scalar(tokens, norms, median).cpu().numpy() for name, scalar in _SCALARS.items()})
    return {name: np.concatenate([part[name] for part in parts]) for name in _SCALARS}


def _to_first(block: Block, index: int, first: Block) -> np.ndarray:
    if block.shape != first.shape:
        return np.full(len(block), np.nan)
    chunks = zip(image_chunks(first, 0), image_chunks(block, index), strict=True)
    cosines = [torch.nn.functional.cosine_similarity(a.double(), b.double(), dim=1, eps=1e-300) for a, b in chunks]
    return torch.cat(cosines).mean(dim=(1, 2)).cpu().numpy()


class Metric(Accumulator):
    """Norms and cosines of every image's tokens."""

    def update(self, outputs: Outputs) -> None:
        """Take the features of all blocks for a batch of images."""
        blocks = list(iterate_blocks(list(outputs.features.values())))
        self.images.add(
            [
                _block_scalars(block, index) | {"cosine_to_first": _to_first(block, index, blocks[0][1])}
                for index, block in blocks
            ]
        )
