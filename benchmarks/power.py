"""What the studies of docs/protocol.md can find: the smallest effect with 80 % power, by seeds, family and spread.

    python benchmarks/power.py

Families as the protocol names them; spreads of paired differences as the study of twenty seeds had them
(docs/results/full/differences.parquet), normal noise, joint sign flips at 5 %. Contrasts that share an arm are
correlated by a half.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow"))
from distillation_dynamics.statistics.westfall_young import detectable

RESULTS = Path(__file__).parents[1] / "docs" / "results" / "full" / "differences.parquet"
LOW = ("spectral_first_low", "spectral_last_low")
HIGH = ("spectral_first_high", "spectral_last_high")
SHARED = 0.5
# Study: seeds, comparisons that share an arm, how many such sets at a low and at a high share.
FAMILIES = {
    "A: teacher less null": (30, 3, 2, 2),
    "B: less soft, 16 epochs": (20, 2, 1, 1),
    "B: less soft, 64 epochs": (8, 1, 1, 1),
    "C: less soft, each teacher": (12, 1, 2, 4),
    "D: less soft, each rate and clip": (12, 2, 3, 2),
    "E: harm at 8 less harm at 32 channels": (20, 1, 0, 4),
}


def of_covariance(covariance: np.ndarray, seeds: int) -> np.ndarray:
    """Return rows [seeds, m] whose sample covariance is the one given [m, m]; seeds > m."""
    rows = np.random.default_rng(0).standard_normal((seeds, len(covariance)))
    rows -= rows.mean(axis=0)
    whitened = rows @ np.linalg.inv(np.linalg.cholesky(np.cov(rows, rowvar=False).reshape(rows.shape[1], -1))).T
    return whitened @ np.linalg.cholesky(covariance).T


def main() -> None:
    """Print a table in Markdown."""
    values = pd.read_parquet(RESULTS).pivot(index="seed", columns="variant", values="difference")
    # To the baseline, and between the two places at one share.
    spread = {
        share: (values[list(names)].std().mean(), values[list(names)].diff(axis=1).iloc[:, -1].std())
        for share, names in (("low", LOW), ("high", HIGH))
    }
    print("| family | seeds | comparisons | found at a low share [points] | at a high share |\n|---|---|---|---|---|")
    for family, (seeds, together, low, high) in FAMILIES.items():
        kind = 0 if "soft" in family else 1
        deviations = np.repeat([spread["low"][kind], spread["high"][kind]], [low * together, high * together])
        sets = np.repeat(np.arange(low + high), together)
        correlation = np.where(sets[:, None] == sets, SHARED, 0.0) + np.eye(len(sets)) * (1 - SHARED)
        if len(deviations) < seeds:
            found = detectable(of_covariance(correlation * np.outer(deviations, deviations), seeds))
        else:
            found = np.full(len(deviations), np.nan)
        ends = [f"{part.mean():.2f}" if len(part) else "-" for part in np.split(found, [low * together])]
        print(f"| {family} | {seeds} | {len(deviations)} | {ends[0]} | {ends[1]} |")


if __name__ == "__main__":
    main()
