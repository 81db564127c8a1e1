"""Measure every block of one model at each of its kept checkpoints, and keep a part of the features.

In: weights and images of the validation split, class-balanced (the default), beside the first images of the test source
in file order (as published). Images stream through the network in batches, once for each pass that the metrics ask for,
so that memory is that of one batch. Out, for all checkpoints together, three tables: `scalars.parquet` (per image and
block), `depth.parquet` (per block) and `spectrum.parquet` (per block and channel bin). Out, a folder a checkpoint: the
features of a part of the images, one .npy a block, and `sums.safetensors` with float64 sums over all images. Metrics
are computed on float32 features that are never stored, so the type of the dump does not touch them.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save
from torch import nn

from . import models
from .data import Batch, Split, balanced
from .errors import StudyError
from .files import Column, npy_writer, read_json, replacing, sha256, write_joined, write_json
from .metrics.accumulator import Accumulator, Measured, Settings
from .metrics.attention import AttentionReader
from .metrics.blocks import computed_with
from .metrics.gradient import block_gradients
from .spec.features import FeaturesJob, Probe
from .spec.network import Shapes

# Images at a time, and values of features at a time: the fewer images, the larger the network.
BATCH, BATCH_VALUES = 64, 2**26
BALANCED, PUBLISHED = "balanced", "published"
KEYS = {
    "model": Column("", "teacher, teacher_untrained or the name of a variant"),
    "seed": Column("", "seed of the student; -1 for the teacher"),
    "epoch": Column("epochs", "finished epochs of training; 0 is untrained, -1 a teacher that was not trained here"),
    "probe": Column("", "balanced: class-balanced validation images; published: the first test images in file order"),
    "block": Column("", "0-based number of the block"),
    "block_name": Column("", "the block's name in timm: blocks.3, layers.1, layer2"),
}
DEPTH_KEYS = KEYS | {
    "channels": Column("", "channels of the block's features, C"),
    "tokens": Column("", "patch tokens of an image, rows x columns of the grid"),
    "images": Column("images", "number of images measured"),
}
SPECTRUM_KEYS = KEYS | {
    "channel_bin": Column("", "0-based bin k of the discrete Fourier transform over channels"),
    "frequency": Column("cycles per channel", "k / C"),
    "images": Column("images", "number of images measured"),
}
SCALAR_KEYS = KEYS | {
    "image": Column("", "0-based position in the validation split; of the published images in the test source"),
    "label": Column("", "class of the image"),
}
STANDARD_ERROR = "_se"
# Of dumped features, by whether all tokens are kept.
GRID_AXES = {True: ["row", "column"], False: ["token"]}


def block_name(block: int) -> str:
    """Return the file name of a block's dump."""
    return f"block{block:02d}.npy"


def columns_by_kind(metrics: Iterable[Any]) -> dict[str, dict[str, Column]]:
    """Return the columns of images, of blocks and of bins that the modules `metrics` fill."""
    return {
        kind: {name: column for module in metrics for name, column in getattr(module, kind, {}).items()}
        for kind in ("IMAGE_COLUMNS", "BLOCK_COLUMNS", "BIN_COLUMNS")
    }


def documentation(metrics: Iterable[Any]) -> dict[str, dict[str, Column]]:
    """Return the columns of the three tables where the modules `metrics` are measured."""
    kinds = columns_by_kind(metrics)
    depth = DEPTH_KEYS | kinds["BLOCK_COLUMNS"]
    for name, column in kinds["IMAGE_COLUMNS"].items():
        depth[name] = Column(column.unit, f"mean over images: {column.description}")
        depth[name + STANDARD_ERROR] = Column(column.unit, f"standard error over images of {name}")
    return {
        "depth": depth,
        "spectrum": SPECTRUM_KEYS | kinds["BIN_COLUMNS"],
        "scalars": SCALAR_KEYS | kinds["IMAGE_COLUMNS"],
    }


class Observer:
    """What metrics take of a network: features, gradients and attention of all blocks for a batch of images."""

    def __init__(self, network: nn.Module, device: torch.device, needs: set[str]):
        self.network, self.device = network.to(device).eval().requires_grad_(False), device
        self.attention = AttentionReader(network) if "attention" in needs else None

    def __call__(self, batch: Batch, need: str) -> list[Any]:
        """Return one entry a block of what `need` names."""
        images = batch.images.to(self.device)
        if need == "gradients":
            return block_gradients(self.network, images, batch.labels.to(self.device))
        with torch.no_grad():
            if need == "attention":
                return self.attention(images)
            return [block.float() for block in models.features(self.network, images)]


@dataclass(frozen=True)
class ProbeImages:
    """Images that are measured: `positions` of a split, read from files by `workers` processes."""

    split: Split
    positions: np.ndarray
    workers: int

    def batches(self, size: int) -> Iterator[Batch]:
        """Yield them in order as they are evaluated."""
        return self.split.view(0, None, size, self.workers, self.positions)

    @property
    def labels(self) -> np.ndarray:
        """Their classes, [N]."""
        return self.split.labels[self.positions]


