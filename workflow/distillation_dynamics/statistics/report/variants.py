"""Does a variant help? The section on paired differences to the baseline.

In: the frames of variants.parquet and mcnemar.parquet. Out: Markdown. The word significant appears only where a test
over six or more seeds allows it.
"""

import numpy as np
import pandas as pd

from ...files import Column
from ...markdown import markdown
from ..paired import seeds_needed
from ..thresholds import FEWEST_SEEDS, LEVEL
from .words import NO_STUDENTS, listed, number, plural, with_interval

VARIANT_TABLE = {
    "variant": Column("", ""),
    "seeds": Column("", ""),
    "difference": Column("points", ""),
    "95 % interval": Column("points", ""),
    "p": Column("sign-flip, Holm", ""),
    "smallest p": Column("Holm", ""),
    "detectable": Column("points", ""),
    "image noise": Column("points", ""),
    "early gain": Column("points", ""),
    "late gain": Column("points", ""),
    "turns at": Column("share of training", ""),
    "verdict": Column("", ""),
}
CHECKPOINT_TABLE = {
    "variant": Column("", ""),
    "pairs of checkpoints": Column("", ""),
    "better, p <= .05": Column("", ""),
    "worse, p <= .05": Column("", ""),
    "undecided": Column("", ""),
}


def section(variants: pd.DataFrame, checkpoints: pd.DataFrame, baseline: str | None) -> list[str]:
    """Return the paragraphs on the variants."""
    if baseline is None:
        return [NO_STUDENTS]
    if variants.empty:
        return [f"**There is no variant besides the baseline {baseline}, so there is nothing to compare.**"]
    table = pd.DataFrame(
        {
            "variant": row["variant"],
            "seeds": row["seeds"],
            "difference": number(row["mean_difference"], "+.2f"),
            "95 % interval": "-" if np.isnan(row["low"]) else f"{row['low']:+.2f} to {row['high']:+.2f}",
            "p": number(row["p_holm"], ".2g"),
            "smallest p": number(row["smallest_p_holm"], ".2g"),
            "detectable": number(row["detectable_effect"]),
            "image noise": number(row["evaluation_standard_error"]),
            "early gain": number(row["early_gain"], "+.2f"),
            "late gain": number(row["late_gain"], "+.2f"),
            "turns at": number(row["turns_at"]),
            "verdict": row["verdict"],
        }
        for row in variants.to_dict("records")
    )
    return [
        f"**{answer(variants, baseline)}**",
        turning(variants),
        markdown(table, VARIANT_TABLE),
        f"Differences in test top-1 to {baseline}, paired over seeds, last epoch. Detectable: found with 80 % power by "
        "a paired t test at 5 %. Image noise: standard error of one seed's difference that the number of test images "
        "causes; the spread between seeds comes on top. Gains: validation top-1 over the first and last third of "
        "training.",
        *checkpoint_section(checkpoints),
    ]


def answer(variants: pd.DataFrame, baseline: str) -> str:
    """Return the one-sentence answer on the variants."""
    compared, seeds = len(variants), int(variants["seeds"].max())
    if seeds == 0:
        return f"Nothing can be said: no variant shares a seed with {baseline}."
    best = variants.loc[variants["mean_difference"].idxmax()]
    worst = variants.loc[variants["mean_difference"].idxmin()]
    spread = f"differences to {baseline} run from {worst['mean_difference']:+.2f} ({worst['variant']})"
    spread += f" to {best['mean_difference']:+.2f} points ({best['variant']})"
    if compared == 1:
        only = with_interval(best["mean_difference"], best["low"], best["high"], "+")
        spread = f"{best['variant']} differs from {baseline} by {only} points"
    if seeds == 1:
        return f"One seed cannot tell: {spread}, without any interval of training."
    if seeds < FEWEST_SEEDS:
        return (
            f"{seeds} seeds cannot tell by a test (the smallest sign-flip p is {2.0 ** (1 - seeds):.2g}): {spread}; "
            "read the intervals."
        )
    decided = variants[(variants["p_holm"] <= LEVEL) & (variants["seeds"] >= FEWEST_SEEDS)]
    of = f"of {plural(compared, 'variant')} over {seeds} seeds"
    if len(decided):
        names = [f"{row['variant']} ({row['mean_difference']:+.2f} points)" for row in decided.to_dict("records")]
        verb = "differs" if len(names) == 1 else "differ"
        return (
            f"{listed(names)} {verb} significantly from {baseline} {of} (sign-flip, Holm); "
            f"{len(variants) - len(decided)} do not."
        )
    if variants["smallest_p_holm"].min() > LEVEL:
        return (
            f"{seeds} seeds cannot tell after Holm over {compared} comparisons, which needs {seeds_needed(compared)}: "
            f"{spread}."
        )
    return f"No difference to {baseline} was found {of} (sign-flip, Holm): {spread}."


def turning(variants: pd.DataFrame) -> str:
    """Return a sentence on gains that turn into losses during training."""
    turned = variants[variants["turns_at"].notna() & (variants["early_gain"] > 0) & (variants["late_gain"] < 0)]
    if turned.empty:
        return "No variant gains in the first third of training, loses in the last and ends below the baseline."
    texts = [f"{row['variant']} ({100 * row['turns_at']:.0f} %)" for row in turned.to_dict("records")]
    return (
        "Mean gain in validation top-1 over the first third of training, and loss over the last: the curve stays below "
        f"the baseline's from this share of training on for {listed(texts)}. No test is made of it; trajectory.parquet "
        "has the intervals."
    )


def checkpoint_section(checkpoints: pd.DataFrame) -> list[str]:
    """Return the paragraphs on McNemar's test."""
    if checkpoints.empty:
        return []
    rows = []
    for variant, group in checkpoints.groupby("variant", sort=False):
        decided = group["p"] <= LEVEL
        more = group["only_variant_right"] > group["only_baseline_right"]
        rows.append(
            {
                "variant": variant,
                "pairs of checkpoints": len(group),
                "better, p <= .05": int((decided & more).sum()),
                "worse, p <= .05": int((decided & ~more).sum()),
                "undecided": int((~decided).sum()),
            }
        )
    return [
        f"Two fixed checkpoints of the same seed, compared on {checkpoints['images'].iloc[0]:,} test images (McNemar, "
        "one test each, unadjusted). This is no evidence about methods: it says which of two files is better on such "
        "images, not which method would be if trained again.",
        markdown(pd.DataFrame(rows), CHECKPOINT_TABLE),
    ]
