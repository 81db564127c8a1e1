"""What questions are answered from: the tables of a study and who is in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from ..spec.tables import MAIN_IMAGE_SET, Names, Setting
from ..spec.training import TermSpec
from ..words import of_each
from .checkpoints import at_last_epoch


@dataclass(frozen=True)
class Evidence:
    """The tables of a study by name, who is in them, and what its students are (None: there are none).

    `tables`: those that it has of other stages, and those of the questions so far, without rows where a question could
    not be asked. `scalars`: tables of values by image; `students`: (variant, seed) -> folder with its logits; `splits`:
    the table of all images. Answers in words have `tables` and `names` alone.
    """

    tables: dict[str, pd.DataFrame]
    names: Names
    setting: Setting | None = None
    scalars: Sequence[Path] = ()
    students: Mapping[tuple[str, int], Path] = field(default_factory=dict)
    splits: Path | None = None

    @property
    def baseline(self) -> str:
        """The variant that others are held against, as a sentence says it; of several students that of each."""
        return of_each("baseline", self.names.baselines.values())

    @property
    def teacher(self) -> str:
        """The teacher of the students, as a sentence says it; of several that of each."""
        return of_each("teacher", self.names.teachers)

    @property
    def terms(self) -> Mapping[str, tuple[TermSpec, ...]]:
        """Variant -> the terms of its loss; empty without students."""
        return {} if self.setting is None else self.setting.terms

    @property
    def labels(self) -> np.ndarray:
        """The labels of the test images, in the order of the table, which is that of the logits."""
        table = pq.read_table(self.splits, columns=["label"], filters=[("split", "==", "test")])
        return table["label"].to_numpy()

    def read(self, table: str, *columns: str) -> pd.DataFrame:
        """Return these columns of a table; none of its rows where the table or one of them is not there."""
        found = self.tables.get(table)
        if found is None or not set(columns) <= set(found.columns):
            return pd.DataFrame({column: [] for column in columns})
        return found[list(columns)]

    def depth(self, *columns: str) -> pd.DataFrame:
        """Return these columns over depth, of the main images and each network's last epoch, where all have a value."""
        keys = ("network", "seed", "epoch", "probe", "block")
        rows = self.read("depth", *keys, *columns)
        rows = rows[rows["probe"] == MAIN_IMAGE_SET].dropna(subset=list(columns))
        return rows[at_last_epoch(rows, "network", "seed")]

    def with_attention(self, network: str) -> bool | None:
        """Return whether a network has attention; None where that was not measured."""
        rows = self.read("depth", "network", "attention_entropy")
        rows = rows[rows["network"] == network]
        return None if rows.empty else bool(rows["attention_entropy"].notna().any())
