"""Dump and measure the features of every block of one model, at each of its kept checkpoints.

In: weights and the class-balanced probe images (a fixed part of the validation split). Out, a folder a checkpoint
with one .npy a block, [image, channel, row, column]; and for all checkpoints together three tables: `scalars.parquet`
(per image and block), `depth.parquet` (per block) and `spectrum.parquet` (per block and channel bin). Metrics are
computed on float32 features that live only during the run, so the type of the dump does not touch them.
"""

import tempfile
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from torch import nn

from . import metrics, models
from .data import Split, balanced
from .files import Column, npy_writer, read_npy, sha256, write_json, write_table
from .metrics.entropy import value_range
from .metrics.magnitude import image_scalars
from .metrics.spectrum import image_intensity
from .spec import Data, Model, Probe, from_json
from .stage import run_stage

BATCH = 64
KEYS = {
    "model": Column("", "teacher, teacher_untrained or the name of a variant"),
    "seed": Column("", "seed of the student; -1 for the teacher"),
    "epoch": Column("epochs", "finished epochs of training; 0 is untrained, -1 a teacher that was not trained here"),
    "block": Column("", "0-based number of the block"),
}
DEPTH_COLUMNS = KEYS | {
    "intensity": Column("activation units", "spectral intensity: mean over channel bins of the channel spectrum"),
    "entropy": Column("bits", "mean token entropy; bins span one range, that of all blocks and images"),
    "activation_magnitude": Column("activation units", "mean absolute activation"),
    "cosine_to_first": Column("", "mean cosine between a token after this block and the same token after block 0"),
    "range_low": Column("activation units", "lower end of the entropy's range, one for all blocks of a checkpoint"),
    "range_high": Column("activation units", "upper end of the entropy's range"),
    "images": Column("images", "number of probe images"),
}
SPECTRUM_COLUMNS = KEYS | {
    "channel_bin": Column("", "0-based bin k of the discrete Fourier transform over channels"),
    "frequency": Column("cycles per channel", "k / C"),
    "amplitude": Column("activation units", "mean over images and tokens of abs(DFT over channels)[k] / C"),
}
SCALAR_COLUMNS = KEYS | {
    "image": Column("", "0-based position in the validation split"),
    "label": Column("", "class of the image"),
    "mean": Column("activation units", "mean over channels and tokens"),
    "standard_deviation": Column("activation units", "standard deviation over channels and tokens"),
    "rms": Column("activation units", "root mean square over channels and tokens"),
    "activation_magnitude": Column("activation units", "mean absolute activation"),
    "minimum": Column("activation units", "smallest activation"),
    "maximum": Column("activation units", "largest activation"),
    "token_norm_mean": Column("activation units", "mean Euclidean norm of the tokens"),
    "token_norm_maximum": Column("activation units", "largest Euclidean norm of a token"),
    "intensity": Column("activation units", "spectral intensity of the image"),
    "entropy": Column("bits", "mean token entropy of the image, with the checkpoint's one range"),
}


def block_name(block: int) -> str:
    """Return the file name of a block's dump."""
    return f"block{block:02d}.npy"


@torch.inference_mode()
def dump(
    folder: Path, network: nn.Module, images: Split, positions: np.ndarray, device: torch.device
) -> list[np.ndarray]:
    """Write the features of all blocks in float32, one .npy a block, and return them mapped."""
    network.to(device).eval()
    with ExitStack() as stack:
        writers: list = []
        for batch in images.view(0, None, BATCH, positions=positions):
            features = network.forward_intermediates(batch.images.to(device), norm=False, intermediates_only=True)
            if not writers:
                writers = [
                    stack.enter_context(
                        npy_writer(folder / block_name(block), (len(positions), *value.shape[1:]), np.float32)
                    )
                    for block, value in enumerate(features)
                ]
            for writer, value in zip(writers, features, strict=True):
                writer(value.float().cpu().numpy())
    return [read_npy(folder / block_name(block)) for block in range(len(writers))]


