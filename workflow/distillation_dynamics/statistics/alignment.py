"""Which layers should be aligned? What is known of every pair of blocks before aligning, and what aligning it did.

In: CKA and mismatch of the baseline's students with the teacher (before any aligning), the runs, and the pairs that
each variant aligns. Out: the rows of `alignment.parquet`, one a pair of student and teacher block.

The rule. A pair is recommended, or advised against, only where it was tried: with 6 or more seeds shared by the
baseline and every variant that aligns it, and a sign-flip p of at most .05 after Holm over all tried pairs (pairs that
the same variants align are one comparison). Where those seeds could have reached 5 % and the effect is smaller than
what they detect with 80 % power, no effect was found. Everything else is not enough evidence. CKA, ranks and bandwidths
describe; they recommend nothing.

The effect of a pair is the difference to the baseline of the variants that align it and no other pair, averaged within
each seed first; the evidence names each of them, since two objectives may differ. Where no variant aligns the pair
alone, those that align it with others stand in, and the row says with which.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..files import Column
from .paired import holm, paired, seeds_needed
from .thresholds import FEWEST_SEEDS, LEVEL

ALIGN, AVOID, NO_EFFECT, UNKNOWN = "align", "do not align", "no effect found", "not enough evidence"
ALIGNMENT_COLUMNS = {
    "baseline": Column("", "variant that the measures are of and the effects are compared to"),
    "student_block": Column("", "0-based block of the student"),
    "teacher_block": Column("", "0-based block of the teacher"),
    "cka": Column(
        "", "unbiased CKA of the baseline's last epoch with the teacher, mean over seeds; NaN where all rows are alike"
    ),
    "cka_kind": Column("", "what its rows are: tokens, or images where grids differ; empty where CKA is NaN"),
    "cka_rows": Column("", "rows that it rests on; NaN where CKA is"),
    "student_rank": Column(
        "", "eigenvalues that hold 95 % of the second moment of the student's tokens, mean over seeds"
    ),
    "teacher_rank_reduced": Column(
        "", "the same of the teacher's tokens, their channels reduced to the student's number"
    ),
    "student_bandwidth": Column(
        "", "share of the channel frequencies, lowest first, that hold 95 % of the student's energy"
    ),
    "teacher_bandwidth_reduced": Column("", "the same of the teacher's tokens, their channels reduced"),
    "variants": Column(
        "", "variants that its effect rests on, with their other pairs as student-teacher; empty: untried"
    ),
    "alone": Column("", "whether a variant aligns this pair and no other"),
    "effect": Column("points", "mean difference of these variants to the baseline in test top-1"),
    "low": Column("points", "lower end of its 95 % paired t interval; NaN with one seed or without spread"),
    "high": Column("points", "upper end of that interval"),
    "seeds": Column("", "seeds that all these variants and the baseline have; 0 where untried"),
    "p_holm": Column("", "two-sided sign-flip p after Holm over all sets of variants that align a pair"),
    "smallest_p_holm": Column("", "smallest p_holm that the seeds allow where this pair has the smallest p of all"),
    "detectable_effect": Column("points", "difference that a paired t test at 5 % finds with 80 % power"),
    "recommendation": Column("", f"{ALIGN}, {AVOID}, {NO_EFFECT} or {UNKNOWN}"),
    "evidence": Column("", "the numbers behind it, in words"),
}
Pair = tuple[int, int]
MEASURES = {
    "student_rank": "rank_95",
    "teacher_rank_reduced": "other_rank_95",
    "student_bandwidth": "bandwidth_95",
    "teacher_bandwidth_reduced": "other_bandwidth_95",
}


def last_epoch_of(table: pd.DataFrame, baseline: str, teacher: str) -> pd.DataFrame:
    """Return the rows of the baseline's last epoch of each seed, beside the teacher."""
    table = table[(table["network"] == baseline) & (table["other"] == teacher)]
    return table[table["epoch"] == table.groupby("seed")["epoch"].transform("max")]


def describe(
    cka: pd.DataFrame, mismatch: pd.DataFrame | None, baseline: str, teacher: str
) -> dict[Pair, dict[str, float | str]]:
    """Return (student block, teacher block) -> CKA and mismatch of the baseline's last epoch, means over seeds."""
    known: dict[Pair, dict[str, Any]] = {}
    for pair, group in last_epoch_of(cka, baseline, teacher).groupby(["block", "other_block"]):
        tokens, images = group["cka_tokens"].mean(), group["cka_images"].mean()
        by_token = not np.isnan(tokens)
        rows = group["images"] * (group["tokens_per_image"] if by_token else 1)
        known[pair] = {}
        # Rows that are all alike have none.
        if by_token or not np.isnan(images):
            known[pair] = {
                "cka": float(tokens if by_token else images),
                "cka_kind": "tokens" if by_token else "images",
                "cka_rows": float(rows.min()),
            }
    if mismatch is None:
        return known
    for pair, group in last_epoch_of(mismatch, baseline, teacher).groupby(["block", "other_block"]):
        known[pair] |= {name: float(group[column].mean()) for name, column in MEASURES.items()}
    return known


