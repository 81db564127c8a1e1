"""Does a variant help? Paired differences to a baseline over shared seeds, and when in training they arise.

In: the table of runs, the training curves, the students' test logits and the labels. Out: the rows of
`differences.parquet`, `variants.parquet`, `mcnemar.parquet` and `trajectory.parquet`. The unit of evidence is the seed:
test images say how well these checkpoints are measured, not what a method does when it is trained again.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from ..errors import StudyError
from ..files import Column, read_npy
from ..spec.tables import Names
from .paired import EXACT_SEEDS, holm, interval, paired, seeds_needed
from .thresholds import FEWEST_SEEDS, LEVEL

# A McNemar table with fewer discordant images gets the exact binomial test.
EXACT_DISCORDANT = 25
PAIR = {
    "variant": Column("", "variant"),
    "baseline": Column("", "variant it is compared to"),
}
DIFFERENCE_COLUMNS = PAIR | {
    "seed": Column("", "seed that both have"),
    "difference": Column("points", "test top-1 of the variant less that of the baseline, last epoch"),
}
VARIANT_COLUMNS = PAIR | {
    "seeds": Column("", "seeds that both have"),
    "mean_difference": Column("points", "mean over seeds of the paired difference in test top-1"),
    "low": Column("points", "lower end of its 95 % paired t interval; NaN with one seed or without spread"),
    "high": Column("points", "upper end of that interval"),
    "p_t": Column("", "two-sided paired t test, one comparison; NaN with one seed or without spread"),
    "p_sign_flip": Column(
        "", f"two-sided sign-flip test (exact up to {EXACT_SEEDS} seeds), one comparison; NaN with one seed"
    ),
    "p_holm": Column("", "p_sign_flip after Holm over all variants; one that cannot be tested counts as p = 1"),
    "smallest_p": Column("", "smallest p_sign_flip that this number of seeds allows, 2 / 2^seeds"),
    "smallest_p_holm": Column("", "smallest p_holm it allows where this variant has the smallest p of all"),
    "detectable_effect": Column(
        "points", "mean difference that a paired t test at 5 % finds with 80 % power, at the spread seen"
    ),
    "evaluation_standard_error": Column(
        "points", "standard error of one seed's difference from the number of test images alone (root mean square)"
    ),
    "early_gain": Column("points", "mean gain in validation top-1 over the first third of training, epoch 0 left out"),
    "late_gain": Column("points", "mean gain in validation top-1 over the last third"),
    "turns_at": Column(
        "", "share of training from which the mean gain stays below 0, having been above; NaN if it never does"
    ),
    "verdict": Column("", "what may be said, in words"),
}
MCNEMAR_COLUMNS = PAIR | {
    "seed": Column("", "seed that both have"),
    "only_variant_right": Column("images", "test images that only the variant's checkpoint classifies correctly"),
    "only_baseline_right": Column("images", "test images that only the baseline's checkpoint classifies correctly"),
    "images": Column("images", "number of test images"),
    "p": Column("", "McNemar's test of two fixed checkpoints: no evidence about methods"),
}
TRAJECTORY_COLUMNS = PAIR | {
    "epoch": Column("epochs", "finished epochs"),
    "fraction": Column("", "epoch over all epochs of the training"),
    "seeds": Column("", "seeds measured in both at this epoch"),
    "gain": Column("points", "mean over seeds of the paired difference in validation top-1"),
    "low": Column("points", "lower end of its 95 % paired t interval; NaN with one seed or without spread"),
    "high": Column("points", "upper end of that interval"),
}
Folders = dict[tuple[str, int], Path]


def shared(runs: pd.DataFrame, variant: str, baseline: str) -> pd.DataFrame:
    """Return test top-1 of `variant` and `baseline` (columns) for the seeds (index) that both have, ascending."""
    chosen = runs[runs["network"].isin([variant, baseline])]
    return chosen.pivot(index="seed", columns="network", values="test_top1")[[variant, baseline]].dropna().sort_index()


def others(runs: pd.DataFrame, names: Names) -> list[str]:
    """Return the variants other than the baseline, in the order of the table; none in a study without students.

    Raises StudyError if the baseline has no run.
    """
    variants = [name for name in dict.fromkeys(runs["network"]) if name in names.variants]
    if names.baseline is None:
        return []
    if names.baseline not in variants:
        there = ", ".join(variants)
        raise StudyError(f"statistics.baseline: no run of a variant {names.baseline!r}; there are {there}")
    return [name for name in variants if name != names.baseline]


def differences(runs: pd.DataFrame, variants: Sequence[str], baseline: str) -> pd.DataFrame:
    """Return the rows of differences.parquet."""
    rows = []
    for variant in variants:
        for seed, row in shared(runs, variant, baseline).iterrows():
            difference = row[variant] - row[baseline]
            rows.append({"variant": variant, "baseline": baseline, "seed": seed, "difference": difference})
    return pd.DataFrame(rows, columns=list(DIFFERENCE_COLUMNS))


def correct(folder: Path, labels: np.ndarray) -> np.ndarray:
    """Return which test images [N] a student classifies correctly, from the logits in its folder."""
    logits = read_npy(folder / "logits_test.npy")
    if len(logits) != len(labels):
        raise StudyError(
            f"{folder}/logits_test.npy has {len(logits)} images and the test split {len(labels)}; "
            "delete it and run snakemake again"
        )
    return np.asarray(logits).argmax(axis=1) == labels


def mcnemar(folders: Folders, labels: np.ndarray, variants: Sequence[str], baseline: str) -> pd.DataFrame:
    """Return the rows of mcnemar.parquet for the seeds of which both folders are given; labels [N] as the logits."""
    from statsmodels.stats.contingency_tables import mcnemar as test

    rows = []
    ours = {seed: correct(folder, labels) for (variant, seed), folder in folders.items() if variant == baseline}
    for variant in variants:
        for seed in sorted(seed for name, seed in folders if name == variant and seed in ours):
            theirs = correct(folders[variant, seed], labels)
            gained, lost = int((theirs & ~ours[seed]).sum()), int((~theirs & ours[seed]).sum())
            result = test([[0, gained], [lost, 0]], exact=gained + lost < EXACT_DISCORDANT)
            rows.append(
                {
                    "variant": variant,
                    "baseline": baseline,
                    "seed": seed,
                    "only_variant_right": gained,
                    "only_baseline_right": lost,
                    "images": len(labels),
                    "p": float(result.pvalue),
                }
            )
    return pd.DataFrame(rows, columns=list(MCNEMAR_COLUMNS))


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


def trajectory(epochs: pd.DataFrame, variants: Sequence[str], baseline: str) -> pd.DataFrame:
    """Return the rows of trajectory.parquet: validation top-1 against the baseline at every epoch measured in both."""
    measured = epochs.dropna(subset=["validation_top1"])
    total = epochs.loc[epochs["network"].isin([*variants, baseline]), "epoch"].max()
    rows = []
    for variant in variants:
        chosen = measured[measured["network"].isin([variant, baseline])]
        pairs = chosen.pivot(index=["epoch", "seed"], columns="network", values="validation_top1")
        pairs = pairs.reindex(columns=[variant, baseline]).dropna()
        for epoch, group in pairs.groupby(level="epoch"):
            _, low, high = interval(group[variant].to_numpy(), group[baseline].to_numpy())
            rows.append(
                {
                    "variant": variant,
                    "baseline": baseline,
                    "epoch": epoch,
                    "fraction": epoch / total,
                    "seeds": len(group),
                    "gain": float((group[variant] - group[baseline]).mean()),
                    "low": low,
                    "high": high,
                }
            )
    return pd.DataFrame(rows, columns=list(TRAJECTORY_COLUMNS))


def turn(fraction: np.ndarray, gain: np.ndarray) -> dict[str, float]:
    """Return early_gain, late_gain and turns_at of one variant's mean gains, fractions ascending.

    The untrained model (fraction 0) is left out of all three.
    """
    fraction, gain = np.asarray(fraction, dtype=np.float64), np.asarray(gain, dtype=np.float64)
    fraction, gain = fraction[fraction > 0], gain[fraction > 0]
    early, late = gain[fraction <= 1 / 3], gain[fraction > 2 / 3]
    # The first epoch from which all gains are negative.
    start = len(gain) - int(np.argmin(np.append(gain[::-1] < 0, False)))
    turned = start < len(gain) and (gain[:start] > 0).any()
    return {
        "early_gain": float(early.mean()) if len(early) else np.nan,
        "late_gain": float(late.mean()) if len(late) else np.nan,
        "turns_at": float(fraction[start]) if turned else np.nan,
    }


def verdict(row: dict[str, Any], comparisons: int) -> str:
    """Return what may be said of one comparison; the word significant only where a test allows it."""
    seeds = row["seeds"]
    if seeds == 0:
        return "no seed in common: nothing can be said"
    if seeds == 1:
        return "one seed: no interval and no test"
    if seeds < FEWEST_SEEDS:
        return f"{seeds} seeds: no sign-flip test can reach 5 % (smallest p {row['smallest_p']:.2g}); see the interval"
    if row["p_holm"] <= LEVEL:
        side = "better" if row["mean_difference"] > 0 else "worse"
        return f"significantly {side} (sign-flip p {row['p_holm']:.2g} after Holm, {seeds} seeds)"
    if row["smallest_p_holm"] > LEVEL:
        return (
            f"{seeds} seeds: Holm over {comparisons} comparisons needs {seeds_needed(comparisons)} seeds to reach 5 %; "
            "see the interval"
        )
    return (
        f"no difference found (sign-flip p {row['p_holm']:.2g} after Holm, {seeds} seeds); "
        f"{row['detectable_effect']:.2g} points would be found with 80 % power"
    )


def compare(
    runs: pd.DataFrame, curves: pd.DataFrame, checkpoints: pd.DataFrame, variants: Sequence[str], baseline: str
) -> pd.DataFrame:
    """Return the rows of variants.parquet, from the runs and the rows of trajectory.parquet and mcnemar.parquet."""
    rows = []
    for variant in variants:
        values = shared(runs, variant, baseline)
        curve = curves[curves["variant"] == variant].sort_values("epoch")
        rows.append(
            {
                "variant": variant,
                "baseline": baseline,
                **paired(values[variant].to_numpy(), values[baseline].to_numpy()),
                "evaluation_standard_error": evaluation_error(checkpoints[checkpoints["variant"] == variant]),
                **turn(curve["fraction"].to_numpy(), curve["gain"].to_numpy()),
            }
        )
    adjusted = holm([row["p_sign_flip"] for row in rows])
    for row, p in zip(rows, adjusted, strict=True):
        row["p_holm"] = float(p)
        row["smallest_p_holm"] = min(1.0, len(rows) * row["smallest_p"]) if row["seeds"] else np.nan
        row["verdict"] = verdict(row, len(rows))
    return pd.DataFrame(rows, columns=list(VARIANT_COLUMNS))


def labels_of(splits: Path) -> np.ndarray:
    """Return the labels of the test images, in the order of the table, which is that of the logits."""
    table = pq.read_table(splits, columns=["label"], filters=[("split", "==", "test")])
    return table["label"].to_numpy()
