"""Size of block features: the mean absolute activation of each block, and the plain statistics of each image.

In: features [L, B, C, H, W] or L blocks [B, C, H, W]. Out: float64 in activation units, accumulated in float64. Source
of the activation magnitude: Tian, Xu, Li, Distillation Dynamics, AAAI 2026. The root mean square and the standard
deviation within tokens are its controls: intensity and entropy follow them.
"""

from collections.abc import Callable, Iterable

import numpy as np
import torch

from ..files import Column
from ..outputs import Outputs
from .accumulator import Accumulator
from .blocks import Block, Features, image_chunks, iterate_blocks

REQUIRES = ("features",)
IMAGE_COLUMNS = {
    "mean": Column("activation units", "mean over channels and tokens"),
    "standard_deviation": Column("activation units", "standard deviation over channels and tokens"),
    "token_standard_deviation": Column("activation units", "mean over tokens of the standard deviation over channels"),
    "rms": Column("activation units", "root mean square over channels and tokens"),
    "activation_magnitude": Column("activation units", "mean absolute activation"),
    "minimum": Column("activation units", "smallest activation"),
    "maximum": Column("activation units", "largest activation"),
}

# Each takes images [b, C, H, W] in float64 and gives one number an image, [b].
_SCALARS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "mean": lambda images: images.mean(dim=(1, 2, 3)),
    "standard_deviation": lambda images: images.std(dim=(1, 2, 3), correction=0),
    "token_standard_deviation": lambda images: images.std(dim=1, correction=0).mean(dim=(1, 2)),
    "rms": lambda images: images.square().mean(dim=(1, 2, 3)).sqrt(),
    "activation_magnitude": lambda images: images.abs().mean(dim=(1, 2, 3)),
    "minimum": lambda images: images.amin(dim=(1, 2, 3)),
    "maximum": lambda images: images.amax(dim=(1, 2, 3)),
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

    Over all values A[c, h, w] of an image: mean, standard_deviation (divided by the number of values, not one less),
    rms = sqrt(mean A^2), activation_magnitude = mean abs(A), minimum, maximum; token_standard_deviation = mean over h,
    w of the standard deviation over c. `index` is the block's position in its network, for the messages. Raises
    ValueError for a wrong shape, NaN or infinity.
    """
    return _scalars(block, index, _SCALARS)


class Metric(Accumulator):
    """Streaming form: every statistic of IMAGE_COLUMNS."""

    def update(self, outputs: Outputs) -> None:
        """Take the features of all blocks for a batch of images."""
        blocks = list(outputs.features.values())
        self.images.add([image_scalars(block, index) for index, block in iterate_blocks(blocks)])


def _scalars(block: Block, index: int, names: Iterable[str]) -> dict[str, np.ndarray]:
    rows = []
    for chunk in image_chunks(block, index):
        images = chunk.double()
        rows.append({name: _SCALARS[name](images).cpu().numpy() for name in names})
    return {name: np.concatenate([row[name] for row in rows]) for name in names}
