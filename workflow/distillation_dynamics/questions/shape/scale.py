"""Part of a fall and a rise over depth due to scale: changes of RMS, permuted channels and Gaussian tokens.

In: mean curves of one network's metrics on their scales, and its rows of references.parquet. Out: columns of
shape.parquet for the metrics of the claim.
"""

from typing import Any

import numpy as np
import pandas as pd

from ...files import Column
from ...statistics.u_shape.fall_and_rise import BITS, LINEAR, LOG, percent, smallest
from .references import NETWORK, REFERENCE_COLUMNS

# Intensity after permuting the channels.
NULL = {"intensity": "intensity_permuted"}
# Of features; a gradient has no simple scale reference.
OF_FEATURES = "intensity", "entropy", "activation_magnitude"
SOURCES = {
    "rms": "RMS (of an entropy: log2 of RMS, by which fixed bins move it)",
    "null": "intensity after the channels were permuted; NaN for other metrics",
    "gaussian": "Gaussian tokens of the block's width and mean RMS",
}
COLUMNS = {
    f"{change}_{source}": Column("%, or bits of an entropy", f"the same {change}, at the same block, of {said}")
    for source, said in SOURCES.items()
    for change in ("fall", "rise")
} | {
    "fall_scale_share": Column(
        "",
        "fall of Gaussian tokens (without them of RMS) over that of the metric, in doublings or bits; NaN where that "
        "is below the smallest change",
    ),
    "rise_scale_share": Column("", "the same of the rise"),
    "rms_correlation": Column("", "Pearson over blocks of the mean curve and log2 of RMS, on the scale of the metric"),
}


def curve(values: np.ndarray, scale: str) -> np.ndarray:
    """Return the mean curve [L] of values [n, L] on a scale: of log2 for LOG, NaN for LINEAR, which has no factors."""
    if scale == LINEAR:
        return np.full(values.shape[1], np.nan)
    return (np.log2(values) if scale == LOG else values).mean(axis=0)


def by_network(alone: pd.DataFrame) -> dict[tuple, dict[str, np.ndarray]]:
    """Return (network, seed, epoch, image set) -> metric -> reference by block, [L], from the frame of references.

    A missing seed or epoch is None.
    """
    metrics = [name for name in REFERENCE_COLUMNS if name in OF_FEATURES]
    return {
        tuple(None if pd.isna(part) else part for part in key): {
            metric: rows.sort_values("block")[metric].to_numpy(dtype=np.float64) for metric in metrics
        }
        for key, rows in alone.groupby(list(NETWORK), sort=False, dropna=False)
    }


def references_of(row: dict[str, Any], curves: dict[str, np.ndarray], alone: dict[str, np.ndarray]) -> dict[str, float]:
    """Return the values of COLUMNS for a row of shapes; NaN without a reference.

    `curves`: those of `curve`, by metric; `alone`: the network's references, by metric.
    """
    found = dict.fromkeys(COLUMNS, np.nan)
    metric, scale, block = row["metric"], row["scale"], row["valley_block"]
    rms = curves.get("rms")
    if row["role"] != "paper" or scale == LINEAR or block is None:
        return found
    if rms is not None:
        found["rms_correlation"] = _correlation(curves[metric], rms)
    if metric not in OF_FEATURES:
        return found
    reference = alone.get(metric)
    if reference is not None and scale != BITS:
        reference = np.log2(np.where(reference > 0, reference, np.nan))
    sources = {"rms": rms, "null": curves.get(NULL.get(metric, "")), "gaussian": reference}
    for number, name in enumerate(("fall", "rise")):
        end = -number
        own = curves[metric][end] - curves[metric][block]
        for source, other in sources.items():
            if other is None or np.isnan(other[[end, block]]).any():
                continue
            change = float(other[end] - other[block])
            found[f"{name}_{source}"] = percent(change, scale, rise=name == "rise")
            if source != "null" and own >= smallest(scale):
                # The Gaussian comes last and takes precedence.
                found[f"{name}_scale_share"] = float(change / own)
    return found


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    spread = np.ptp([first, second], axis=1).min()
    return np.nan if not spread > 0 or len(first) < 3 else float(np.corrcoef(first, second)[0, 1])
