"""Whether a training is finished: how much validation accuracy still rises at its end. In: epochs.parquet."""

import numpy as np

from .evidence import Evidence


def rise_an_epoch(evidence: Evidence, student: str) -> float:
    """Return by how many points an epoch validation top-1 rises over the last quarter of epochs, mean over seeds.

    From the last validated epoch before it to the last epoch; NaN where these were not validated.
    """
    rows = evidence.read("epochs", "network", "epoch", "validation_top1")
    rows = rows[(rows["network"] == student) & (rows["epoch"] > 0)]
    curve = rows.groupby("epoch")["validation_top1"].mean()
    if curve.empty or np.isnan(curve.iloc[-1]):
        return np.nan
    last = curve.index[-1]
    before = curve[curve.index <= 0.75 * last].dropna()
    return np.nan if before.empty else float((curve.iloc[-1] - before.iloc[-1]) / (last - before.index[-1]))
