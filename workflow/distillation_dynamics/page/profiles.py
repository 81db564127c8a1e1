"""Every metric by block as a table, with the columns of its nulls, and the choice between metrics."""

import pandas as pd

from .. import arms
from ..drawing.style import main_images
from ..statistics.bins import PER_BIN
from ..statistics.checkpoints import at_last_epoch
from ..statistics.thresholds import INTERVAL
from ..words import over
from . import charts
from .panel import Control, PageData, epoch_said, measure
from .rows import HALF, over_seeds

KEYS = ("network", "seed", "epoch", "probe", "block", "block_name", "images")
# Of every row, or beside a metric: no metric by itself.
FACTS = (
    *(*KEYS, *arms.COLUMNS, "channels", "tokens"),
    *("entropy_bins", "range_low", "range_high", "fixed_low", "fixed_high"),
)
BESIDE = ("_se", "_null", "_low", "_high", "_chance", "_uniform", "_p99", "_shifted", "_without_extreme")
# Those that the questions are about come first.
FIRST = ("entropy", "activation_magnitude", "intensity", "gradient_magnitude", "rms", "effective_rank", "token_cosine")
# A metric -> the column of its null, where it is not <metric>_null.
NULLS = {
    "intensity": "intensity_permuted",
    **dict.fromkeys(("linear_probe_top1", "nearest_probe_top1"), "linear_probe_chance"),
}
NULL = "_null"
GAUSSIAN = "_gaussian"
DEPTH = charts.number("x", "depth", "depth of the block, first to last")
COLUMNS = {
    "network": "network", "role": "what", "epoch_said": "epoch", "block_name": "block", "value": "value", "low": "low",
    "high": "high", "null": "null", "gaussian": "Gaussian tokens",
}  # fmt: skip


def metrics_of(depth: pd.DataFrame) -> list[str]:
    """Return the columns that are metrics and have a value, those first that the questions are about."""
    columns = [name for name in depth if name not in FACTS and not name.endswith(BESIDE)]
    columns = [name for name in columns if name not in NULLS.values() and depth[name].notna().any()]
    return sorted(columns, key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST))


def profiles(data: PageData) -> tuple[pd.DataFrame, list[str]]:
    """Return a row a block and epoch of every network, and the metrics: means over seeds and half of an interval.

    The interval is over seeds of students, and over images of networks, of which there is one run. `epoch` is missing
    where a network has one checkpoint, shown at every epoch of the students. No metrics where none was measured.
    """
    if not data.has("depth"):
        return pd.DataFrame(), []
    depth = main_images(data.tables["depth"])
    metrics = metrics_of(depth)
    beside = [name for metric in metrics for name in null_of(metric, depth).values()]
    columns = list(
        dict.fromkeys([*metrics, *beside, *(PER_BIN[name] for name in metrics if PER_BIN.get(name) in depth)])
    )
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
    """Return field of a chart -> column of the null of a metric and of the band in which it lies; empty without."""
    own = NULLS.get(metric, metric + NULL)
    fields = {"null": own, "null_low": own + "_low", "null_high": own + "_high"}
    return {field: column for field, column in fields.items() if column in table and table[column].notna().any()}


def _gaussian(data: PageData, metrics: list[str]) -> pd.DataFrame:
    """Return what Gaussian tokens of a block's width and scale have of the metrics, means over seeds."""
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
    depth = main_images(data.tables["depth"])
    beside = {name: null_of(name, depth) for name in metrics}
    for name in metrics:
        if name + GAUSSIAN in table:
            beside[name]["gaussian"] = name + GAUSSIAN
        if PER_BIN.get(name) in table:
            beside[name]["per_bin"] = PER_BIN[name]
    return measure(
        data.meanings("depth", metrics), "Metric", beside, {name: _n(depth, name) for name in metrics}, table
    )


def _n(depth: pd.DataFrame, metric: str) -> str:
    """Return how many images and seeds a metric rests on."""
    rows = depth[depth[metric].notna()]
    images = f"n = {int(rows['images'].max()):,} images"
    seeds = rows[rows["seed"].notna()].groupby("network")["seed"].nunique()
    return images + (f", {over(seeds)} of each variant" if len(seeds) else "")
