"""Is a metric U-shaped over depth? A test of a valley at an interior block, its depth, and where the minimum lies.

In: per-image values of a network's blocks (scalars.parquet). Out: the rows of `shape.parquet` (a network and metric)
and `minimum.parquet` (the bootstrap distribution of the block of the minimum). The unit of evidence is the image: it
speaks for this network only, and a claim about a kind of network needs several of them. Blocks are never resampled.
"""

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from scipy import stats
from scipy.optimize import isotonic_regression

from ..errors import StudyError
from ..files import Column

LEVEL = 0.05
SMALLEST_DEPTH = 0.10
RESAMPLES = 2000
GROUPS = 1000
SEED = 0
# Values that differ by less than this share of their size are equal: the rest of a float64 sum is rounding.
ROUNDING = 1e-12
PROBE = "balanced"
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
U_SHAPED, NOT_U_SHAPED, NO_INTERIOR, ONE_IMAGE = "U-shaped", "not U-shaped", "no interior block", "one image"
KEYS = {
    "model": Column("", "teacher, teacher_untrained or the name of a variant"),
    "seed": Column("", "seed of the student; -1 for the teacher"),
    "epoch": Column("epochs", "the last measured epoch; 0 is untrained, -1 a teacher that was not trained here"),
    "metric": Column("", "column of scalars.parquet, on the class-balanced probe images"),
}
SHAPE_COLUMNS = KEYS | {
    "role": Column("", "paper (a metric of the claim), control (scale taken out, or alone), null (channels permuted)"),
    "blocks": Column("", "number of blocks"),
    "images": Column("images", "images the row rests on"),
    "images_left_out": Column("images", "images without a finite value in some block, left out"),
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
        "", f"{U_SHAPED} (p_adjusted <= .05 and depth >= .10), {NOT_U_SHAPED}, {NO_INTERIOR} or {ONE_IMAGE}"
    ),
}
MINIMUM_COLUMNS = KEYS | {
    "block": Column("", "0-based number of the block"),
    "share": Column("", "share of the bootstrap resamples of the images whose mean curve is lowest at this block"),
}


def valley_p(values: np.ndarray) -> float | np.ndarray:
    """Return the p value of 'no interior block lies below both end blocks', values [..., n images, L blocks].

    min(1, (L - 2) min over interior m of max(p(y_1 > y_m), p(y_L > y_m))), p one-sided paired t over images: an
    intersection-union test at each m, Bonferroni over m. Valid for any shape of the curve and any dependence between
    blocks. A difference that is the same in all images counts with p = 0 where positive, else 1. Leading axes are
    independent data sets, [...] is returned. NaN for L < 3 (no interior block) or n < 2 (no spread).
    """
    values = np.asarray(values, dtype=np.float64)
    images, blocks = values.shape[-2:]
    if blocks < 3 or images < 2:
        return np.full(values.shape[:-2], np.nan)[()]
    inner = values[..., 1:-1]
    sides = [_greater_p(np.broadcast_to(values[..., end], inner.shape), inner) for end in ([0], [-1])]
    return np.minimum(1.0, (blocks - 2) * np.maximum(*sides).min(axis=-1))[()]


