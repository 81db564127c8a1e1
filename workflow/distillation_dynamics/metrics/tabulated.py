"""Turns a metric's results into table rows: per image, block and channel bin, and tables of its own."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..data.image_set import MeasuredImages
from ..files import Column, whole_numbers
from ..spec.network import Shapes
from . import _returned
from .accumulator import Accumulator
from .keys import BLOCK, MAY_BE_MISSING, NETWORK, filled

IMAGE_SET = {
    "probe": Column("", "balanced: images spread over the classes; published: the first test images; or one of probes"),
}
KEYS = NETWORK | IMAGE_SET | BLOCK
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
    "image": Column("", "0-based position in the split that is measured; of the published images in the test source"),
    "label": Column("", "class of the image; null where it has none"),
    "group": Column("", "number of its group: images of one photograph count as one in tests over images"),
}
STANDARD_ERROR = "_se"


def documentation(metric: Any) -> dict[str, dict[str, Column]]:
    """Return the tables of a metric's module with their columns."""
    image, block, bins = (getattr(metric, f"{kind}_COLUMNS", {}) for kind in ("IMAGE", "BLOCK", "BIN"))
    means = {}
    for name, column in image.items():
        means[name] = Column(column.unit, f"mean over images: {column.description}")
        means[name + STANDARD_ERROR] = Column(column.unit, f"standard error over images (or groups) of {name}")
    found = {
        "scalars": SCALAR_KEYS | image if image else None,
        "depth": DEPTH_KEYS | block | means if image or block else None,
        "spectrum": SPECTRUM_KEYS | bins if bins else None,
    }
    own = {table: NETWORK | columns for table, columns in getattr(metric, "TABLES", {}).items()}
    return {table: columns for table, columns in found.items() if columns} | own


def rows(
    module: Any, metric: Accumulator, key: dict[str, Any], images: MeasuredImages, names: list[str], shapes: Shapes
) -> dict[str, dict[str, np.ndarray]]:
    """Return the columns of each table of a metric for one checkpoint and one image set.

    Raises StudyError if the metric computes other columns than its file documents.
    """
    image, block, bins = (getattr(module, f"{kind}_COLUMNS", {}) for kind in ("IMAGE", "BLOCK", "BIN"))
    count, blocks = len(images.positions), len(names)
    columns = _columns(metric, image, block, bins, count, shapes) if image or block or bins else {}
    channels, grid_rows, grid_columns = np.array(shapes).T
    # A network without attention has no values.
    empty: dict[str, Any] = dict.fromkeys(image, [np.full(count, np.nan)] * blocks) | dict.fromkeys(
        block, [np.nan] * blocks
    )
    columns = empty | columns
    per_block = {name: filled(name, value, blocks) for name, value in key.items()}
    per_block |= {"block": np.arange(blocks), "block_name": np.array(names)}
    found: dict[str, dict[str, np.ndarray]] = {}
    if image or block:
        sizes = {"channels": channels, "tokens": grid_rows * grid_columns, "images": np.full(blocks, count)}
        found["depth"] = per_block | sizes | {name: np.array(columns[name], dtype=np.float64) for name in block}
        for name in image:
            statistics = [_mean_and_error(values, images.groups) for values in columns[name]]
            found["depth"][name], found["depth"][name + STANDARD_ERROR] = np.array(statistics).T
    if bins:
        numbers = np.concatenate([np.arange(c) for c in channels])
        found["spectrum"] = {name: np.repeat(values, channels) for name, values in per_block.items()} | {
            "channel_bin": numbers,
            "frequency": numbers / np.repeat(channels, channels),
            "images": np.full(len(numbers), count),
            **{name: np.concatenate(columns[name]) for name in bins},
        }
    if image:
        found["scalars"] = {name: np.repeat(values, count) for name, values in per_block.items()} | {
            "image": np.tile(images.positions, blocks),
            "label": whole_numbers(label if label >= 0 else None for label in np.tile(images.labels, blocks)),
            "group": np.tile(images.groups, blocks),
            **{name: np.concatenate(columns[name]).astype(np.float32) for name in image},
        }
    own, tables = {name: key[name] for name in NETWORK}, getattr(module, "TABLES", {})
    of_tables = _returned.rows(metric.rows, metric.rows(), tables) if tables else {}
    for table, documented in tables.items():
        found[table] = _as_columns([own | row for row in of_tables[table]], NETWORK | documented)
    return found


def _columns(
    metric: Accumulator, image: Iterable[str], block: Iterable[str], bins: Iterable[str], count: int, shapes: Shapes
) -> dict[str, list[Any]]:
    """Return a metric's values of each column, one array or number per block; none if undefined.

    Raises StudyError if they are not as the metric's file documents.
    """
    returned = metric.compute()
    # The inherited `rows` only concatenates values.
    own = (one for one in (metric.compute, metric.of_block, metric.update) if one.__module__ != Accumulator.__module__)
    compute = next(own, metric.compute)
    if isinstance(returned, Mapping) and not returned:
        return {}
    kinds: dict[str, tuple[str, list[tuple[int, ...]]]] = {}
    kinds |= dict.fromkeys(image, ("a number for each image", [(count,)] * len(shapes)))
    kinds |= dict.fromkeys(block, ("a number", [()] * len(shapes)))
    kinds |= dict.fromkeys(bins, ("a number for each channel", [(channels,) for channels, _, _ in shapes]))
    _returned.columns(compute, returned, kinds)
    return {
        name: [
            _returned.numbers(compute, name, entry, size, what)
            for entry, size in zip(_returned.listed(compute, name, returned[name], len(shapes)), sizes, strict=True)
        ]
        for name, (what, sizes) in kinds.items()
    }


def _as_columns(listed: list[dict[str, Any]], names: Iterable[str]) -> dict[str, np.ndarray]:
    """Return rows as columns; maps, whose sizes may differ, as arrays of arrays. None is a missing integer."""
    columns = {}
    for name in names:
        values = [row[name] for row in listed]
        if name in MAY_BE_MISSING or any(value is None for value in values):
            columns[name] = whole_numbers(values)
            continue
        columns[name] = np.empty(len(values), dtype=object) if values and np.ndim(values[0]) else np.array(values)
        if columns[name].dtype == object:
            columns[name][:] = values
    return columns


def _mean_and_error(values: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
    """Return the mean over images with a value, and its standard error; NaN for none (or one).

    With groups, the error is that of clustered means: deviations of a group's images are summed before squaring (Liang
    and Zeger, 1986, with G / (G - 1) of G groups).
    """
    has = ~np.isnan(values)
    values, places = values[has], np.unique(groups[has], return_inverse=True)[1]
    mean = values.mean() if len(values) else np.nan
    count = places.max() + 1 if len(places) else 0
    if count == len(values):
        return mean, values.std(ddof=1) / np.sqrt(len(values)) if count > 1 else np.nan
    off = np.bincount(places, values - mean)
    return mean, np.sqrt(count / (count - 1) * np.square(off).sum()) / len(values) if count > 1 else np.nan
