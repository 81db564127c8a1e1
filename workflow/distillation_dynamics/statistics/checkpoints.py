"""Which rows of a table are of the last epoch, or of the first seed: networks have no seed, and some have no epoch.

Weights that were not trained here are the only checkpoint of their network, of no epoch; a network is trained once, of
no seed.
"""

import pandas as pd


def at_last_epoch(table: pd.DataFrame, *keys: str, epoch: str = "epoch") -> pd.Series:
    """Return which rows are of the last epoch among those that agree in `keys`; all of them where none has an epoch."""
    return _at(table, keys, epoch, "max")


def of_first_seed(table: pd.DataFrame, *keys: str) -> pd.Series:
    """Return which rows are of the lowest seed among those that agree in `keys`; all of them where none has a seed."""
    return _at(table, keys, "seed", "min")


def _at(table: pd.DataFrame, keys: tuple[str, ...], column: str, end: str) -> pd.Series:
    wanted = table.groupby(list(keys), sort=False, dropna=False)[column].transform(end)
    return ((table[column] == wanted) | wanted.isna()).fillna(False).astype(bool)
