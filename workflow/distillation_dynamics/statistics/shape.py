"""Is a metric U-shaped over depth? A test of a valley at an interior block, its depth, and where the minimum lies.

In: per-image values of a network's blocks (scalars.parquet). Out: the rows of `shape.parquet` (a network and metric)
and `minimum.parquet` (the bootstrap distribution of the block of the minimum). The unit of evidence is the image: it
speaks for this network only, and a claim about a kind of network needs several of them. Blocks are never resampled.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..errors import StudyError
from ..files import Column
from ..spec.tables import PUBLISHED_PROBE
from .thresholds import LEVEL, SMALLEST_DEPTH
from .valley import (
    NO_INTERIOR,
    NOT_U_SHAPED,
    ONE_IMAGE,
    U_SHAPED,
    Resampled,
    adjusted,
    depth,
    fits,
    valley_p,
    verdicts,
)

# The metrics of the claim (paper), the same with the scale taken out or alone (control), and intensity after each
# image's channels were permuted (null): what a network shows there too is no finding about the order of channels.
ROLES = {
    "intensity": "paper",
    "entropy": "paper",
    "activation_magnitude": "paper",
    "gradient_magnitude": "paper",
    "intensity_without_dc": "control",
    "intensity_per_rms": "control",
    "entropy_fixed_range": "control",
    "entropy_standardised": "control",
    "rms": "control",
    "token_standard_deviation": "control",
    "intensity_permuted": "null",
}
KEYS = {
    "network": Column("", "name of a network, of its control, or of a variant"),
    "seed": Column("", "seed of the student; -1 for networks"),
    "epoch": Column("epochs", "the last measured epoch; 0 is untrained, -1 weights that were not trained here"),
    "probe": Column("", "image set"),
    "metric": Column("", "column of scalars.parquet"),
}
SHAPE_COLUMNS = KEYS | {
    "role": Column("", "paper (a metric of the claim), control (scale taken out, or alone), null (channels permuted)"),
    "blocks": Column("", "number of blocks"),
    "images": Column("images", "images the row rests on"),
    "images_left_out": Column("images", "images without a finite value in some block, left out"),
    "relative_range": Column("", "(max - min) / max |value| of the mean curve: below .001 it is flat"),
    "p": Column("", "of no valley at any interior block: Bonferroni intersection-union of paired one-sided t tests"),
    "p_adjusted": Column("", "Benjamini-Hochberg over all rows of the table"),
    "depth": Column("", "min(first - lowest, last - lowest) / range of the mean curve, lowest of the interior blocks"),
    "depth_low": Column("", "lower end of the 95 % BCa interval, images resampled; NaN where it is degenerate"),
    "depth_high": Column("", "upper end of that interval"),
    "depth_two_ends": Column(
        "", "depth with the mean of the first two and last two blocks as ends; NaN below 5 blocks"
    ),
    "r2_valley": Column("", "R^2 of the best decreasing-then-increasing curve through the mean curve"),
    "r2_monotone": Column("", "R^2 of the best monotone curve through the mean curve; never above r2_valley"),
    "minimum_block": Column("", "0-based block of the mean curve's minimum over all blocks, ends included"),
    "minimum_low": Column("", "lower end of the central 95 % of that block's bootstrap distribution"),
    "minimum_high": Column("", "upper end of it"),
    "minimum_share": Column("", "share of the bootstrap resamples whose minimum is minimum_block"),
    "verdict": Column(
        "",
        f"{U_SHAPED} (p_adjusted <= {LEVEL:.2f}, depth >= {SMALLEST_DEPTH:.2f}), {NOT_U_SHAPED}, "
        f"{NO_INTERIOR} or {ONE_IMAGE}",
    ),
}
MINIMUM_COLUMNS = KEYS | {
    "block": Column("", "0-based number of the block"),
    "share": Column("", "share of the bootstrap resamples of the images whose mean curve is lowest at this block"),
}


def measure(values: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
    """Return one row's numbers for values [n, L] of one network and metric, and the shares of `minimum_shares`."""
    images, blocks = values.shape
    profile = values.mean(axis=0)
    resampled = Resampled(values)
    low, high = resampled.depth_interval()
    valley, monotone = fits(profile)
    shares = resampled.minimum_shares()
    lowest = int(profile.argmin())
    cumulative = np.cumsum(shares)
    row = {
        "blocks": blocks,
        "images": images,
        "relative_range": relative_range(profile),
        "p": float(valley_p(values)),
        "depth": float(depth(profile)),
        "depth_low": low,
        "depth_high": high,
        "depth_two_ends": float(depth(profile, ends=2)),
        "r2_valley": valley,
        "r2_monotone": monotone,
        "minimum_block": lowest,
        # The first blocks at which the cumulative share reaches 2.5 % and 97.5 % (to rounding of the sum).
        "minimum_low": int(np.argmax(cumulative >= 0.025 - 1e-9)),
        "minimum_high": int(np.argmax(cumulative >= 0.975 - 1e-9)),
        "minimum_share": float(shares[lowest]),
    }
    return row, shares


