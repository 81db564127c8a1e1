"""Likeness of each block's tokens to those of the first block: how much contrast aligning First or Last can have.

In: features [L, B, C, H, W] or L blocks [B, C, H, W]. Out: float64. Where the residual stream hardly changes over
depth (cosine near 1), first and last block are nearly the same target for a student.
"""

import numpy as np
import torch

from .blocks import Features, image_chunks, iterate_blocks


def cosine_to_first(features: Features) -> np.ndarray:
    """Mean cosine between each block's tokens and the first block's, [L]: mean over b, h, w of cos(A[l], A[0]).

    A token is its C channels; a token of zeros has cosine 0. The first value is 1 unless tokens are zero. Raises
    ValueError for a wrong shape, blocks of different shapes, NaN or infinity.
    """
    blocks = list(iterate_blocks(features))
    first = blocks[0][1]
    means = []
    for index, block in blocks:
        if block.shape != first.shape:
            raise ValueError(f"features: block {index} has shape {tuple(block.shape)}, block 0 {tuple(first.shape)}")
        chunks = zip(image_chunks(first, 0), image_chunks(block, index), strict=True)
        cosines = [torch.nn.functional.cosine_similarity(a.double(), b.double(), dim=1, eps=1e-300) for a, b in chunks]
        means.append(float(torch.cat(cosines).mean()))
    return np.array(means)