def name_of(variant: str, pair: Pair, pairs: Sequence[Pair]) -> str:
    """Return a variant's name, and which other pairs it aligns."""
    rest = [f"{student}-{teacher}" for student, teacher in pairs if (student, teacher) != pair]
    return f"{variant} (with {', '.join(rest)})" if rest else variant


def effect(runs: pd.DataFrame, variants: Sequence[str], baseline: str) -> dict[str, Any]:
    """Return `paired` of the mean of `variants` against the baseline, over the seeds that all of them have.

    And, under `each`, variant -> its own mean difference over these seeds.
    """
    top1 = runs.pivot(index="seed", columns="network", values="test_top1")[[*variants, baseline]].dropna().sort_index()
    each = {name: float((top1[name] - top1[baseline]).mean()) for name in variants}
    return {**paired(top1[list(variants)].mean(axis=1).to_numpy(), top1[baseline].to_numpy()), "each": each}


def recommend(row: dict[str, Any], comparisons: int) -> tuple[str, str]:
    """Return the recommendation of one pair and the evidence for it, by the rule above; `comparisons` in all."""
    if not row["variants"]:
        return UNKNOWN, "no variant aligns this pair"
    seeds = row["seeds"]
    alone = "" if row["alone"] else "; never aligned alone"
    if seeds == 0:
        return UNKNOWN, f"no seed that all of these variants and the baseline have{alone}"
    each = ", ".join(f"{name} {difference:+.2f}" for name, difference in row["each"].items())
    numbers = f"{each}: {row['effect']:+.2f} points over {seeds} seed{'s' * (seeds > 1)}"
    if not np.isnan(row["low"]):
        numbers += f" [{row['low']:+.2f}, {row['high']:+.2f}]"
    if seeds < FEWEST_SEEDS:
        return UNKNOWN, f"{numbers}; no test can reach 5 % with fewer than {FEWEST_SEEDS} seeds{alone}"
    if row["p_holm"] <= LEVEL:
        return ALIGN if row["effect"] > 0 else AVOID, f"{numbers}, sign-flip p {row['p_holm']:.2g} after Holm{alone}"
    if row["smallest_p_holm"] > LEVEL:
        needed = f"Holm over {comparisons} comparisons needs {seeds_needed(comparisons)} seeds to reach 5 %"
        return UNKNOWN, f"{numbers}; {needed}{alone}"
    if abs(row["effect"]) <= row["detectable_effect"]:
        return NO_EFFECT, f"{numbers}; {row['detectable_effect']:.2f} would be found with 80 % power{alone}"
    return UNKNOWN, f"{numbers}, sign-flip p {row['p_holm']:.2g} after Holm{alone}"


def table(
    runs: pd.DataFrame,
    pairs: Mapping[str, Sequence[Pair]],
    variants: Sequence[str],
    baseline: str,
    teacher: str,
    cka: pd.DataFrame,
    mismatch: pd.DataFrame | None,
) -> pd.DataFrame:
    """Return the rows of alignment.parquet, one a pair of blocks; `cka` and `mismatch` have rows of every pair.

    `pairs`: variant -> its pairs of blocks; only those of `variants` are compared to the baseline. Without `mismatch`
    its columns are NaN.
    """
    known = describe(cka, mismatch, baseline, teacher)
    aligned: dict[Pair, list[str]] = {}
    for variant in variants:
        for pair in pairs.get(variant, ()):
            aligned.setdefault((int(pair[0]), int(pair[1])), []).append(variant)
    for pair, names in aligned.items():
        aligned[pair] = [name for name in names if len(pairs[name]) == 1] or names
    # One comparison a set of variants: the pairs of a variant that has several share it.
    effects = {using: effect(runs, using, baseline) for using in dict.fromkeys(map(tuple, aligned.values()))}
    for found, p in zip(effects.values(), holm([found["p_sign_flip"] for found in effects.values()]), strict=True):
        found["p_holm"] = float(p)
        found["smallest_p_holm"] = min(1.0, len(effects) * found["smallest_p"]) if found["seeds"] else np.nan
    rows = []
    for student, teacher in sorted(known):
        pair = int(student), int(teacher)
        using = tuple(aligned.get(pair, ()))
        found = effects.get(using, {"seeds": 0})
        row = {
            "baseline": baseline,
            "student_block": pair[0],
            "teacher_block": pair[1],
            "cka_kind": "",
            **known[pair],
            "variants": ", ".join(name_of(name, pair, [tuple(p) for p in pairs[name]]) for name in using),
            "alone": any(len(pairs[name]) == 1 for name in using),
            **found,
            "effect": found.get("mean_difference", np.nan),
        }
        row["recommendation"], row["evidence"] = recommend(row, len(effects))
        rows.append(row)
    return pd.DataFrame(rows).reindex(columns=list(ALIGNMENT_COLUMNS))
