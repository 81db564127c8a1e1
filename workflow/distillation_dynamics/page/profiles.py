"""Table of every metric by block with the columns of its nulls, and the choice between metrics."""

import pandas as pd

from .. import arms
from ..drawing.style import main_images
from ..files import Column
from ..statistics.bins import PER_BIN
from ..statistics.checkpoints import at_last_epoch
from ..statistics.thresholds import INTERVAL
from ..words import over
from . import charts
from .metrics import SINCE_FIRST, in_groups
from .panel import Control, PageData, epoch_said, measure
from .rows import HALF, over_seeds

KEYS = ("network", "seed", "epoch", "probe", "block", "block_name", "images")
# Columns of every row, or that accompany a metric: not metrics themselves.
FACTS = (
    *(*KEYS, *arms.COLUMNS, "channels", "tokens"),
    *("entropy_bins", "range_low", "range_high", "fixed_low", "fixed_high"),
)
BESIDE = ("_se", "_null", "_low", "_high", "_chance", "_uniform", "_p99", "_shifted", "_without_extreme")
# Metric -> column of its null, unless that is <metric>_null.
NULLS = {
    "intensity": "intensity_permuted",
    **dict.fromkeys(("linear_probe_top1", "nearest_probe_top1"), "linear_probe_chance"),
}
NULL = "_null"
GAUSSIAN = "_gaussian"
DEPTH = charts.number("x", "depth", "relative depth (first block 0, last block 1)")
COLUMNS = {
    "network": "network", "role": "what", "epoch_said": "epoch", "block": "block", "block_name": "name in timm",
    "value": charts.MEASURE, "low": "interval from", "high": "interval to", "null": "with permuted channels",
    "gaussian": "of Gaussian tokens",
}  # fmt: skip
SINCE = Column("bits", "change of the entropy since the first block, in bins over each network's own range: levels in "
               "such bins cannot be compared between networks, changes can")  # fmt: skip
OWN_BINS = "; each network and checkpoint has its own bins: compare shapes over depth, not levels"


def metrics_of(depth: pd.DataFrame) -> list[str]:
    """Return the columns that are metrics with values, by group, those of the questions first."""
    columns = [name for name in depth if name not in FACTS and not name.endswith(BESIDE)]
    return in_groups([name for name in columns if name not in NULLS.values() and depth[name].notna().any()])


def _with_change(depth: pd.DataFrame) -> pd.DataFrame:
    """Return one row per block with the change of its entropy since the first block, if measured."""
    if "entropy" not in depth:
        return depth
    first = depth.sort_values("block").groupby(["network", "seed", "epoch"], dropna=False)["entropy"].transform("first")
    return depth.assign(**{SINCE_FIRST: depth["entropy"] - first})


def profiles(data: PageData) -> tuple[pd.DataFrame, list[str]]:
    """Return one row per block and epoch of every network, and the metrics: means over seeds and half of an interval.

    The interval is over seeds for students, over images for networks, which have one run. `epoch` is missing for
    networks with one checkpoint, shown at every epoch of the students. Unmeasured metrics are left out.
    """
    if not data.has("depth"):
        return pd.DataFrame(), []
    depth = _with_change(main_images(data.tables["depth"]))
    metrics = metrics_of(depth)
    extra = [name for metric in metrics for name in null_of(metric, depth).values()]
    columns = list(dict.fromkeys([*metrics, *extra, *(_per_bin(name) for name in metrics if _per_bin(name) in depth)]))
    keys = ["network", "epoch", "block", "block_name"]
    table = over_seeds(depth, keys, columns)
    table = table.drop(columns=[name + HALF for name in columns if name not in metrics])
    alone = depth[depth["seed"].isna()].set_index(keys)
    index = table.set_index(keys).index
    for name in metrics:
        if name + "_se" in alone:
            over_images = (INTERVAL * alone[name + "_se"]).reindex(index).to_numpy()
            table[name + HALF] = table[name + HALF].fillna(pd.Series(over_images))
    table = table.merge(_gaussian(data, metrics), how="left", on=["network", "epoch", "block"])
    last = at_last_epoch(table, "network")
    depth_of = table["block"] / table.groupby("network")["block"].transform("max").clip(lower=1)
    table = table.assign(role=table["network"].map(data.role), last=last, depth=depth_of)
    table["epoch_said"] = table["epoch"].map(epoch_said)
    table["epoch"] = table["epoch"].where(table["role"] == "variant")
    return data.owned(table), metrics


def null_of(metric: str, table: pd.DataFrame) -> dict[str, str]:
    """Return field of a chart -> column of a metric's null and of its band; empty without one."""
    own = NULLS.get(metric, metric + NULL)
    fields = {"null": own, "null_low": own + "_low", "null_high": own + "_high"}
    return {field: column for field, column in fields.items() if column in table and table[column].notna().any()}


def unit_of(data: PageData, metric: str) -> str:
    """Return the unit of a metric, "" for a pure number."""
    return SINCE.unit if metric == SINCE_FIRST else data.meanings("depth", [metric])[metric].unit


def _per_bin(metric: str) -> str:
    """Return the column with the number of bins tokens spread over, "" for a metric without bins."""
    return PER_BIN.get("entropy" if metric == SINCE_FIRST else metric, "")


def _gaussian(data: PageData, metrics: list[str]) -> pd.DataFrame:
    """Return the metrics of Gaussian tokens with the block's width and scale, means over seeds."""
    keys = ["network", "epoch", "block"]
    references = main_images(data.tables.get("references", pd.DataFrame(columns=[*keys, "probe"])))
    columns = [name for name in metrics if name in references and references[name].notna().any()]
    means = (
        references.groupby(keys, as_index=False, dropna=False)[columns].mean()
        if columns
        else references[keys].drop_duplicates()
    )
    return means.rename(columns={name: name + GAUSSIAN for name in columns})


def choice_of(data: PageData, table: pd.DataFrame, metrics: list[str]) -> Control:
    """Return the choice between metrics, each with the columns of its nulls."""
    depth = _with_change(main_images(data.tables["depth"]))
    extra = {name: null_of(name, depth) for name in metrics}
    for name in metrics:
        if name + GAUSSIAN in table:
            extra[name]["gaussian"] = name + GAUSSIAN
        if _per_bin(name) in table:
            extra[name]["per_bin"] = _per_bin(name)
    meanings = data.meanings("depth", metrics)
    if SINCE_FIRST in meanings:
        meanings[SINCE_FIRST] = SINCE
    if "entropy" in meanings:
        unit, meaning = meanings["entropy"]
        meanings["entropy"] = Column(unit, meaning + OWN_BINS)
    return measure(meanings, "Metric", extra, {name: _n(depth, name) for name in metrics}, table)


def _n(depth: pd.DataFrame, metric: str) -> str:
    """Return the numbers of images and seeds behind a metric."""
    rows = depth[depth[metric].notna()]
    images = f"n = {int(rows['images'].max()):,} images"
    seeds = rows[rows["seed"].notna()].groupby("network")["seed"].nunique()
    return images + (f", {over(seeds)} of each variant" if len(seeds) else "")
