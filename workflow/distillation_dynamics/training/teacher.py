"""Who answers for the teacher in training: itself, asked for every batch, or its stored outputs."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..data.split import Batch, Split
from ..data.views import view_of
from ..errors import StudyError
from ..files import read_npy
from ..networks.answers import run
from ..outputs import Blocks, Outputs, Request, asked_for
from ..spec.training import Augmentation, views_of

BATCH = 256
VERIFIED_IMAGES = 64


def file_name(block: int | None) -> str:
    """Return the name of the file with a block's features, or (None) with the logits."""
    return "logits.npy" if block is None else f"block{block:02d}.npy"


class OnlineTeacher:
    """The teacher itself, asked for every batch, `images_at_a_time` of it (None: all)."""

    def __init__(self, network: nn.Module, precision: str, images_at_a_time: int | None = None):
        self.network = network.eval().requires_grad_(False)
        self.precision, self.images_at_a_time = precision, images_at_a_time

    @torch.no_grad()
    def __call__(self, batch: Batch, pixels: Tensor, epoch: int, request: Request) -> Outputs:
        """Return what is asked of the teacher on `pixels` [B, C, H, W]."""
        # The layout in which a Transformer lays its tokens out: a tenth sooner on a CPU, equal up to rounding.
        parts = pixels.contiguous(memory_format=torch.channels_last).split(self.images_at_a_time or len(pixels))
        with torch.autocast(pixels.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            said = [run(self.network, part, request) for part in parts]
        return said[0] if len(said) == 1 else Outputs.joined(said)


class CachedTeacher:
    """The teacher's outputs read from files by (view, position)."""

    def __init__(self, folder: str | Path, request: Request, augmentation: Augmentation | None):
        self.folder, self.request, self.augmentation = Path(folder), request, augmentation
        keys = [*([None] if request.logits else []), *request.features]
        self.arrays = {key: read_npy(self.folder / file_name(key)) for key in keys}

    def __call__(self, batch: Batch, pixels: Tensor, epoch: int, request: Request) -> Outputs:
        """Return what is asked of the teacher on the batch's images in the view that `epoch` shows."""
        view, _ = view_of(self.augmentation, 0, epoch)
        values = {
            key: torch.from_numpy(self.arrays[key][view, batch.positions]).to(pixels.device, non_blocking=True)
            for key in [*([None] if request.logits else []), *request.features]
        }
        return Outputs(values.pop(None, None), values)

    def verify(self, network: nn.Module, images: Split, device: torch.device, seed: int) -> None:
        """Recompute the outputs of a random part of the images; raise StudyError where a file differs."""
        generator = np.random.default_rng(seed)
        positions = np.sort(generator.choice(len(images), min(VERIFIED_IMAGES, len(images)), replace=False))
        views = views_of(self.augmentation)
        assert views is not None, "answers are stored of a fixed number of views"
        view = int(generator.integers(views))
        blocks = self.request.features
        answer = next(answers(network, images, view, self.augmentation, blocks, device, positions=positions))
        for key, array in self.arrays.items():
            expected = (asked_for(answer.logits) if key is None else answer.features[key]).cpu().numpy()
            path = self.folder / file_name(key)
            if array.shape[:2] != (views, len(images)) or array.shape[2:] != expected.shape[1:]:
                raise StudyError(f"{path}: holds shape {array.shape}, not that of this study; delete it and run again")
            # Another batch size or thread count moves float32 sums by some 1e-6 of the scale, never by 1e-3.
            if not np.allclose(array[view, positions], expected, rtol=0, atol=1e-3 * np.abs(expected).max()):
                raise StudyError(f"{path}: differs from what the teacher says now; delete it and run snakemake again")


@torch.inference_mode()
def answers(
    network: nn.Module,
    images: Split,
    view: int,
    augmentation: Augmentation | None,
    blocks: Blocks,
    device: torch.device,
    workers: int = 0,
    positions: np.ndarray | None = None,
) -> Iterator[Outputs]:
    """Yield the teacher's logits and features of `blocks` on the images of one view (or those at `positions`)."""
    network.to(device).eval()
    for batch in images.view(view, augmentation, BATCH, workers, positions):
        yield run(network, batch.images.to(device), Request(logits=True, features=blocks))
