"""Compares spectra along channels of trained networks with those of permuted channels.

In a network whose initial channels are exchangeable, their order is arbitrary. If no block differs from permuted
channels the null hypothesis is true, and no claim on the order of channels can be tested. Students are not among the
networks.
"""

import numpy as np
import pandas as pd

from .evidence import Evidence
from .thresholds import LEVEL

BAND = "bandwidth_folded_95"
SPECTRUM = ("amplitude_p", BAND, f"{BAND}_null", f"{BAND}_null_low", f"{BAND}_null_high")


def spectra(evidence: Evidence) -> pd.DataFrame:
    """Return one row per block of a trained network: its spectrum compared with permuted channels.

    Reads `amplitude_p` (the one test of the whole curve) and `bandwidth_folded_95` with its null from depth.parquet.
    `differs`: significantly, after Holm over the network's blocks; `low`: it differs, and its bandwidth is below the
    null's mean; `like_chance`: its bandwidth is not below the null's 95 % band. `place`: 0 to 1 over depth.
    """
    rows = evidence.depth(*SPECTRUM)
    rows = rows[rows["network"].isin(evidence.names.ordered)].sort_values(["network", "block"])
    parts = []
    for _, own in rows.groupby("network", sort=False):
        place = own["block"] / max(own["block"].max(), 1)
        parts.append(against_null(own).assign(place=place))
    return pd.concat(parts) if parts else against_null(rows).assign(place=0.0)


def against_null(rows: pd.DataFrame) -> pd.DataFrame:
    """Return blocks, whose tests form one family, with `differs`, `low` and `like_chance`."""
    differs = differ_after_holm(rows["amplitude_p"])
    low = differs & (rows[BAND] < rows[f"{BAND}_null"]).to_numpy()
    return rows.assign(differs=differs, low=low, like_chance=rows[BAND] >= rows[f"{BAND}_null_low"])


def differ_after_holm(p: pd.Series) -> np.ndarray:
    """Return which of these p values, one family, are at most LEVEL after Holm."""
    order = np.argsort(p.to_numpy())
    found = np.empty(len(p), dtype=bool)
    found[order] = np.maximum.accumulate(p.to_numpy()[order] * np.arange(len(p), 0, -1)) <= LEVEL
    return found


def band(row: pd.Series) -> str:
    """Return a block's bandwidth of 95 % energy, with that of permuted channels, for a table."""
    return (
        f"95 % of the energy in {row[BAND]:.3f} of the frequencies, permuted {row[f'{BAND}_null_low']:.3f} to "
        f"{row[f'{BAND}_null_high']:.3f}, p {row['amplitude_p']:.2g}"
    )


def band_said(row: pd.Series) -> str:
    """Return the same for a sentence: '0.60 of the frequencies, permuted 0.85 to 0.95'."""
    return (
        f"{row[BAND]:.3f} of the frequencies, permuted [{row[f'{BAND}_null_low']:.3f}, {row[f'{BAND}_null_high']:.3f}]"
    )