def _greater_p(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Return one-sided paired t p values of mean(upper) > mean(lower) over axis -2."""
    scale = np.maximum(np.abs(upper), np.abs(lower))
    difference = np.where(np.abs(upper - lower) <= ROUNDING * scale, 0.0, upper - lower)
    constant = np.ptp(difference, axis=-2) == 0
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        # scipy warns of, and gives NaN for, differences without spread: those are settled below.
        warnings.simplefilter("ignore", RuntimeWarning)
        p = stats.ttest_rel(difference, np.zeros_like(difference), axis=-2, alternative="greater").pvalue
    return np.where(constant, np.where(difference[..., 0, :] > 0, 0.0, 1.0), p)


def depth(profile: np.ndarray, ends: int = 1) -> float | np.ndarray:
    """Return how deep the valley of mean curves [..., L] is, as a share of their range.

    min(y_1 - y_m, y_L - y_m) / (max - min), m the lowest interior block, y_1 and y_L the mean of `ends` blocks, which
    are not interior. Negative where the curve has no valley; 0 for a constant curve; NaN without an interior block.
    """
    profile = np.asarray(profile, dtype=np.float64)
    if profile.shape[-1] < 2 * ends + 1:
        return np.full(profile.shape[:-1], np.nan)[()]
    lowest = profile[..., ends:-ends].min(axis=-1)
    edge = np.minimum(profile[..., :ends].mean(axis=-1), profile[..., -ends:].mean(axis=-1))
    spread = np.ptp(profile, axis=-1)
    flat = spread <= ROUNDING * np.abs(profile).max(axis=-1)
    return np.where(flat, 0.0, (edge - lowest) / np.where(flat, 1.0, spread))[()]


class Resampled:
    """Mean curves of resampled images: values [n, L], each image one whole row.

    Depth and minimum depend on means only, so that more than 1,000 images are first summed in 1,000 random groups of
    equal size (to one image), which are then resampled; a mean is the ratio of summed values to summed sizes.
    """

    def __init__(self, values: np.ndarray):
        generator = np.random.default_rng(SEED)
        count, self.blocks = values.shape
        self.groups = min(count, GROUPS)
        order = generator.permutation(count) if count > GROUPS else np.arange(count)
        parts = np.array_split(order, self.groups)
        self._sums = np.stack([values[part].sum(axis=0) for part in parts])
        self._sizes = np.array([len(part) for part in parts], dtype=np.float64)

    def profiles(self, indices: np.ndarray) -> np.ndarray:
        """Return mean curves [R, L] of the groups `indices` [R, k], a resample a row."""
        rows = len(indices)
        places = indices + self.groups * np.arange(rows)[:, None]
        counts = np.bincount(places.ravel(), minlength=rows * self.groups).reshape(rows, self.groups)
        return counts @ self._sums / (counts @ self._sizes)[:, None]

    def depth_interval(self) -> tuple[float, float]:
        """Return the 95 % BCa interval of the depth; NaN where there is none (one image, no interior, no spread)."""
        if self.groups < 2 or self.blocks < 3:
            return np.nan, np.nan

        def statistic(indices: np.ndarray, axis: int) -> np.ndarray:
            return depth(self.profiles(np.atleast_2d(indices))).reshape(indices.shape[:-1])

        with warnings.catch_warnings(), np.errstate(all="ignore"):
            # A degenerate distribution gives NaN, which says all there is to say.
            warnings.simplefilter("ignore")
            interval = stats.bootstrap(
                (np.arange(self.groups),),
                statistic,
                vectorized=True,
                n_resamples=RESAMPLES,
                batch=500,
                method="BCa",
                rng=np.random.default_rng(SEED),
            ).confidence_interval
        return float(interval.low), float(interval.high)

    def minimum_shares(self) -> np.ndarray:
        """Return for each of all L blocks the share of resamples whose mean curve is lowest there."""
        generator = np.random.default_rng(SEED)
        counts = np.zeros(self.blocks)
        for _ in range(4):
            indices = generator.integers(self.groups, size=(RESAMPLES // 4, self.groups))
            counts += np.bincount(self.profiles(indices).argmin(axis=1), minlength=self.blocks)
        return counts / counts.sum()


def fits(profile: np.ndarray) -> tuple[float, float]:
    """Return R^2 of the best valley (decreasing, then increasing) and of the best monotone curve; NaN if constant.

    A monotone curve is a valley with its minimum at an end, so the first is never smaller.
    """
    profile = np.asarray(profile, dtype=np.float64)
    total = np.sum((profile - profile.mean()) ** 2)
    if np.ptp(profile) <= ROUNDING * np.abs(profile).max():
        return np.nan, np.nan
    # Residual sums of squares of the decreasing fit to the first k blocks and the increasing fit to the others.
    residuals = [
        _residual(profile[:k], increasing=False) + _residual(profile[k:], increasing=True)
        for k in range(len(profile) + 1)
    ]
    monotone = min(residuals[0], residuals[-1])
    return 1 - min(residuals) / total, 1 - monotone / total


def _residual(part: np.ndarray, increasing: bool) -> float:
    return float(np.sum((part - isotonic_regression(part, increasing=increasing).x) ** 2)) if len(part) else 0.0


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


def adjusted(p: np.ndarray) -> np.ndarray:
    """Return Benjamini-Hochberg adjusted p values of one family; NaN stays NaN and does not count."""
    p = np.asarray(p, dtype=np.float64)
    known = ~np.isnan(p)
    result = np.full(p.shape, np.nan)
    if known.any():
        result[known] = stats.false_discovery_control(p[known])
    return result


def verdicts(p_adjusted: np.ndarray, depths: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """Return the verdict of each row: a U needs p_adjusted <= .05 and depth >= .10, and a block between two others."""
    u_shaped = (np.asarray(p_adjusted) <= LEVEL) & (np.asarray(depths) >= SMALLEST_DEPTH)
    untested = np.where(np.asarray(blocks) < 3, NO_INTERIOR, ONE_IMAGE)
    return np.where(np.isnan(p_adjusted), untested, np.where(u_shaped, U_SHAPED, NOT_U_SHAPED))


def networks(path: Path) -> list[tuple[str, int, int]]:
    """Return (model, seed, last epoch) of each network in a scalars table, in the order of the file."""
    with _open(path) as file:
        last: dict[tuple[str, int], int] = {}
        # In batches: these columns repeat the same few values over millions of rows.
        for batch in file.iter_batches(columns=["model", "seed", "epoch", "probe"]):
            table = pa.Table.from_batches([batch])
            table = table.filter(pc.equal(table["probe"], PROBE))
            for row in table.group_by(["model", "seed"], use_threads=False).aggregate([("epoch", "max")]).to_pylist():
                key = row["model"], row["seed"]
                last[key] = max(last.get(key, row["epoch_max"]), row["epoch_max"])
    return [(model, seed, epoch) for (model, seed), epoch in last.items()]


def read_values(path: Path, model: str, seed: int, epoch: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (metric, values [n images, L blocks]) of one network, for the metrics of `ROLES` that the table has.

    Raises StudyError where an image lacks a block.
    """
    with _open(path) as file:
        names = file.schema_arrow.names
    metrics = [metric for metric in ROLES if metric in names]
    filters = [("model", "==", model), ("seed", "==", seed), ("epoch", "==", epoch), ("probe", "==", PROBE)]
    table = pq.read_table(path, columns=["block", "image", *metrics], filters=filters)
    block, image = (table[name].to_numpy() for name in ("block", "image"))
    blocks, images = np.unique(block), np.unique(image)
    order = np.lexsort((image, block))
    complete = len(order) == len(blocks) * len(images)
    if not (complete and np.array_equal(image[order].reshape(len(blocks), -1), np.tile(images, (len(blocks), 1)))):
        raise StudyError(
            f"{path}: {model}, seed {seed}, epoch {epoch} does not hold every image once in every block; "
            "delete it and run snakemake again"
        )
    for metric in metrics:
        values = table[metric].to_numpy().astype(np.float64)
        yield metric, values[order].reshape(len(blocks), len(images)).T


def _open(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path, read_dictionary=["model"])
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
        for model, seed, epoch in networks(path):
            for metric, values in read_values(path, model, seed, epoch):
                finite = np.isfinite(values).all(axis=1)
                if not finite.any():
                    continue
                key = {"model": model, "seed": seed, "epoch": epoch, "metric": metric}
                row, shares = measure(values[finite])
                left_out = int((~finite).sum())
                rows.append({**key, "role": ROLES[metric], "images_left_out": left_out, **row})
                minima += [{**key, "block": block, "share": share} for block, share in enumerate(shares)]
    # Without a row where the study measures none of these metrics.
    shape = pd.DataFrame(rows, columns=[name for name in SHAPE_COLUMNS if name not in ("p_adjusted", "verdict")])
    shape["p_adjusted"] = adjusted(shape["p"].to_numpy())
    shape["verdict"] = verdicts(shape["p_adjusted"], shape["depth"], shape["blocks"])
    return shape[list(SHAPE_COLUMNS)], pd.DataFrame(minima, columns=list(MINIMUM_COLUMNS))
