"""Data of the page: tables as columns with few digits, stored once, from which the script makes rows.

A text column is a list of its distinct values and their indices; NaN, infinity and missing values are null.
"""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_integer_dtype, is_numeric_dtype
from scipy.special import stdtrit

# Digits of a measured number: more than a chart shows.
DIGITS = 4
HALF = "_half"


def packed(table: pd.DataFrame) -> dict[str, Any]:
    """Return a table for the page: number of rows, and values column by column."""
    return {"rows": len(table), "columns": {name: _column(table[name]) for name in table}}


def _column(values: pd.Series) -> Any:
    if is_bool_dtype(values):
        return [bool(value) for value in values]
    if is_integer_dtype(values):
        return [None if pd.isna(value) else int(value) for value in values]
    if is_numeric_dtype(values):
        return [rounded(value) for value in values]
    codes, levels = pd.factorize(values)
    return {"levels": [str(level) for level in levels], "codes": [int(code) for code in codes]}


def rounded(value: float) -> float | int | None:
    """Return a number with few digits; None if there is none."""
    if value is None or not math.isfinite(value):
        return None
    short = float(f"{value:.{DIGITS}g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def over_seeds(table: pd.DataFrame, keys: list[str], columns: Iterable[str]) -> pd.DataFrame:
    """Return one row per `keys`: means over seeds, `<column>_half`, half of the 95 % t interval, and `seeds`.

    `_half` is NaN with one seed or without spread; a column that only some seeds have is averaged over those.
    """
    columns = list(columns)
    groups = table.groupby(keys, sort=False, dropna=False)
    means, count = groups[columns].mean(), groups[columns].count()
    spread = groups[columns].std(ddof=1) / np.sqrt(count)
    quantile = stdtrit(np.maximum(count - 1, 1), 0.975)
    # Zero spread over a few seeds is chance or rounding.
    half = (spread * quantile).where((count > 1) & (spread > 0)).add_suffix(HALF)
    return pd.concat([means, half, groups["seed"].nunique(dropna=False).rename("seeds")], axis=1).reset_index()
