"""Whether the position of bins decides an entropy's verdict: number of bins tokens spread over, and other bins.

In: per-image values of a network's entropies in the published bins, in bins shifted by half a bin, and over the range
without its most extreme image. Out: columns of shape.parquet, and the verdict that holds in all of them.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from ...files import Column
from ...statistics.bins import PER_BIN
from ...statistics.thresholds import LEAST_RMS_PER_BIN
from ...statistics.u_shape import NOT_RESOLVED, TESTED
from ...statistics.u_shape.fall_and_rise import BITS, sizes, tested

OTHER_BINS = {
    "shifted": "bins shifted by half of one",
    "without_extreme": "bins over the range without its most extreme image",
}
# Other columns of scalars.parquet needed for these.
READ = (*PER_BIN.values(), *(f"{metric}_{name}" for metric in PER_BIN for name in OTHER_BINS))
COLUMNS = {
    "rms_per_bin": Column(
        "bins", "of an entropy with bins: the least of its blocks of the RMS per bin, mean over images; NaN otherwise"
    ),
    "rms_per_bin_block": Column("", "0-based number of that block"),
    **{
        f"{change}_{name}": Column("bits", f"of an entropy: the {change}, at the same block, in {said}")
        for name, said in OTHER_BINS.items()
        for change in ("fall", "rise")
    },
}
VERDICTS = {
    "verdict_own_bins": Column("", "of an entropy: what the tests say in the bins of its own column; empty of others")
} | {
    f"verdict_{name}": Column("", f"of an entropy: what the same tests say in {said}; empty where not measured")
    for name, said in OTHER_BINS.items()
}
# For the union of intervals over all bins.
LOWER, UPPER = ("fall_low", "rise_low", "valley_low"), ("fall_high", "rise_high", "valley_high")


def in_other_bins(
    row: dict[str, Any], metric: str, values_of: Mapping[str, np.ndarray], kept: np.ndarray
) -> dict[str, Any]:
    """Return the values of COLUMNS, intervals and p values in other bins for a row of shapes.

    `values_of`: values [n, L] by column of scalars.parquet; `kept` [n]: the images of the row. Intervals include those
    in other bins.
    """
    found: dict[str, Any] = dict.fromkeys(COLUMNS, np.nan) | {"rms_per_bin_block": None}
    per_bin = values_of.get(PER_BIN.get(metric, ""))
    if per_bin is not None:
        spread = per_bin[kept].mean(axis=0)
        found |= {"rms_per_bin": float(spread.min()), "rms_per_bin_block": int(spread.argmin())}
    for name in OTHER_BINS if metric in PER_BIN else ():
        values = values_of.get(f"{metric}_{name}")
        if values is None:
            continue
        other: dict[str, Any] = sizes(values[kept], BITS, row["valley_block"])
        found |= {f"fall_{name}": other["fall"], f"rise_{name}": other["rise"]}
        found |= {f"{p}_{name}": float(value) for p, value in tested(values[kept], BITS)._asdict().items()}
        for ends, outer in ((LOWER, np.fmin), (UPPER, np.fmax)):
            found |= {end: float(outer(found.get(end, row[end]), other[end])) for end in ends}
    return found


def resolved(shape: pd.DataFrame, verdict_of: Callable[[Mapping[str, str]], np.ndarray]) -> pd.DataFrame:
    """Return the columns of VERDICTS and `verdict` for a frame of shapes; NOT_RESOLVED where bins decide.

    `verdict_of` maps the columns to use as p values (none: the usual ones) to the verdict of each row.
    """
    verdict = pd.Series(verdict_of({}), index=shape.index, dtype=object)
    verdicts = {"verdict_own_bins": verdict.where(shape["metric"].isin(PER_BIN), "")}
    kept = verdict.isin(TESTED)
    undecidable = (shape["rms_per_bin"] < LEAST_RMS_PER_BIN) & kept
    for name in OTHER_BINS:
        known = shape[f"p_{name}"].notna() if f"p_{name}" in shape else pd.Series(False, index=shape.index)
        other = pd.Series("", index=shape.index, dtype=object)
        if known.any():
            other[known] = verdict_of({p: f"{p}_{name}" for p in ("p", "p_skewed", "p_none")})[known]
        verdicts[f"verdict_{name}"] = other.where(kept, "")
        undecidable |= known & kept & (other != verdict)
    return pd.DataFrame(verdicts | {"verdict": verdict.where(~undecidable, NOT_RESOLVED)})
