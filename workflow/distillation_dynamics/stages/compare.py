"""The stage `compare`: compute one pair metric for each pair of networks, without running them.

In: kept rows of both networks for the same images. Out: `<metric>.parquet`, one row per pair of networks or per pair of
blocks. Imports no torch itself.
"""

from collections import Counter
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ..files import Column, write_joined
from ..metrics import _returned
from ..metrics.keys import BLOCK, NETWORK, filled
from ..metrics.pairs.activations import Activations, matched
from ..spec.compare import CompareJob, KeptActivations


def _of_other(columns: dict[str, Column]) -> dict[str, Column]:
    return {
        "other" if name == "network" else f"other_{name}": Column(
            column.unit, f"the network that it is compared with: {column.description}"
        )
        for name, column in columns.items()
    }


IMAGES = {"images": Column("images", "number of images that both were compared on")}
NETWORK_KEYS = NETWORK | _of_other(NETWORK) | IMAGES
PAIR_KEYS = NETWORK | BLOCK | _of_other(NETWORK | BLOCK) | IMAGES


def documentation(metric: ModuleType) -> dict[str, Column]:
    """Return the columns of a pair metric's table, keys first."""
    by_block = hasattr(metric, "PAIR_COLUMNS")
    return PAIR_KEYS | metric.PAIR_COLUMNS if by_block else NETWORK_KEYS | metric.NETWORK_COLUMNS


def main(job: CompareJob, gpus: int = 0) -> None:
    """Compare the networks of every pair of the job."""
    metric = import_module(f"..metrics.pairs.{job.metric}", __package__)
    left = Counter(named.file.files[0] for pair in job.network_pairs for named in pair)
    opened: dict[str, Activations] = {}
    parts = []
    for pair in job.network_pairs:
        paths = [named.file.files[0] for named in pair]
        opened |= {path: Activations(path) for path in paths if path not in opened}
        first, second = (opened[path] for path in paths)
        matched(first, second)
        parts.append(_part(metric, pair, first, second))
        # Results of a network serve all its pairs, and are freed after the last one.
        left.subtract(paths)
        opened = {path: rows for path, rows in opened.items() if left[path]}
    write_joined(Path(job.out), {job.metric: parts}, {job.metric: documentation(metric)})


def _part(
    metric: ModuleType, pair: tuple[KeptActivations, KeptActivations], first: Activations, second: Activations
) -> dict[str, np.ndarray]:
    """Return the columns of one pair of networks; raise StudyError if they are not the documented ones."""
    by_block = hasattr(metric, "PAIR_COLUMNS")
    shape = (first.blocks, second.blocks) if by_block else ()
    said = metric.PAIR_COLUMNS if by_block else metric.NETWORK_COLUMNS
    returned, what = metric.compare(first, second), "a number for each pair of blocks" if by_block else "a number"
    returned = _returned.columns(metric.compare, returned, said)
    columns = {name: _returned.numbers(metric.compare, name, returned[name], shape, what) for name in said}
    keys: dict[str, Any] = {name: getattr(pair[0], name) for name in NETWORK}
    keys |= dict(zip(_of_other(NETWORK), (getattr(pair[1], name) for name in NETWORK), strict=True))
    if by_block:
        block, other = (axis.ravel() for axis in np.indices(shape))
        keys |= {"block": block, "block_name": np.array(first.block_names)[block]}
        keys |= {"other_block": other, "other_block_name": np.array(second.block_names)[other]}
    keys["images"] = first.image_count
    size = int(np.prod(shape))
    sides = {
        name: value if isinstance(value, np.ndarray) else filled(name, value, size) for name, value in keys.items()
    }
    return sides | {name: values.ravel() for name, values in columns.items()}
