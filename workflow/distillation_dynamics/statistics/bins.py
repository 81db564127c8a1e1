"""Histogram entropies, and the blocks whose tokens spread over too few bins, where the position of bins matters."""

import pandas as pd

from .thresholds import LEAST_RMS_PER_BIN

# Histogram entropy -> column with the number of bins its tokens spread over.
PER_BIN = {
    "entropy": "rms_per_bin",
    "entropy_fixed_range": "rms_per_bin_fixed_range",
    "entropy_standardised": "rms_per_bin_standardised",
}
# Wording of figures and page for what they mark.
TOO_FEW = f"tokens spread over fewer than {LEAST_RMS_PER_BIN:g} bins, so that the bins' places decide the entropy"


def too_few(table: pd.DataFrame, metric: str) -> pd.Series:
    """Return for each row of a table of blocks whether its tokens spread over too few bins of a metric."""
    column = PER_BIN.get(metric, "")
    return table[column] < LEAST_RMS_PER_BIN if column in table else pd.Series(False, index=table.index)
