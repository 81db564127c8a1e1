"""Teacher outputs on the training images, computed once and shared by all students.

If a student sees each image in a fixed number of views (no augmentation is one view), the stage writes the outputs that
some variant needs, such as logits [view, image, class] and features [view, image, channel, row, column] of a block, in
float32, one file each; they are computed in the precision that the study says. Before a student uses them it
recomputes a random part (`CachedTeacher.verify`).
"""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ..data.split import Split
from ..files import npy_writer
from ..networks.acceptance import check_stored
from ..networks.build import build
from ..networks.device import check_precision
from ..networks.device import device as device_of
from ..networks.weights import load_weights
from ..spec.teacher_outputs import BATCH, Part, TeacherOutputsJob, file_of
from ..spec.training import Augmentation, views_of
from ..training.teacher import AS_IT_IS, Conversion, answers


def write(
    folder: str | Path,
    network: nn.Module,
    images: Split,
    augmentation: Augmentation | None,
    parts: Sequence[Part],
    device: torch.device,
    workers: int = 0,
    see: Conversion = AS_IT_IS,
    size: int = BATCH,
    precision: str = "float32",
) -> None:
    """Write `parts` of a network's outputs for every view of `images`, each file whole or not at all.

    `size`: batch size.
    """
    sample = next(answers(network, images, 0, augmentation, parts, device, positions=np.arange(1), see=see))
    views = views_of(augmentation)
    assert views is not None, "outputs are stored only for a fixed number of views"
    check_stored(sum(tensor[0].nbytes for tensor in sample.values()) * views * len(images), folder)
    with ExitStack() as stack:
        writers = []
        for part, tensor in sample.items():
            shape = (views, len(images), *tensor.shape[1:])
            writers.append(stack.enter_context(npy_writer(Path(folder) / file_of(part), shape, np.float32)))
        for view in range(views):
            asked = network, images, view, augmentation, parts, device, workers
            for answer in answers(*asked, see=see, size=size, precision=precision):
                for write_rows, tensor in zip(writers, answer.values(), strict=True):
                    write_rows(tensor.cpu().numpy())


def main(job: TeacherOutputsJob, gpus: int = 0) -> None:
    """Compute the teacher's outputs on the students' training images, once."""
    device = device_of(gpus)
    check_precision(job.precision, device)
    network = build(job.model, job.view)
    load_weights(job.weights.files[0], network)
    images = Split(job.images, "train", job.train_images)
    see = Conversion(job.images.view, job.view)
    workers = job.machine.threads - 1
    asked = job.out, network, images, job.augmentation, job.parts, device
    write(*asked, workers, see, job.batch, job.precision)
