"""Whether a metric is U-shaped over depth: its fall and rise, a test of both, and the part due to scale.

In: per-image values of a network's blocks (scalars.parquet) and reference values (`references`). Out: the rows of
`shape.parquet` (one per network and metric) and `minimum.parquet` (bootstrap distribution of the block of the minimum).
The unit of evidence is the image: it supports statements on this network only, and a claim about a kind of network
needs several. Blocks are never resampled.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import reduce
from operator import and_
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ...errors import StudyError
from ...files import Column
from ...spec.tables import PUBLISHED_IMAGE_SET
from ...statistics import u_shape
from ...statistics.thresholds import FLAT, LEAST_RMS_PER_BIN, LEVEL, MOST_SKEW, SMALLEST_DEPTH, SMALLEST_FACTOR
from ...statistics.u_shape import NOT_U_SHAPED, U_SHAPED, UNDECIDED, fall_and_rise
from ...statistics.u_shape.published_reading import Resampled, adjusted, depth, fits, published, valley_p
from . import bins, references, scale

# The metrics of the claim (paper); forms without scale or constant term, or with one range for all (control); scale
# itself (scale); and intensity with each image's channels permuted (null), whose results are no finding about the order
# of channels. Bin-free entropies complement those of the claim.
ROLES = {
    "intensity": "paper",
    "entropy": "paper",
    "activation_magnitude": "paper",
    "gradient_magnitude": "paper",
    "intensity_without_dc": "control",
    "intensity_per_rms": "control",
    "entropy_fixed_range": "control",
    "entropy_standardised": "control",
    "rms": "scale",
    "token_standard_deviation": "scale",
    "intensity_permuted": "null",
    "entropy_nearest": "no bins",
    "entropy_nearest_standardised": "no bins",
}
IN_BITS = *bins.PER_BIN, "entropy_nearest", "entropy_nearest_standardised"
KEYS = references.NETWORK | {"metric": Column("", "column of scalars.parquet")}
INTERVAL = "of the 95 % interval of it over images, Bonferroni over interior blocks; of an entropy over all its bins"
PERCENT = "%, or bits of an entropy"
SHAPE_COLUMNS = KEYS | {
    "role": Column(
        "",
        "paper (a metric of the claim), control (scale taken out), scale (RMS), null (channels permuted), no bins "
        "(entropy by nearest neighbours)",
    ),
    "blocks": Column("", "number of blocks"),
    "images": Column("images", "images the row rests on; those of one group (`data.groups`) count as one"),
    "images_left_out": Column("images", "images (or groups) without a finite value in some block, left out"),
    "relative_range": Column("", f"(max - min) / max |value| of the mean curve: below {FLAT:g} it is flat"),
    "scale": Column(
        "",
        "log (all values positive: changes are factors), bits (differences), or linear (shares of the largest mean)",
    ),
    "valley_block": Column("", "0-based interior block of the lowest mean on that scale; null without one"),
    "fall": Column(PERCENT, "by how much the mean on that scale falls from the first block to valley_block"),
    "fall_low": Column(PERCENT, f"lower end {INTERVAL}"),
    "fall_high": Column(PERCENT, "upper end of it"),
    "rise": Column(PERCENT, "by how much it rises from valley_block to the last block; 100 % is a doubling"),
    "rise_low": Column(PERCENT, f"lower end {INTERVAL}"),
    "rise_high": Column(PERCENT, "upper end of it"),
    "valley": Column("", "the smaller of both in doublings (log2 of the factor), bits, or shares of the largest mean"),
    "valley_low": Column("", "the smaller of the lower ends"),
    "valley_high": Column("", "the smaller of the upper ends"),
    "p": Column(
        "",
        f"of no interior block below both ends by more than a factor of {SMALLEST_FACTOR:g} (.07 bits): Bonferroni "
        "intersection-union of one-sided t tests, corrected for skewness; blocks too skewed left out",
    ),
    "p_adjusted": Column("", "Benjamini-Hochberg over the rows of one role and of either trained networks or controls"),
    "p_skewed": Column("", "the same as p_adjusted, blocks with too skewed values not left out"),
    "p_none": Column("", "of an interior block that far below both ends, adjusted in the same way"),
    "skew": Column(
        "", f"-skewness / sqrt(images) of what is tested at the block with the least p; too much above {MOST_SKEW:g}"
    ),
    "p_any": Column("", "of no valley of any size: paired one-sided t tests of means, otherwise as p, not adjusted"),
    "p_any_adjusted": Column("", "the same adjusted in the same way"),
    "depth": Column(
        "",
        "published reading: min(first - lowest, last - lowest) / range of the mean curve, lowest of the interior "
        "blocks; negative where the lower end lies below all of them, by so much of the range",
    ),
    "depth_low": Column("", "lower end of the 95 % BCa interval, images resampled; NaN where it is degenerate"),
    "depth_high": Column("", "upper end of that interval"),
    "depth_absolute": Column("that of the metric", "min(first - lowest, last - lowest) of the mean curve"),
    "depth_two_ends": Column(
        "", "depth with the mean of the first two and last two blocks as ends; NaN below 5 blocks"
    ),
    "r2_valley": Column("", "R^2 of the best decreasing-then-increasing curve through the mean curve"),
    "r2_monotone": Column("", "R^2 of the best monotone curve through the mean curve; never above r2_valley"),
    "minimum_block": Column("", "0-based block of the mean curve's minimum over all blocks, ends included"),
    "minimum_low": Column("", "lower end of the central 95 % of that block's bootstrap distribution"),
    "minimum_high": Column("", "upper end of it"),
    "minimum_share": Column("", "share of the bootstrap resamples whose minimum is minimum_block"),
    **scale.COLUMNS,
    **bins.COLUMNS,
    **bins.VERDICTS,
    "verdict": Column(
        "",
        f"{U_SHAPED} (p_adjusted <= {LEVEL:.2f}), {NOT_U_SHAPED} (p_none <= {LEVEL:.2f}), {UNDECIDED} (neither, or "
        f"too skewed for so many images), {u_shape.EMPTY} (relative_range < {FLAT:g}), {u_shape.NOT_RESOLVED} (an "
        f"entropy whose rms_per_bin < {LEAST_RMS_PER_BIN:g} or that has another verdict in other bins), "
        f"{u_shape.NO_INTERIOR} or {u_shape.ONE_IMAGE}",
    ),
    "verdict_published": Column(
        "", f"{U_SHAPED} (p_any_adjusted <= {LEVEL:.2f} and depth >= {SMALLEST_DEPTH:.2f}), {NOT_U_SHAPED} or empty"
    ),
}
MINIMUM_COLUMNS = KEYS | {
    "block": Column("", "0-based number of the block"),
    "share": Column("", "share of the bootstrap resamples of the images whose mean curve is lowest at this block"),
}
# Adjusted columns with their p values.
ADJUSTED = {"p_adjusted": "p", "p_skewed": "p_skewed", "p_none": "p_none", "p_any_adjusted": "p_any"}


def measure(values: np.ndarray, bits: bool = False) -> tuple[dict[str, Any], np.ndarray]:
    """Return one row's numbers for values [n, L] of one network and metric, and the shares of `minimum_shares`.

    `bits`: whether the metric is in bits.
    """
    images, blocks = values.shape
    profile = values.mean(axis=0)
    resampled = Resampled(values)
    low, high = resampled.depth_interval()
    valley, monotone = fits(profile)
    shares = resampled.minimum_shares()
    lowest = int(profile.argmin())
    cumulative = np.cumsum(shares)
    read = fall_and_rise.scale_of(values, bits)
    tested = fall_and_rise.tested(values, read)
    row = {
        "blocks": blocks,
        "images": images,
        "relative_range": relative_range(profile),
        **fall_and_rise.sizes(values, read),
        **{name: float(value) for name, value in tested._asdict().items()},
        "p_any": float(valley_p(values)),
        "depth": float(depth(profile)),
        "depth_low": low,
        "depth_high": high,
        "depth_absolute": float(depth(profile) * np.ptp(profile)),
        "depth_two_ends": float(depth(profile, ends=2)),
        "r2_valley": valley,
        "r2_monotone": monotone,
        "minimum_block": lowest,
        # First blocks at which the cumulative share reaches 2.5 % and 97.5 %, up to rounding of the sum.
        "minimum_low": int(np.argmax(cumulative >= 0.025 - 1e-9)),
        "minimum_high": int(np.argmax(cumulative >= 0.975 - 1e-9)),
        "minimum_share": float(shares[lowest]),
    }
    return row, shares


def relative_range(profile: np.ndarray) -> float:
    """Return (max - min) / max |value| of a mean curve [L]; 0 if all values are 0."""
    most = np.abs(profile).max()
    return float(np.ptp(profile) / most) if most > 0 else 0.0


def networks(path: Path) -> list[tuple[str, int | None, int | None, str]]:
    """Return (network, seed, last epoch, image set) of all networks in a scalars table, in file order.

    A missing seed or epoch is None. The published image set is left out: it serves the comparison with published
    numbers.
    """
    with _open(path) as file:
        last: dict[tuple[str, int | None, str], int | None] = {}
        # In batches: these columns repeat a few values over millions of rows.
        for batch in file.iter_batches(columns=["network", "seed", "epoch", "probe"]):
            table = pa.Table.from_batches([batch])
            table = table.filter(pc.not_equal(table["probe"], PUBLISHED_IMAGE_SET))
            groups = table.group_by(["network", "seed", "probe"], use_threads=False).aggregate([("epoch", "max")])
            for row in groups.to_pylist():
                key = row["network"], row["seed"], row["probe"]
                known = [epoch for epoch in (last.get(key), row["epoch_max"]) if epoch is not None]
                last[key] = max(known, default=None)
    return [(network, seed, epoch, image_set) for (network, seed, image_set), epoch in last.items()]


def read_values(
    path: Path, network: str, seed: int | None, epoch: int | None, image_set: str
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (column, values [n images, L blocks]) of one network, for columns of `ROLES` and `bins.READ` in the table.

    Images of one group count as one, their mean. Raises StudyError if an image lacks a block.
    """
    with _open(path) as file:
        names = file.schema_arrow.names
    metrics = [metric for metric in (*ROLES, *bins.READ) if metric in names]
    one = {"network": network, "seed": seed, "epoch": epoch, "probe": image_set}
    own = [pc.field(name).is_null() if value is None else pc.field(name) == value for name, value in one.items()]
    table = pq.read_table(path, columns=["block", "image", "group", *metrics], filters=reduce(and_, own))
    block, image, group = (table[name].to_numpy() for name in ("block", "image", "group"))
    blocks, images = np.unique(block), np.unique(image)
    order = np.lexsort((image, block))
    complete = len(order) == len(blocks) * len(images)
    if not (complete and np.array_equal(image[order].reshape(len(blocks), -1), np.tile(images, (len(blocks), 1)))):
        of = "".join(f", {name} {one[name]}" for name in ("seed", "epoch") if one[name] is not None)
        raise StudyError(
            f"{path}: {network}{of}, image set {image_set} does not hold every image once in every block; delete it "
            "and run snakemake again"
        )
    _, places, sizes = np.unique(group[order][: len(images)], return_inverse=True, return_counts=True)
    for metric in metrics:
        values = table[metric].to_numpy().astype(np.float64)[order].reshape(len(blocks), len(images)).T
        if len(sizes) < len(images):
            sums = np.zeros((len(sizes), len(blocks)))
            np.add.at(sums, places, values)
            values = sums / sizes[:, None]
        yield metric, values


