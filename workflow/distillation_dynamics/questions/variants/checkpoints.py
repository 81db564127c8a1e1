"""Two fixed checkpoints on the same test images: McNemar's test, and the noise of few images.

In: the students' test logits and the labels. Out: the rows of `mcnemar.parquet`. Test images determine how precisely
these checkpoints are measured, not what a method does when trained again.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from ...errors import StudyError
from ...files import Column, read_npy
from ...statistics.keys import PAIR

# Below this number of discordant images a McNemar table gets the exact binomial test.
EXACT_DISCORDANT = 25
MCNEMAR_COLUMNS = PAIR | {
    "seed": Column("", "seed that both have"),
    "only_variant_right": Column("images", "test images that only the variant's checkpoint classifies correctly"),
    "only_baseline_right": Column("images", "test images that only the baseline's checkpoint classifies correctly"),
    "images": Column("images", "number of test images"),
    "p": Column("", "McNemar's test of two fixed checkpoints: no evidence about methods"),
}
# (variant, seed) -> which test images [N] it classifies correctly.
Right = Mapping[tuple[str, int], np.ndarray]


def correct(folder: Path, labels: np.ndarray) -> np.ndarray:
    """Return which test images [N] a student classifies correctly, from the logits in its folder."""
    logits = read_npy(folder / "logits_test.npy")
    if len(logits) != len(labels):
        raise StudyError(
            f"{folder}/logits_test.npy has {len(logits)} images and the test split {len(labels)}; "
            "delete it and run snakemake again"
        )
    return np.asarray(logits).argmax(axis=1) == labels


def common_seeds(right: Right, variant: str, baseline: str) -> list[int]:
    """Return the seeds of which both a variant and its baseline are given."""
    return sorted(seed for name, seed in right if name == variant and (baseline, seed) in right)


def mcnemar(right: Right, against: Mapping[str, str]) -> pd.DataFrame:
    """Return the rows of mcnemar.parquet for the common seeds; `against`: variant -> its baseline."""
    rows = []
    for variant, baseline in against.items():
        for seed in common_seeds(right, variant, baseline):
            theirs, own = right[variant, seed], right[baseline, seed]
            gained, lost = int((theirs & ~own).sum()), int((~theirs & own).sum())
            rows.append((variant, baseline, seed, gained, lost, len(own), mcnemar_p(gained, lost)))
    return pd.DataFrame(rows, columns=list(MCNEMAR_COLUMNS))


def mcnemar_p(gained: int, lost: int) -> float:
    """Return p of McNemar's test: exact, or by chi-square with Edwards' correction for many discordant images."""
    discordant = gained + lost
    if discordant < EXACT_DISCORDANT:
        return float(min(2 * stats.binom.cdf(min(gained, lost), discordant, 0.5), 1))
    return float(stats.chi2.sf((abs(gained - lost) - 1) ** 2 / discordant, 1))


def evaluation_error(right: Right, variant: str, baseline: str) -> float:
    """Return the standard error in points of the mean difference over seeds from the number of test images alone.

    All seeds share the images, so that the unit is the image: the standard deviation over images of the mean over
    seeds of (variant right - baseline right), over the root of their number. NaN without a common seed.
    """
    seeds = common_seeds(right, variant, baseline)
    if not seeds:
        return np.nan
    each = np.mean([right[variant, seed].astype(float) - right[baseline, seed] for seed in seeds], axis=0)
    return float(100 * each.std() / np.sqrt(len(each)))
