"""Similarity of networks, block by block, compared with that of their controls and of another seed.

In: CKA, mutual neighbours and Procrustes distance of all blocks x all blocks of pairs of networks. Out: the rows of
`networks.parquet`, one per pair of networks. A pair's number is its mean best match: for every block of either network
its most similar block in the other, averaged over the blocks of each network and then over both. The best of many is
high by chance, so it is meaningful only in comparison with the controls, computed in the same way.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ...files import Column
from ...spec.tables import Names
from ...statistics.checkpoints import at_last_epoch
from ...statistics.evidence import Evidence

TITLE = "Networks compared"
PLACE = 40
FIGURES = ("networks", "map")
DECIDES = "a similarity above that of the controls by every measure, compared with the ceiling of another seed"
READS = ("cka", "neighbours", "procrustes", "shape")
NETWORKS, SEEDS, CONTROLS, OWN = "networks", "seeds", "controls", "own control"
NETWORK_COLUMNS = {
    "network": Column("", "network, or control"),
    "other": Column("", "the other one"),
    "kind": Column(
        "",
        f"{NETWORKS} (two of the study), {SEEDS} (two that differ in their seed alone), {CONTROLS} (those of two "
        f"networks) or {OWN} (a network and its own)",
    ),
    "cka": Column("", "mean best match over blocks of unbiased linear CKA; NaN where not measured"),
    "cka_kind": Column("", "what its rows are: tokens where all pairs have them, otherwise images; empty without"),
    "cka_rows": Column("", "rows that it rests on"),
    "neighbours": Column("", "the same of the share of mutual nearest neighbours"),
    "neighbours_chance": Column("", "share that two blocks of unrelated networks would have"),
    "procrustes": Column("", "the same of the Procrustes distance, 0 to sqrt(2), the best match being the smallest"),
    "procrustes_shuffled": Column("", "the same with the other's images in a random order"),
    "images": Column("images", "number of images"),
}
TABLES = {"networks": NETWORK_COLUMNS}
# Column -> (table, whether the best match is the largest).
MEASURES = {"cka": ("cka", True), "neighbours": ("neighbours", True), "procrustes": ("procrustes", False)}
Pair = tuple[str, str]


def tables(evidence: Evidence) -> dict[str, pd.DataFrame]:
    """Return networks.parquet."""
    return {"networks": table(evidence.tables, evidence.names)}


def best_match(picture: np.ndarray, largest: bool = True) -> float:
    """Return the mean best match of a matrix [L1, L2]: over rows, over columns, and the mean of both.

    Blocks without any value are left out; NaN if none has one.
    """
    picture = np.asarray(picture, dtype=np.float64)
    worst = -np.inf if largest else np.inf
    known = np.where(np.isnan(picture), worst, picture)
    sides = []
    for axis in (0, 1):
        best = known.max(axis=axis) if largest else known.min(axis=axis)
        best = best[np.isfinite(best)]
        if not len(best):
            return np.nan
        sides.append(best.mean())
    return float(np.mean(sides))


def kind_of(first: str, second: str, names: Names) -> str | None:
    """Return the kind of a pair, None for irrelevant ones (a network and another one's control)."""
    controls = set(names.controls.values())
    if first in names.networks and second in names.networks:
        return SEEDS if any({first, second} <= set(same) for same in names.seeds) else NETWORKS
    if {first, second} <= controls:
        return CONTROLS
    return OWN if names.controls.get(first) == second or names.controls.get(second) == first else None


def pairs_of(table: pd.DataFrame | None, names: Names) -> dict[Pair, pd.DataFrame]:
    """Return (network, other) -> the rows of their last epochs, for every relevant pair, once each."""
    found: dict[Pair, pd.DataFrame] = {}
    if table is None:
        return found
    everyone = names.fixed
    table = table[table["network"].isin(everyone) & table["other"].isin(everyone)]
    for epoch in ("epoch", "other_epoch"):
        table = table[at_last_epoch(table, "network", "other", epoch=epoch)]
    for (first, second), rows in table.groupby(["network", "other"], sort=False):
        if first != second and kind_of(first, second, names) is not None and (second, first) not in found:
            found[first, second] = rows
    return found


def picture_of(rows: pd.DataFrame, column: str) -> np.ndarray:
    """Return `column` as [blocks of the network, blocks of the other], NaN for missing rows."""
    blocks, others = rows["block"].to_numpy(), rows["other_block"].to_numpy()
    picture = np.full((1 + blocks.max(), 1 + others.max()), np.nan)
    picture[blocks, others] = rows[column]
    return picture


def cka_column(pairs: Mapping[Pair, pd.DataFrame]) -> str:
    """Return the CKA column for all pairs: tokens if they cover all blocks, otherwise images.

    Blocks on different grids (ResNet) have no CKA of tokens: a best match would be chosen among few.
    """
    return "cka_tokens" if all(map(_tokens_tell_all, pairs.values())) else "cka_images"


def _tokens_tell_all(rows: pd.DataFrame) -> bool:
    """Return whether CKA of tokens is known for every block, and every pair of blocks with a CKA of images."""
    known = rows["cka_tokens"].notna().to_numpy()
    every = all(set(rows[block]) == set(rows[block].to_numpy()[known]) for block in ("block", "other_block"))
    return every and bool((known | rows["cka_images"].isna().to_numpy()).all())


def table(tables: Mapping[str, pd.DataFrame], names: Names) -> pd.DataFrame:
    """Return the rows of networks.parquet from the existing ones of the tables cka, neighbours and procrustes."""
    rows: dict[frozenset[str], dict] = {}
    for measure, (source, largest) in MEASURES.items():
        pairs = pairs_of(tables.get(source), names)
        column = cka_column(pairs) if measure == "cka" else measure
        for (first, second), group in pairs.items():
            empty = {"network": first, "other": second, "kind": kind_of(first, second, names), "cka_kind": ""}
            row = rows.setdefault(frozenset((first, second)), empty)
            row[measure] = best_match(picture_of(group, column), largest)
            row["images"] = int(group["images"].max())
            if measure == "cka" and not np.isnan(row["cka"]):
                whole = column == "cka_tokens"
                row["cka_kind"] = "tokens" if whole else "images"
                row["cka_rows"] = float(row["images"] * (group["tokens_per_image"].max() if whole else 1))
            if measure == "neighbours":
                row["neighbours_chance"] = float(group["neighbours_chance"].mean())
            if measure == "procrustes":
                row["procrustes_shuffled"] = best_match(picture_of(group, "procrustes_shuffled"), largest)
    order = [NETWORKS, SEEDS, CONTROLS, OWN]
    listed = sorted(rows.values(), key=lambda row: order.index(row["kind"]))
    return pd.DataFrame(listed).reindex(columns=list(NETWORK_COLUMNS))
