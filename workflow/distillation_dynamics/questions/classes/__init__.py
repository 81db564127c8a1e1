"""Class separability by block: probes of every network, control and variant, compared with chance.

In: top-1 of a linear probe and of nearest images, by block. Out: one row per network and probe with its best and last
block. There is no test: the best block is chosen on the reported images.
"""

import pandas as pd

from ...files import Column
from ...statistics.evidence import Evidence

TITLE = "How well do blocks separate the classes?"
PLACE = 45
FIGURES = ("class_probes",)
DECIDES = "images of no photograph, and no class, that a probe has seen; the network's control"
READS = ("depth",)
# Probe -> the column of its top-1.
PROBES = {"linear": "linear_probe_top1", "nearest": "nearest_probe_top1"}
CHANCE = "linear_probe_chance"
COLUMNS = {
    "network": Column("", "network, control or variant"),
    "probe": Column("", "linear: ridge regression, held out; nearest: the nearest other images"),
    "images": Column("images", "that are separated"),
    "block": Column("", "the best block; of several equal ones the first"),
    "block_name": Column("", "its name"),
    "top1": Column("%", "top-1 of the best block, mean over seeds"),
    "last_top1": Column("%", "top-1 of the last block, mean over seeds"),
    "chance": Column("%", "share of the most frequent class; NaN where the linear probe was not measured"),
}
TABLES = {"class_probes": COLUMNS}


def tables(evidence: Evidence) -> dict[str, pd.DataFrame]:
    """Return class_probes.parquet for the last epoch on the main images; no rows without values."""
    rows = []
    chance = evidence.depth(CHANCE).groupby("network")[CHANCE].max()
    for probe, column in PROBES.items():
        for network, own in evidence.depth(column, "block_name", "images").groupby("network", sort=False):
            blocks = own.groupby("block")[column].mean()
            best = blocks.idxmax()
            rows.append(
                {
                    "network": network,
                    "probe": probe,
                    "images": int(own["images"].max()),
                    "block": int(best),
                    "block_name": own.loc[own["block"] == best, "block_name"].iloc[0],
                    "top1": blocks[best],
                    "last_top1": blocks[blocks.index.max()],
                    "chance": chance.get(network, float("nan")),
                }
            )
    return {"class_probes": pd.DataFrame(rows, columns=list(COLUMNS))}
