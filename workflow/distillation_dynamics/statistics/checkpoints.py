"""Selects rows of the last epoch, or of the first seed; networks have no seed, and some have no epoch.

Weights not trained here are the only checkpoint of their network and have no epoch; a network is trained once and has
no seed.
"""

import pandas as pd


def at_last_epoch(table: pd.DataFrame, *keys: str, epoch: str = "epoch") -> pd.Series:
    """Return which rows are of the last epoch among rows with equal `keys`; all rows if none has an epoch."""
    return _at(table, keys, epoch, "max")


def of_first_seed(table: pd.DataFrame, *keys: str) -> pd.Series:
    """Return which rows are of the lowest seed among rows with equal `keys`; all rows if none has a seed."""
    return _at(table, keys, "seed", "min")


def _at(table: pd.DataFrame, keys: tuple[str, ...], column: str, end: str) -> pd.Series:
    wanted = table.groupby(list(keys), sort=False, dropna=False)[column].transform(end)
    return ((table[column] == wanted) | wanted.isna()).fillna(False).astype(bool)
