"""Estimates memory: images per batch, and the memory to request for a measuring job.

In: what is known of a network without weights (`ModelInfo`). One budget limits each of three things that grow with the
batch: the outputs that metrics see, one layer's attention maps, and the graph for gradients. So memory hardly depends
on the network, unless a single image exceeds the budget.
"""

from collections.abc import Iterable

from ..spec.measure import KEPT, Batches
from ..spec.network import ModelInfo
from ..spec.networks import EVALUATION_BATCH
from ..spec.teacher_outputs import BATCH, Part, values_of

# Budget in bytes for each of the three.
BUDGET = 2**29
# Factor on what an operation reads and writes, for neighbours in memory and the allocator's cache.
SLACK = 2
# Bytes per value of the block that metrics work on: three copies in float64.
COPIES = 3 * 8
USUAL = Batches()
# Base memory of a process: torch and the allocator. A ViT-S/14 at 224 pixels takes 3.65 GB in total.
PROCESS = 1_500_000_000


def of_image(info: ModelInfo) -> Batches:
    """Return bytes per image: in a batch for metrics, in a layer's attention, in a gradient pass.

    A batch holds the image, features and gradients of all blocks, the features again while they are reordered or joined
    with other tokens, and copies of one block.
    """
    image = _image(info)
    values = [channels * rows * columns for channels, rows, columns in info.shapes]
    cost, features = info.footprint, 4 * sum(values)
    return Batches(
        image + 3 * features + COPIES * max(values) + SLACK * cost.forward,
        image + SLACK * cost.attention,
        image + features + SLACK * cost.graph,
    )


def batches(info: ModelInfo) -> Batches:
    """Return the images per forward pass: the default or what fits the budget, at least one."""
    one = of_image(info)
    images = _fitting(one.images, USUAL.images)
    return Batches(images, _fitting(one.attention, images), _fitting(one.gradients, images))


def _fitting(size: int, most: int) -> int:
    return max(1, min(most, BUDGET // size))


def evaluated(info: ModelInfo) -> int:
    """Return the images per evaluation batch: the default or what fits the budget."""
    return _fitting(_image(info) + SLACK * info.footprint.forward, EVALUATION_BATCH)


def answered(info: ModelInfo, parts: Iterable[Part]) -> int:
    """Return the images per batch of a teacher whose outputs are stored, by the parts kept.

    The default or what fits the budget: the kept outputs of a batch and one operation of the pass.
    """
    parts, cost = list(parts), info.footprint
    operation = cost.attention if any(kind == "attention" for kind, _ in parts) else cost.forward
    return _fitting(_image(info) + 4 * sum(values_of(part, info.size) for part in parts) + SLACK * operation, BATCH)


def _image(info: ModelInfo) -> int:
    return 4 * info.view.channels * info.view.image_size**2


def megabytes(info: ModelInfo) -> int:
    """Return the memory in MB of a process that measures a network: weights, the three parts, and kept results.

    0 if the default batch fits the budget: then the study's setting is enough.
    """
    if batches(info) == USUAL:
        return 0
    sizes = zip(vars(of_image(info)).values(), vars(batches(info)).values(), strict=True)
    parts = sum(size * images for size, images in sizes)
    return (PROCESS + KEPT + parts + 2 * 4 * info.parameters) // 10**6