def measure(
    features: list[np.ndarray], labels: np.ndarray, positions: np.ndarray, key: dict, bins: int
) -> dict[str, dict]:
    """Return the columns of the three tables for one checkpoint: features are L blocks [B, C, H, W]."""
    low, high = value_range(features)
    spectrum = metrics.channel_spectrum(features)
    blocks, channels = spectrum.shape
    count = len(positions)
    entropy = metrics.token_entropy(features, bins, (low, high)).mean(axis=(2, 3))
    scalars = [
        {**image_scalars(block), "intensity": image_intensity(block), "entropy": entropy[number]}
        for number, block in enumerate(features)
    ]
    per_block = {name: np.full(blocks, value) for name, value in key.items()} | {"block": np.arange(blocks)}
    depth = per_block | {
        "intensity": spectrum.mean(axis=1),
        "entropy": entropy.mean(axis=1),
        "activation_magnitude": metrics.activation_magnitude(features),
        "cosine_to_first": metrics.cosine_to_first(features),
        "range_low": np.full(blocks, low),
        "range_high": np.full(blocks, high),
        "images": np.full(blocks, count),
    }
    bin_number = np.tile(np.arange(channels), blocks)
    per_bin = {name: np.repeat(value, channels) for name, value in per_block.items()} | {
        "channel_bin": bin_number,
        "frequency": bin_number / channels,
        "amplitude": spectrum.ravel(),
    }
    per_image = {name: np.repeat(value, count) for name, value in per_block.items()} | {
        "image": np.tile(positions, blocks),
        "label": np.tile(labels, blocks),
        **{name: np.concatenate([block[name] for block in scalars]) for name in scalars[0]},
    }
    return {"depth": depth, "spectrum": per_bin, "scalars": per_image}


def main(arguments) -> None:
    """Dump and measure one model at all its checkpoints."""
    data, model = from_json(Data, arguments.data_spec), from_json(Model, arguments.model)
    probe = from_json(Probe, arguments.probe)
    device, out = models.device(int(arguments.gpus)), Path(arguments.out)
    images = Split(arguments.data, data, "validation")
    positions = balanced(images.labels, probe.images)
    labels = images.labels[positions]
    network = models.build(model, data)
    out.mkdir(parents=True, exist_ok=True)
    documentation = {"depth": DEPTH_COLUMNS, "spectrum": SPECTRUM_COLUMNS, "scalars": SCALAR_COLUMNS}
    tables: dict[str, list[dict]] = {name: [] for name in documentation}
    for name, epoch, weights, folder in zip(
        arguments.names, arguments.epochs, arguments.weights, arguments.folders, strict=True
    ):
        models.load_weights(weights, network)
        key = {"model": name, "seed": int(arguments.seed), "epoch": int(epoch)}
        with tempfile.TemporaryDirectory(dir=out, prefix=".float32-") as scratch:
            features = dump(Path(scratch), network, images, positions, device)
            for table, columns in measure(features, labels, positions, key, probe.entropy_bins).items():
                tables[table].append(columns)
            for block, values in enumerate(features):
                with npy_writer(out / folder / block_name(block), values.shape, probe.dtype) as write:
                    for start in range(0, len(values), BATCH):
                        write(values[start : start + BATCH])
            shapes = [list(values.shape) for values in features]
        write_json(
            out / folder / "meta.json",
            {
                **key,
                "axes": ["image", "channel", "row", "column"],
                "dtype": probe.dtype,
                "shapes": shapes,
                "images": positions.tolist(),
                "labels": labels.tolist(),
                "weights_sha256": sha256(weights),
            },
        )
    for table, parts in tables.items():
        columns = {name: np.concatenate([part[name] for part in parts]) for name in documentation[table]}
        write_table(out / f"{table}.parquet", columns, documentation[table])


if __name__ == "__main__":
    run_stage(
        main,
        *("data-spec", "model", "probe", "seed", "data", "out", "gpus"),
        names="model column of each checkpoint",
        epochs="epoch column of each checkpoint",
        weights="weights file of each checkpoint",
        folders="folder of each checkpoint under --out",
    )