def relative_range(profile: np.ndarray) -> float:
    """Return (max - min) / max |value| of a mean curve [L]; 0 where all of it is 0."""
    most = np.abs(profile).max()
    return float(np.ptp(profile) / most) if most > 0 else 0.0


def networks(path: Path) -> list[tuple[str, int, int, str]]:
    """Return (network, seed, last epoch, probe) of all in a scalars table, in the order of the file.

    The published choice of images is left out: it is there to be held against what was published.
    """
    with _open(path) as file:
        last: dict[tuple[str, int, str], int] = {}
        # In batches: these columns repeat the same few values over millions of rows.
        for batch in file.iter_batches(columns=["network", "seed", "epoch", "probe"]):
            table = pa.Table.from_batches([batch])
            table = table.filter(pc.not_equal(table["probe"], PUBLISHED_PROBE))
            groups = table.group_by(["network", "seed", "probe"], use_threads=False).aggregate([("epoch", "max")])
            for row in groups.to_pylist():
                key = row["network"], row["seed"], row["probe"]
                last[key] = max(last.get(key, row["epoch_max"]), row["epoch_max"])
    return [(network, seed, epoch, probe) for (network, seed, probe), epoch in last.items()]


def read_values(path: Path, network: str, seed: int, epoch: int, probe: str) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (metric, values [n images, L blocks]) of one network, for the metrics of `ROLES` that the table has.

    Raises StudyError where an image lacks a block.
    """
    with _open(path) as file:
        names = file.schema_arrow.names
    metrics = [metric for metric in ROLES if metric in names]
    filters = [("network", "==", network), ("seed", "==", seed), ("epoch", "==", epoch), ("probe", "==", probe)]
    table = pq.read_table(path, columns=["block", "image", *metrics], filters=filters)
    block, image = (table[name].to_numpy() for name in ("block", "image"))
    blocks, images = np.unique(block), np.unique(image)
    order = np.lexsort((image, block))
    complete = len(order) == len(blocks) * len(images)
    if not (complete and np.array_equal(image[order].reshape(len(blocks), -1), np.tile(images, (len(blocks), 1)))):
        raise StudyError(
            f"{path}: {network}, seed {seed}, epoch {epoch}, probe {probe} does not hold every image once in every "
            "block; delete it and run snakemake again"
        )
    for metric in metrics:
        values = table[metric].to_numpy().astype(np.float64)
        yield metric, values[order].reshape(len(blocks), len(images)).T


def _open(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path, read_dictionary=["network", "probe"])
    except FileNotFoundError as error:
        raise StudyError(f"{path} does not exist; run snakemake to make it") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise StudyError(f"{path} is not readable Parquet ({error}); delete it and run snakemake again") from error


def tables(paths: Sequence[Path]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the tables of shapes and of minima, for the last epoch of every network in the scalars tables `paths`.

    A metric that a network does not have (no column, or no image with a value in every block) has no row. An image
    without a finite value in some block is left out of that metric as a whole, and counted in `images_left_out`.
    """
    rows, minima = [], []
    for path in paths:
        for network, seed, epoch, probe in networks(path):
            for metric, values in read_values(path, network, seed, epoch, probe):
                finite = np.isfinite(values).all(axis=1)
                if not finite.any():
                    continue
                key = {"network": network, "seed": seed, "epoch": epoch, "probe": probe, "metric": metric}
                row, shares = measure(values[finite])
                left_out = int((~finite).sum())
                rows.append({**key, "role": ROLES[metric], "images_left_out": left_out, **row})
                minima += [{**key, "block": block, "share": share} for block, share in enumerate(shares)]
    # Without a row where the study measures none of these metrics.
    shape = pd.DataFrame(rows, columns=[name for name in SHAPE_COLUMNS if name not in ("p_adjusted", "verdict")])
    shape["p_adjusted"] = adjusted(shape["p"].to_numpy())
    shape["verdict"] = verdicts(shape["p_adjusted"], shape["depth"], shape["blocks"])
    return shape[list(SHAPE_COLUMNS)], pd.DataFrame(minima, columns=list(MINIMUM_COLUMNS))
