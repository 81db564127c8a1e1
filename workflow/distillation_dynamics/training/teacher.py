"""Provides the teacher's outputs in training: from the teacher itself for every batch, or from storage.

Both have one precision, whatever a student trains in: float32, or bfloat16 (autocast) if the study asks for it. The
outputs themselves are float32.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..data.split import Batch, Split
from ..data.transfer import sent
from ..data.views import view_of
from ..errors import StudyError
from ..files import read_npy
from ..networks.parts import say_alike
from ..spec.images import View
from ..spec.teacher_outputs import BATCH, Part, file_of
from ..spec.training import Augmentation, views_of

VERIFIED_IMAGES = 64
# Largest difference of recomputed outputs, relative to the largest value: other batch sizes or thread counts change
# float32 sums by about 1e-6 of the scale, never by 1e-3, and bfloat16, which has 8 bits, by about 1e-2.
TOLERANCES = {"float32": 1e-3, "bfloat16": 5e-2}


class Conversion(NamedTuple):
    """Converts a student's pixels to a teacher's, as timm's distillation does; None if they are the same.

    Undoes the student's normalisation, applies the teacher's, repeats a grey channel three times, and resizes to the
    teacher's size. The crop is the student's.
    """

    ours: View | None = None
    theirs: View | None = None

    def __call__(self, pixels: Tensor) -> Tensor:
        """Return pixels [B, C, H, W] converted for the teacher, [B, C', H', W']."""
        ours, theirs = self.ours, self.theirs
        if ours is None or theirs is None:
            return pixels
        # Equal settings change no bit.
        if (ours.channels, ours.mean, ours.std) != (theirs.channels, theirs.mean, theirs.std):
            given = (ours.mean, ours.std, theirs.mean, theirs.std)
            mean, std, own_mean, own_std = (pixels.new_tensor(values).view(1, -1, 1, 1) for values in given)
            pixels = (pixels * std + mean - own_mean) / own_std
        if ours.image_size != theirs.image_size:
            size, mode = (theirs.image_size, theirs.image_size), theirs.interpolation
            pixels = F.interpolate(pixels, size, mode=mode, antialias=True)
        return pixels


AS_IT_IS = Conversion()


class OnlineTeacher:
    """The teacher itself, run on every batch, `images_at_a_time` (None: all), in a precision."""

    def __init__(
        self,
        network: nn.Module,
        images_at_a_time: int | None = None,
        see: Conversion = AS_IT_IS,
        precision: str = "float32",
    ):
        self.network = network.eval().requires_grad_(False)
        self.images_at_a_time, self.see, self.precision = images_at_a_time, see, precision

    @torch.no_grad()
    def __call__(self, batch: Batch, pixels: Tensor, epoch: int, parts: Sequence[Part]) -> dict[Part, Tensor]:
        """Return parts of the teacher's outputs on `pixels` [B, C, H, W]."""
        # The memory layout of a Transformer's tokens: 10 % faster on a CPU, equal up to rounding.
        images = (
            self.see(pixels).contiguous(memory_format=torch.channels_last).split(self.images_at_a_time or len(pixels))
        )
        said = [say_in(self.precision, self.network, some, parts) for some in images]
        return said[0] if len(said) == 1 else joined(said)


class CachedTeacher:
    """The teacher's outputs read from files by (view, position)."""

    def __init__(self, folder: str | Path, parts: Collection[Part], augmentation: Augmentation | None):
        self.folder, self.augmentation = Path(folder), augmentation
        self.arrays = {part: read_npy(self.folder / file_of(part)) for part in parts}

    def __call__(self, batch: Batch, pixels: Tensor, epoch: int, parts: Sequence[Part]) -> dict[Part, Tensor]:
        """Return parts of the teacher's outputs on the batch's images in the view of `epoch`."""
        view, _ = view_of(self.augmentation, 0, epoch)
        return {part: sent(torch.from_numpy(self.arrays[part][view, batch.positions]), pixels.device) for part in parts}

    def verify(
        self,
        network: nn.Module,
        images: Split,
        device: torch.device,
        seed: int,
        see: Conversion = AS_IT_IS,
        size: int = BATCH,
        precision: str = "float32",
    ) -> None:
        """Recompute the outputs for a random part of the images, `size` at a time.

        Raises StudyError if a file differs.
        """
        generator = np.random.default_rng(seed)
        positions = np.sort(generator.choice(len(images), min(VERIFIED_IMAGES, len(images)), replace=False))
        views = views_of(self.augmentation)
        assert views is not None, "outputs are stored only for a fixed number of views"
        view, parts = int(generator.integers(views)), list(self.arrays)
        given = network, images, view, self.augmentation, parts, device
        answer = joined(list(answers(*given, positions=positions, see=see, size=size, precision=precision)))
        for part, array in self.arrays.items():
            expected = answer[part].cpu().numpy()
            path = self.folder / file_of(part)
            if array.shape[:2] != (views, len(images)) or array.shape[2:] != expected.shape[1:]:
                raise StudyError(f"{path}: holds shape {array.shape}, not that of this study; delete it and run again")
            tolerance = TOLERANCES[precision] * np.abs(expected).max()
            if not np.allclose(array[view, positions], expected, rtol=0, atol=tolerance):
                raise StudyError(f"{path}: differs from what the teacher says now; delete it and run snakemake again")


def say_in(precision: str, network: nn.Module, pixels: Tensor, parts: Sequence[Part]) -> dict[Part, Tensor]:
    """Return parts of the teacher's outputs for pixels [B, C, H, W], computed in a precision and returned in float32.

    The precision in which its students train makes no difference.
    """
    with torch.autocast(pixels.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        said = say_alike(network, pixels, parts)
    return {part: values.float() for part, values in said.items()}


def joined(said: Sequence[Mapping[Part, Tensor]]) -> dict[Part, Tensor]:
    """Return the outputs on parts of a batch, joined."""
    return {part: torch.cat([one[part] for one in said]) for part in said[0]}


@torch.inference_mode()
def answers(
    network: nn.Module,
    images: Split,
    view: int,
    augmentation: Augmentation | None,
    parts: Sequence[Part],
    device: torch.device,
    workers: int = 0,
    positions: np.ndarray | None = None,
    see: Conversion = AS_IT_IS,
    size: int = BATCH,
    precision: str = "float32",
) -> Iterator[dict[Part, Tensor]]:
    """Yield parts of the teacher's outputs on the images of one view (or those at `positions`), `size` at a time."""
    network.to(device).eval()
    for batch in images.view(view, augmentation, size, workers, positions, device):
        yield say_in(precision, network, see(batch.images), parts)
