"""Size of block features: the mean absolute activation of each block, and the plain statistics of each image.

In: features [L, B, C, H, W] or L blocks [B, C, H, W]. Out: float64 in activation units, accumulated in
float64. Source of the activation magnitude: Tian, Xu, Li, Distillation Dynamics, AAAI 2026.
"""

from collections.abc import Callable, Iterable

import numpy as np
import torch

from .blocks import Block, Features, image_chunks, iterate_blocks


def _token_norms(images_bchw: torch.Tensor) -> torch.Tensor:
    return torch.linalg.vector_norm(images_bchw, dim=1)


# Each takes images [b, C, H, W] in float64 and gives one number an image, [b].
_SCALARS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "mean": lambda images: images.mean(dim=(1, 2, 3)),
    "standard_deviation": lambda images: images.std(dim=(1, 2, 3), correction=0),
    "rms": lambda images: images.square().mean(dim=(1, 2, 3)).sqrt(),
    "activation_magnitude": lambda images: images.abs().mean(dim=(1, 2, 3)),
    "minimum": lambda images: images.amin(dim=(1, 2, 3)),
    "maximum": lambda images: images.amax(dim=(1, 2, 3)),
    "token_norm_mean": lambda images: _token_norms(images).mean(dim=(1, 2)),
    "token_norm_maximum": lambda images: _token_norms(images).amax(dim=(1, 2)),
}


def activation_magnitude(features: Features) -> np.ndarray:
    """Mean absolute activation of each block, [L], activation units: M[l] = mean of abs(A) over b, c, h, w.

    Raises ValueError for a wrong shape, NaN or infinity.
    """
    name = "activation_magnitude"
    images_lb = [_scalars(block, index, [name])[name] for index, block in iterate_blocks(features)]
    return np.array([images_b.mean() for images_b in images_lb])


def image_scalars(block: Block, index: int = 0) -> dict[str, np.ndarray]:
    """Statistics of every image of one block [B, C, H, W]: name -> [B], all in activation units.

    Over all values A[c, h, w] of an image: mean, standard_deviation (divided by the number of values, not
    one less), rms = sqrt(mean A^2), activation_magnitude = mean abs(A), minimum, maximum. Over its tokens,
    with norm[h, w] = sqrt(sum over c of A^2): token_norm_mean, token_norm_maximum. `index` is the block's
    position in its network, for the messages. Raises ValueError for a wrong shape, NaN or infinity.
    """
    return _scalars(block, index, _SCALARS)


def _scalars(block: Block, index: int, names: Iterable[str]) -> dict[str, np.ndarray]:
    rows = []
    for chunk in image_chunks(block, index):
        images = chunk.double()
        rows.append({name: _SCALARS[name](images).cpu().numpy() for name in names})
    return {name: np.concatenate([row[name] for row in rows]) for name in names}
