"""Formats a row of shape.parquet: its fall and rise with units, and the reason of its verdict."""

from typing import Any

import numpy as np

from ...words import number
from ..thresholds import FEWEST_IMAGES, LEAST_RMS_PER_BIN, LEVEL, MOST_OF_IT, SMALLEST_DEPTH
from . import EMPTY, NOT_RESOLVED, NOT_U_SHAPED, U_SHAPED, UNDECIDED
from .fall_and_rise import BITS, LINEAR, smallest

# From this factor on a rise is given as a factor.
AS_A_FACTOR = 10


def formatted(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with its fall and rise, and those of its null, as text; with intervals under `..._within`."""
    null = row | {f"{name}{end}": row[f"{name}_null"] for name in ("fall", "rise") for end in ("", "_low", "_high")}
    return {
        **row,
        "falls": change(row, "fall"),
        "rises": _by(change(row, "rise")),
        "falls_within": change(row, "fall", interval=True),
        "rises_within": _by(change(row, "rise", interval=True)),
        "null_falls": change(null, "fall"),
        "null_rises": _by(change(null, "rise")),
        "reason": reason(row),
    }


def _by(text: str) -> str:
    return text if text.endswith("-fold") else f"by {text}"


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


def scale_made(row: dict[str, Any]) -> float:
    """Return the part of fall and rise due to scale, the smaller of both; NaN if unknown."""
    return float(np.min([row["fall_scale_share"], row["rise_scale_share"]]))


def of_scale(row: dict[str, Any]) -> bool:
    """Return whether a row is U-shaped and scale makes nearly all of its fall and rise."""
    return row["verdict"] == U_SHAPED and scale_made(row) >= MOST_OF_IT


def reason(row: dict[str, Any]) -> str:
    """Return why a row is undecided, or differs from the published reading or the visible curve; or ""."""
    verdict, published = row["verdict"], row["verdict_published"]
    if verdict == NOT_RESOLVED:
        return "too few bins" if row["rms_per_bin"] < LEAST_RMS_PER_BIN else "other bins"
    if verdict == UNDECIDED:
        if row["p_skewed"] > LEVEL:
            return "near the smallest change"
        return "few images" if row["images"] < FEWEST_IMAGES else "skewed"
    if verdict == U_SHAPED and published == NOT_U_SHAPED:
        return "shallow" if row["depth"] < SMALLEST_DEPTH else "not by its means"
    if published == U_SHAPED and verdict == EMPTY:
        return "flat"
    if published == U_SHAPED and verdict == NOT_U_SHAPED:
        return "typical image alone" if row["valley"] >= smallest(row["scale"]) else "small"
    return ""