def _open(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path, read_dictionary=["network", "probe"])
    except FileNotFoundError as error:
        raise StudyError(f"{path} does not exist; run snakemake to make it") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise StudyError(f"{path} is not readable Parquet ({error}); delete it and run snakemake again") from error


def shapes_of(
    paths: Sequence[Path], alone: pd.DataFrame | None = None, controls: Collection[str] = ()
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the tables of shapes and minima for the last epoch of every network in the scalars tables `paths`.

    `alone`: the frame of references.parquet; `controls`: networks that are controls. A metric that a network lacks (no
    column, or no image with a value in every block) has no row. An image without a finite value in some block is left
    out of that metric, and counted in `images_left_out`.
    """
    rows, minima = [], []
    curves: dict[tuple, dict[str, np.ndarray]] = {}
    for path in paths:
        for one in networks(path):
            key = dict(zip(references.NETWORK, one, strict=True))
            values_of = dict(read_values(path, *one))
            for metric, values in values_of.items():
                finite = np.isfinite(values).all(axis=1)
                if metric not in ROLES or not finite.any():
                    continue
                row, shares = measure(values[finite], metric in IN_BITS)
                row |= bins.in_other_bins(row, metric, values_of, finite)
                curves.setdefault(one, {})[metric] = scale.curve(values[finite], row["scale"])
                left_out = int((~finite).sum())
                named = {**key, "metric": metric}
                rows.append({**named, "role": ROLES[metric], "images_left_out": left_out, **row})
                minima += [{**named, "block": block, "share": share} for block, share in enumerate(shares)]
    known = scale.by_network(alone) if alone is not None else {}
    for row in rows:
        one = tuple(row[name] for name in references.NETWORK)
        row |= scale.references_of(row, curves[one], known.get(one, {}))
    lowest = pd.DataFrame(minima, columns=list(MINIMUM_COLUMNS)).astype(references.MAY_BE_MISSING)
    return _judged(rows, controls), lowest


def _judged(rows: list[dict[str, Any]], controls: Collection[str]) -> pd.DataFrame:
    """Return the table of shapes with p values adjusted within their families, and verdicts."""
    shape = pd.DataFrame(rows)
    # No rows if the study measures none of these metrics.
    shape = shape.reindex(columns=list(dict.fromkeys([*SHAPE_COLUMNS, *shape])))
    shape = shape.astype(references.MAY_BE_MISSING | dict.fromkeys(("valley_block", "rms_per_bin_block"), "Int64"))
    families = shape["role"], shape["network"].isin(controls)

    def adjust(p: pd.Series) -> pd.Series:
        return p.groupby(list(families), sort=False).transform(adjusted) if len(p) else p

    flat = shape["relative_range"] < FLAT
    for name, p in ADJUSTED.items():
        shape[name] = adjust(shape[p])

    def verdict_of(stands_for: Mapping[str, str]) -> np.ndarray:
        p = {
            name: adjust(shape[stands_for.get(name, name)].fillna(shape[name])) for name in ("p", "p_skewed", "p_none")
        }
        return u_shape.verdicts(p["p"], p["p_skewed"], p["p_none"], shape["blocks"], flat)

    shape[[*bins.VERDICTS, "verdict"]] = bins.resolved(shape, verdict_of)
    shape["verdict_published"] = published(shape["p_any_adjusted"], shape["depth"])
    return shape[list(SHAPE_COLUMNS)]
