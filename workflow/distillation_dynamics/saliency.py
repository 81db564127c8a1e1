"""Saliency maps and layer-wise gradient maps of one model, at each of its kept checkpoints.

In: weights and a few class-balanced images of the validation split. Out, for all checkpoints together, two tables with
a map a row: `saliency.parquet` (the image itself and one map a method) and `gradient_maps.parquet` (one map a block).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from . import models
from .data import Batch, Split, balanced
from .files import Column, write_table
from .metrics.blocks import computed_with
from .metrics.gradient import gradient_maps
from .metrics.saliency import saliency, saliency_map
from .spec.images import View
from .spec.saliency import SaliencyJob

# Images whose gradients are held at once.
BATCH = 16
# Of the noise of SmoothGrad: one for all models and checkpoints, so that they see the same noise.
NOISE_SEED = 0
KEYS = {
    "model": Column("", "teacher, teacher_untrained or the name of a variant"),
    "seed": Column("", "seed of the student; -1 for the teacher"),
    "epoch": Column("epochs", "finished epochs of training; 0 is untrained, -1 a teacher that was not trained here"),
}
IMAGE_KEYS = {
    "image": Column("", "0-based position in the validation split"),
    "label": Column("", "class of the image, whose logit is explained"),
    "rows": Column("pixels or patches", "rows of the map"),
    "columns": Column("pixels or patches", "columns of the map"),
}
SALIENCY_COLUMNS = KEYS | {
    "method": Column("", "image, gradient, smoothgrad or integrated_gradients"),
    **IMAGE_KEYS,
    "map": Column(
        "1 or logit",
        "row by row; image: intensity in [0, 1], mean over colours; methods: largest absolute attribution over colours",
    ),
}
GRADIENT_COLUMNS = KEYS | {
    "block": Column("", "0-based number of the block"),
    "block_name": Column("", "timm's name of the block"),
    **IMAGE_KEYS,
    "map": Column(
        "1 / activation unit",
        "row by row: mean over channels of the absolute gradient of the label's logit by the block's patch tokens",
    ),
}


def intensity(images: Tensor, view: View) -> Tensor:
    """Return normalised images [B, C, H, W] as intensity in [0, 1], mean over colours, [B, H, W]."""
    mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (view.mean, view.std))
    return (images * std + mean).clamp(0, 1).mean(dim=1)


def maps_of(
    network: nn.Module, batch: Batch, view: View, methods: tuple[str, ...], device: torch.device
) -> tuple[dict[str, Tensor], list[Tensor]]:
    """Return maps [B, rows, columns] of a batch: method -> map, the image first, and one a block."""
    images, labels = batch.images.to(device), batch.labels.to(device)
    maps = {"image": intensity(batch.images, view)}
    maps |= {method: saliency_map(saliency(network, images, labels, method, NOISE_SEED)) for method in methods}
    return maps, gradient_maps(network, images, labels)


def table_rows(key: dict[str, Any], batch: Batch, maps: Tensor) -> Iterator[dict[str, Any]]:
    """Yield a table's row for each of the maps [B, rows, columns]."""
    images = zip(batch.positions.tolist(), batch.labels.tolist(), maps.float().cpu().numpy(), strict=True)
    for position, label, values in images:
        shape = {"rows": values.shape[0], "columns": values.shape[1]}
        yield {**key, "image": position, "label": label, **shape, "map": values.ravel()}


def main(job: SaliencyJob, gpus: int = 0) -> None:
    """Explain one model at all its checkpoints."""
    view, checkpoints = job.images.view, job.network
    device, out = models.device(gpus), Path(job.out)
    # Maps are defined in float32, which a GPU's convolutions leave unless told otherwise.
    torch.backends.cudnn.allow_tf32 = False
    images = Split(job.images, "validation")
    positions = balanced(images.labels, job.settings.images)
    saliency_rows, gradient_rows = [], []
    for name, epoch, weights in zip(checkpoints.names, checkpoints.epochs, checkpoints.weights.files, strict=True):
        # A network may keep what it computed from its weights (TinyViT), so that each checkpoint gets one of its own.
        network = models.build(checkpoints.model, view)
        models.load_weights(weights, network)
        network, names = network.to(device).eval(), models.block_names(network)
        key = {"model": name, "seed": checkpoints.seed, "epoch": epoch}
        for batch in images.view(0, None, BATCH, positions=positions):
            with computed_with(weights):
                by_method, by_block = maps_of(network, batch, view, job.settings.methods, device)
            for method, maps in by_method.items():
                saliency_rows += table_rows(key | {"method": method}, batch, maps)
            for block, (block_name, maps) in enumerate(zip(names, by_block, strict=True)):
                gradient_rows += table_rows(key | {"block": block, "block_name": block_name}, batch, maps)
    tables = (("saliency", SALIENCY_COLUMNS, saliency_rows), ("gradient_maps", GRADIENT_COLUMNS, gradient_rows))
    for table, documentation, values in tables:
        columns = {name: [row[name] for row in values] for name in documentation}
        write_table(out / f"{table}.parquet", columns, documentation)
