"""Evidence for the questions of a study: its tables, and the names and setting of its networks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from ..spec.tables import MAIN_IMAGE_SET, Names, Setting
from ..spec.training import TermSpec
from ..words import of_one_or_each
from .checkpoints import at_last_epoch


@dataclass(frozen=True)
class Evidence:
    """The tables of a study by name, its names, and the setting of its students (None: no students).

    `tables`: those of other stages and of the questions so far, without rows if a question does not apply. `scalars`:
    tables of values by image; `students`: (variant, seed) -> folder with its logits; `splits`: the table of all images.
    Texts use `tables` and `names` only.
    """

    tables: dict[str, pd.DataFrame]
    names: Names
    setting: Setting | None = None
    scalars: Sequence[Path] = ()
    students: Mapping[tuple[str, int], Path] = field(default_factory=dict)
    splits: Path | None = None

    @property
    def baseline(self) -> str:
        """Name of the baseline for sentences; with several, "the baseline of each student"."""
        return of_one_or_each("baseline", self.names.baselines.values())

    @property
    def terms(self) -> Mapping[str, tuple[TermSpec, ...]]:
        """Variant -> terms of its loss; empty without students."""
        return {} if self.setting is None else self.setting.terms

    @property
    def labels(self) -> np.ndarray:
        """Labels of the test images in the order of the table, which is that of the logits."""
        table = pq.read_table(self.splits, columns=["label"], filters=[("split", "==", "test")])
        return table["label"].to_numpy()

    def read(self, table: str, *columns: str) -> pd.DataFrame:
        """Return these columns of a table; no rows if the table or a column is missing."""
        found = self.tables.get(table)
        if found is None or not set(columns) <= set(found.columns):
            return pd.DataFrame({column: [] for column in columns})
        return found[list(columns)]

    def depth(self, *columns: str) -> pd.DataFrame:
        """Return these columns over depth for the main images and each network's last epoch, without missing values."""
        keys = ("network", "seed", "epoch", "probe", "block")
        rows = self.read("depth", *keys, *columns)
        rows = rows[rows["probe"] == MAIN_IMAGE_SET].dropna(subset=list(columns))
        return rows[at_last_epoch(rows, "network", "seed")]

    def with_attention(self, network: str) -> bool | None:
        """Return whether a network has attention; None if it was not measured."""
        rows = self.read("depth", "network", "attention_entropy")
        rows = rows[rows["network"] == network]
        return None if rows.empty else bool(rows["attention_entropy"].notna().any())
