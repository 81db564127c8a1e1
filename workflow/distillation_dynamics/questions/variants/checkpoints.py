"""Two fixed checkpoints beside each other on the same test images: McNemar's test, and the noise of few images.

In: the students' test logits and the labels. Out: the rows of `mcnemar.parquet`. Test images say how well these
checkpoints are measured, not what a method does when it is trained again.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from ...errors import StudyError
from ...files import Column, read_npy
from ...statistics.keys import PAIR

# A McNemar table with fewer discordant images gets the exact binomial test.
EXACT_DISCORDANT = 25
MCNEMAR_COLUMNS = PAIR | {
    "seed": Column("", "seed that both have"),
    "only_variant_right": Column("images", "test images that only the variant's checkpoint classifies correctly"),
    "only_baseline_right": Column("images", "test images that only the baseline's checkpoint classifies correctly"),
    "images": Column("images", "number of test images"),
    "p": Column("", "McNemar's test of two fixed checkpoints: no evidence about methods"),
}
Folders = Mapping[tuple[str, int], Path]


def correct(folder: Path, labels: np.ndarray) -> np.ndarray:
    """Return which test images [N] a student classifies correctly, from the logits in its folder."""
    logits = read_npy(folder / "logits_test.npy")
    if len(logits) != len(labels):
        raise StudyError(
            f"{folder}/logits_test.npy has {len(logits)} images and the test split {len(labels)}; "
            "delete it and run snakemake again"
        )
    return np.asarray(logits).argmax(axis=1) == labels


def mcnemar(folders: Folders, labels: np.ndarray, against: Mapping[str, str]) -> pd.DataFrame:
    """Return the rows of mcnemar.parquet for the seeds of which both folders are given; labels [N] as the logits.

    `against`: variant -> its baseline.
    """
    rows = []
    baselines = set(against.values())
    ours = {pair: correct(folder, labels) for pair, folder in folders.items() if pair[0] in baselines}
    for variant, baseline in against.items():
        for seed in sorted(seed for name, seed in folders if name == variant and (baseline, seed) in ours):
            theirs, own = correct(folders[variant, seed], labels), ours[baseline, seed]
            gained, lost = int((theirs & ~own).sum()), int((~theirs & own).sum())
            rows.append((variant, baseline, seed, gained, lost, len(labels), mcnemar_p(gained, lost)))
    return pd.DataFrame(rows, columns=list(MCNEMAR_COLUMNS))


def mcnemar_p(gained: int, lost: int) -> float:
    """Return p of McNemar's test: exact, or by chi-square with Edwards' correction where many images differ."""
    discordant = gained + lost
    if discordant < EXACT_DISCORDANT:
        return float(min(2 * stats.binom.cdf(min(gained, lost), discordant, 0.5), 1))
    return float(stats.chi2.sf((abs(gained - lost) - 1) ** 2 / discordant, 1))


def evaluation_error(rows: pd.DataFrame) -> float:
    """Return the standard error in points of one checkpoint pair's difference, root mean square over `rows`.

    With b and c discordant images of N: sqrt(b + c - (b - c)^2 / N) / N. NaN without rows.
    """
    if rows.empty:
        return np.nan
    gained, lost, images = (
        rows[name].to_numpy(dtype=np.float64) for name in ("only_variant_right", "only_baseline_right", "images")
    )
    variance = (gained + lost - (gained - lost) ** 2 / images) / images**2
    return float(100 * np.sqrt(variance.mean()))
