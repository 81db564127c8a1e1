"""How one row of shape.parquet is put into words: its fall and rise, what scale makes of them, and why a verdict.

Every word comes from the row's values; '' is said where there is nothing to say.
"""

from typing import Any

import numpy as np

from ..thresholds import FEWEST_IMAGES, LEVEL, MOST_OF_IT, MOST_SKEW, SMALLEST_DEPTH, SMALLEST_FACTOR
from ..u_shape import EMPTY, NOT_U_SHAPED, U_SHAPED, UNDECIDED
from ..u_shape.fall_and_rise import BITS, LINEAR, smallest
from .words import number, spaced

# From this factor on a rise is said as one.
AS_A_FACTOR = 10


def change(row: dict[str, Any], name: str, interval: bool = False) -> str:
    """Return the fall or rise (`name`) of a row: '41 %', '52-fold' or '0.31 bits', with its interval in brackets."""
    values = np.array([row[name], row[f"{name}_low"], row[f"{name}_high"]])
    form, unit = ".2g", " %"
    if row["scale"] == BITS:
        form, unit = ".2f", " bits"
    elif row["scale"] != LINEAR and name == "rise" and 1 + values[0] / 100 >= AS_A_FACTOR:
        values, unit = 1 + values / 100, "-fold"
    elif np.abs(values[0]) >= 10:
        form = ".0f"
    text = number(values[0], form)
    if text == "-":
        return text
    if unit == "-fold":
        values, form, text = values.round(), ".0f", f"{values[0]:.0f}"
    ends = f" [{values[1]:{form}}, {values[2]:{form}}]" if interval and not np.isnan(values[1]) else ""
    return text + unit + ends


def size(row: dict[str, Any]) -> str:
    """Return 'falls by 41 % to block 2 and rises 52-fold to the last'."""
    rise = change(row, "rise")
    return f"falls by {change(row, 'fall')} to block {row['valley_block']} and rises {_by(rise)} to the last"


def _by(text: str) -> str:
    return text if text.endswith("-fold") else f"by {text}"


def of_scale(row: dict[str, Any]) -> str:
    """Return how much of a row's fall and rise scale makes, and whether that is a U of scale."""
    shares = row["fall_scale_share"], row["rise_scale_share"]
    source = "RMS" if np.isnan(row["fall_gaussian"]) else "Gaussian tokens of its width and RMS"
    if np.isnan(shares).any():
        return "how much of it is scale was not measured"
    text = f"{source} would make {100 * shares[0]:.0f} % of the fall and {100 * shares[1]:.0f} % of the rise"
    if not np.isnan(row["rms_correlation"]):
        text += f" (correlation with RMS over blocks {row['rms_correlation']:.2f})"
    if min(shares) >= MOST_OF_IT:
        return f"{text}: a U of scale"
    return f"{text}: scale makes a part of this U" if min(shares) > 0 else f"{text}: scale does not make this U"


def of_null(row: dict[str, Any]) -> str:
    """Return what the channels, permuted, leave of the fall and rise of intensity; '' without a null."""
    if np.isnan(row["fall_null"]):
        return ""
    null = {
        **row,
        **{f"{name}{end}": row[f"{name}_null"] for name in ("fall", "rise") for end in ("", "_low", "_high")},
    }
    return f"with permuted channels it {size(row | null)}"


def why(row: dict[str, Any]) -> str:
    """Return why a row is undecided, or why its verdict differs from the published reading or from the eye."""
    verdict, published = row["verdict"], row["verdict_published"]
    depth = f"depth {row['depth']:.2g} of the range"
    if verdict == UNDECIDED:
        return _undecided(row)
    if verdict == U_SHAPED and published == NOT_U_SHAPED:
        if row["depth"] < SMALLEST_DEPTH:
            rest = f"{depth}, less than {SMALLEST_DEPTH:.2f}: the linear range is that of its largest values"
        else:
            rest = f"{depth}, but p = {row['p_any_adjusted']:.2g} of its means by themselves"
        return f"it {size(row)}; the published reading is {NOT_U_SHAPED} ({rest})"
    if published == U_SHAPED and verdict == EMPTY:
        return f"its blocks differ by {100 * row['relative_range']:.2g} % in all, whatever p and {depth} say"
    if published == U_SHAPED and verdict == NOT_U_SHAPED:
        return f"the published reading is {U_SHAPED} ({depth}), but {_too_small(row)}"
    return ""


def _too_small(row: dict[str, Any]) -> str:
    least = f"{smallest(BITS):.2f} bits" if row["scale"] == BITS else f"a factor of {SMALLEST_FACTOR:g}"
    if row["scale"] == LINEAR:
        least = f"{100 * (SMALLEST_FACTOR - 1):.0f} % of the largest mean"
    if row["valley"] >= smallest(row["scale"]):
        return f"it {size(row)} in the typical image (mean logarithm) alone, and not in the mean over images"
    return f"it {size(row)}: one of them less than {least}, below which a change counts as none"


def _undecided(row: dict[str, Any]) -> str:
    if row["images"] < FEWEST_IMAGES and row["p_skewed"] <= LEVEL:
        return f"of {row['images']} images, fewer than {FEWEST_IMAGES}, nothing tells how skewed their values are"
    if row["p_skewed"] <= LEVEL:
        return (
            f"too skewed for {row['images']:,} images: -skewness / sqrt(n) is {row['skew']:.2f}, and above "
            f"{MOST_SKEW:.2f} the test does not keep its 5 %"
        )
    return (
        f"it falls by {change(row, 'fall', True)} to block {row['valley_block']} and rises "
        f"{_by(change(row, 'rise', True))} to the last, which is neither surely more nor surely less than the smallest "
        f"change (p = {row['p_adjusted']:.2g} of less, {row['p_none']:.2g} of more)"
    )


def named(metric: str) -> str:
    """Return a metric's name at the start of a sentence."""
    name = spaced(metric)
    return name[0].upper() + name[1:]