def measure(
    observer: Observer, images: ProbeImages, metrics: dict[Any, Accumulator], dump: "Dump | None", size: int
) -> dict[Any, Measured]:
    """Stream the images through the network, once a pass, in batches of `size`; return what each metric computed.

    Raises StudyError where a metric computes other columns than its file documents.
    """
    for number in range(1, 1 + max(metric.passes for metric in metrics.values())):
        due = {module: metric for module, metric in metrics.items() if metric.passes >= number}
        if number > 1:
            for metric in due.values():
                metric.next_pass()
        for batch in images.batches(size):
            needs = {module.NEEDS for module in due} | ({"features"} if number == 1 and dump else set())
            for need in sorted(needs):
                observed = observer(batch, need)
                for module, metric in due.items():
                    if need == module.NEEDS:
                        metric.update(observed)
                if number == 1 and need == "features" and dump:
                    dump.add(batch.positions, observed)
    return {module: _as_documented(module, metric.compute()) for module, metric in metrics.items()}


def _as_documented(module: Any, computed: Measured) -> Measured:
    """Return what a metric computed; raise StudyError where these are not the columns that its file documents."""
    said = {name for columns in columns_by_kind([module]).values() for name in columns}
    # Of a network without attention nothing is computed.
    if computed and (differing := sorted(said ^ set(computed))):
        raise StudyError(f"{module.__name__}: its Metric and its columns differ in {', '.join(differing)}")
    return computed


class Dump:
    """The features of some images, written while they pass: one .npy a block, whole or not at all."""

    def __init__(self, stack: ExitStack, folder: Path, probe: Probe, positions: np.ndarray, shapes: Shapes):
        self.positions = positions
        self.tokens = [_dumped_tokens(probe, rows, columns) for _, rows, columns in shapes]
        self.shapes = [
            (len(positions), *(shape if tokens is None else (shape[0], len(tokens))))
            for shape, tokens in zip(shapes, self.tokens, strict=True)
        ]
        self.writers = [
            stack.enter_context(npy_writer(folder / block_name(block), shape, probe.dtype))
            for block, shape in enumerate(self.shapes)
        ]

    def add(self, positions: np.ndarray, features: list[torch.Tensor]) -> None:
        """Write those of a batch's images that are kept."""
        kept = np.isin(positions, self.positions)
        for writer, tokens, block in zip(self.writers, self.tokens, features, strict=True):
            values = block[torch.from_numpy(kept).to(block.device)].cpu().numpy()
            writer(values if tokens is None else values.reshape(*values.shape[:2], -1)[:, :, tokens])


def _dumped_tokens(probe: Probe, rows: int, columns: int) -> np.ndarray | None:
    """Return the places on the grid (row x columns + column) whose tokens are dumped; None for all."""
    count = probe.tokens_of(rows, columns)
    if count == rows * columns:
        return None
    return np.sort(np.random.default_rng([0, rows, columns]).choice(rows * columns, count, replace=False))


def rows_of(
    measured: dict[Any, Measured], key: dict[str, Any], images: ProbeImages, names: list[str], shapes: Shapes
) -> dict[str, dict]:
    """Return the columns of the three tables for one checkpoint and one set of images."""
    columns = {name: values for result in measured.values() for name, values in result.items()}
    kinds = columns_by_kind(measured)
    count, blocks = len(images.positions), len(names)
    channels, rows, places = np.array(shapes).T
    # A network without attention fills none of its columns.
    columns |= {name: [np.full(count, np.nan)] * blocks for name in kinds["IMAGE_COLUMNS"] if name not in columns}
    per_block = {name: np.full(blocks, value) for name, value in key.items()}
    per_block |= {"block": np.arange(blocks), "block_name": np.array(names)}
    depth = per_block | {"channels": channels, "tokens": rows * places, "images": np.full(blocks, count)}
    for name in kinds["BLOCK_COLUMNS"]:
        depth[name] = np.array(columns[name], dtype=np.float64)
    for name in kinds["IMAGE_COLUMNS"]:
        statistics = [_mean_and_error(values) for values in columns[name]]
        depth[name], depth[name + STANDARD_ERROR] = np.array(statistics).T
    bins = np.concatenate([np.arange(c) for c in channels])
    spectrum = {name: np.repeat(values, channels) for name, values in per_block.items()} | {
        "channel_bin": bins,
        "frequency": bins / np.repeat(channels, channels),
        "images": np.full(len(bins), count),
        **{name: np.concatenate(columns[name]) for name in kinds["BIN_COLUMNS"]},
    }
    scalars = {name: np.repeat(values, count) for name, values in per_block.items()} | {
        "image": np.tile(images.positions, blocks),
        "label": np.tile(images.labels, blocks),
        **{name: np.concatenate(columns[name]).astype(np.float32) for name in kinds["IMAGE_COLUMNS"]},
    }
    return {"depth": depth, "spectrum": spectrum, "scalars": scalars}


