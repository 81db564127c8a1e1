"""Whether a training has converged: the rise of validation accuracy at its end. In: epochs.parquet."""

import numpy as np

from .evidence import Evidence


def rise_an_epoch(evidence: Evidence, student: str) -> float:
    """Return the rise of validation top-1 in points per epoch over the last quarter of epochs, mean over seeds.

    From the last validated epoch before that quarter to the last epoch; NaN if these were not validated.
    """
    rows = evidence.read("epochs", "network", "epoch", "validation_top1")
    rows = rows[(rows["network"] == student) & (rows["epoch"] > 0)]
    curve = rows.groupby("epoch")["validation_top1"].mean()
    if curve.empty or np.isnan(curve.iloc[-1]):
        return np.nan
    last = curve.index[-1]
    before = curve[curve.index <= 0.75 * last].dropna()
    return np.nan if before.empty else float((curve.iloc[-1] - before.iloc[-1]) / (last - before.index[-1]))
