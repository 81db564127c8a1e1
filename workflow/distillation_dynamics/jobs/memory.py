"""What networks take of the memory: how many images pass at a time, and how much memory a job that measures asks for.

In: what is known of a network before it has weights (`ModelInfo`). One budget bounds each of the three things that grow
with the images of a batch: what a batch leaves for the metrics, the attention maps of a layer, and the graph of a pass
for gradients. So the memory of a job hardly depends on the network, until one image alone takes more than the budget.
"""

from collections.abc import Iterable

from ..spec.measure import KEPT, Batches
from ..spec.network import ModelInfo
from ..spec.networks import EVALUATION_BATCH
from ..spec.teacher_outputs import BATCH, Part, values_of

# Bytes of one of the three.
BUDGET = 2**29
# Of what an operation reads and makes, so many times is in memory: what lies beside it, and what the allocator keeps.
SLACK = 2
# Bytes of a value of the block that metrics look at: three copies in float64.
COPIES = 3 * 8
USUAL = Batches()
# Of a process beside its batches: torch, and what the allocator holds. A ViT-S/14 at 224 pixels takes 3.65 GB in all.
PROCESS = 1_500_000_000


def of_image(info: ModelInfo) -> Batches:
    """Return the bytes of one image: in a batch that metrics see, in a layer's attention, in a pass for gradients.

    A batch holds the image, features and gradients of all blocks, the features once more while they are put in order or
    joined with other tokens, and copies of one block.
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
    """Return how many images pass a network at a time: as many as usual, or as fit the budget, at least one."""
    one = of_image(info)
    images = _fitting(one.images, USUAL.images)
    return Batches(images, _fitting(one.attention, images), _fitting(one.gradients, images))


def _fitting(size: int, most: int) -> int:
    return max(1, min(most, BUDGET // size))


def evaluated(info: ModelInfo) -> int:
    """Return how many images pass at a time where a network is evaluated: as many as usual, or as fit the budget."""
    return _fitting(_image(info) + SLACK * info.footprint.forward, EVALUATION_BATCH)


def answered(info: ModelInfo, parts: Iterable[Part]) -> int:
    """Return about how many images a teacher is asked at a time whose answers are stored, by the parts that are kept.

    As many as usual, or as fit the budget: what is kept of a batch, and beside it one operation of the pass.
    """
    parts, cost = list(parts), info.footprint
    operation = cost.attention if any(kind == "attention" for kind, _ in parts) else cost.forward
    return _fitting(_image(info) + 4 * sum(values_of(part, info.size) for part in parts) + SLACK * operation, BATCH)


def _image(info: ModelInfo) -> int:
    return 4 * info.view.channels * info.view.image_size**2


def megabytes(info: ModelInfo) -> int:
    """Return the memory of a process that measures a network, MB: its weights, all three parts, and what is kept.

    0 for one of which as many images as usual fit the budget: what the study asks for is enough.
    """
    if batches(info) == USUAL:
        return 0
    sizes = zip(vars(of_image(info)).values(), vars(batches(info)).values(), strict=True)
    parts = sum(size * images for size, images in sizes)
    return (PROCESS + KEPT + parts + 2 * 4 * info.parameters) // 10**6