def _mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """Mean over the images that have a value, and its standard error; NaN where none (or one) has."""
    values = values[~np.isnan(values)]
    mean = values.mean() if len(values) else np.nan
    return mean, values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan


def write_sums(path: Path, metrics: dict[str, Accumulator]) -> None:
    """Write the sums over all images that further analysis can start from.

    Of rank: gram<bb> [C, C] (sum of x x^T over all tokens x), sum<bb> [C] and tokens [L], float64. Of spectrum: the
    mean one-sided spectra of consecutive groups of images, spectra<bb> [groups, C // 2 + 1], float32.
    """
    arrays: dict[str, np.ndarray] = {}
    if (rank := metrics.get("rank")) is not None:
        for block, (gram, total) in enumerate(zip(rank.grams, rank.sums, strict=True)):
            arrays |= {f"gram{block:02d}": gram, f"sum{block:02d}": total}
        arrays["tokens"] = np.array(rank.tokens)
    if (spectrum := metrics.get("spectrum")) is not None:
        arrays |= {f"spectra{b:02d}": values.astype(np.float32) for b, values in enumerate(spectrum.groups)}
    with replacing(path) as temporary:
        temporary.write_bytes(save({name: np.ascontiguousarray(value) for name, value in arrays.items()}))


def main(job: FeaturesJob, gpus: int = 0) -> None:
    """Measure one model at all its checkpoints, and dump a part of its features."""
    probe, checkpoints = job.probe, job.network
    device, out = models.device(gpus), Path(job.out)
    # Metrics are defined in float32, which a GPU's convolutions leave unless told otherwise.
    torch.backends.cudnn.allow_tf32 = False
    split = Split(job.images, "validation")
    workers = job.machine.threads - 1
    balanced_images = ProbeImages(split, balanced(split.labels, probe.images), workers)
    published = Split.first(job.images, "test", probe.published_images)
    sets = {BALANCED: balanced_images, PUBLISHED: ProbeImages(published, np.arange(len(published)), workers)}
    labels = balanced_images.labels
    one_image = next(split.view(0, None, 1, positions=balanced_images.positions[:1]))
    dumped = balanced_images.positions[balanced(labels, min(len(labels), probe.dump_images))]
    modules = {name: import_module(f"{__package__}.metrics.{name}") for name in probe.metrics}
    columns = documentation(modules.values())
    tables: dict[str, list[dict]] = {name: [] for name in columns}
    fixed_range = None
    if job.fixed_range is not None:
        limits = read_json(job.fixed_range.files[0])
        fixed_range = limits["low"], limits["high"]
    network = models.build(checkpoints.model, job.images.view)
    names = models.block_names(network)
    for name, epoch, weights, folder in zip(
        checkpoints.names, checkpoints.epochs, checkpoints.weights.files, job.folders, strict=True
    ):
        models.load_weights(weights, network)
        observer = Observer(network, device, {module.NEEDS for module in modules.values()})
        shapes = tuple(models.block_shapes(network, one_image.images.to(device)))
        size = max(1, min(BATCH, BATCH_VALUES // sum(c * rows * cols for c, rows, cols in shapes)))
        key = {"model": name, "seed": checkpoints.seed, "epoch": epoch}
        for probe_name, images in sets.items():
            settings = Settings(probe.entropy_bins, fixed_range, probe.permutations)
            metrics = {metric: module.Metric(settings) for metric, module in modules.items()}
            by_module = {modules[metric]: accumulator for metric, accumulator in metrics.items()}
            with ExitStack() as stack:
                dump = None
                if probe_name == BALANCED:
                    dump = Dump(stack, out / folder, probe, dumped, shapes)
                with computed_with(weights):
                    measured = measure(observer, images, by_module, dump, size)
            for table, rows in rows_of(measured, {**key, "probe": probe_name}, images, names, shapes).items():
                tables[table].append(rows)
            if probe_name == PUBLISHED:
                continue
            if fixed_range is None and "entropy" in metrics:
                # The first checkpoint is the trained teacher: its range is everybody's.
                fixed_range = metrics["entropy"].low, metrics["entropy"].high
                write_json(out / "range.json", dict(zip(("low", "high"), fixed_range, strict=True)))
            write_sums(out / folder / "sums.safetensors", metrics)
            write_json(
                out / folder / "meta.json",
                {
                    **key,
                    "axes": [["image", "channel", *GRID_AXES[tokens is None]] for tokens in dump.tokens],
                    "blocks": names,
                    "shapes": [list(shape) for shape in dump.shapes],
                    "grids": [list(shape[1:]) for shape in shapes],
                    "tokens": [None if tokens is None else tokens.tolist() for tokens in dump.tokens],
                    "dtype": probe.dtype,
                    "images": dumped.tolist(),
                    "labels": split.labels[dumped].tolist(),
                    "weights_sha256": sha256(weights),
                },
            )
    write_joined(out, tables, columns)
