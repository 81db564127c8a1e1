"""Effect of each variant that aligns blocks, by objective, pairs and dose.

In: the rows of variants.parquet, the terms of each variant, the shares of the loss. Out: the rows of `effects.parquet`,
one per term with pairs of a variant. A comparison is one variant: effects are not averaged over objectives, pairs or
doses, and a pair aligned only together with others has no effect of its own. The test is that of all variants.
"""

from collections.abc import Mapping

import pandas as pd

from ...files import Column
from ...statistics import terms, westfall_young
from ...statistics.keys import HIGH, JOINT, LOW, PAIR, SEEDS

HELPS, HARMS, NO_EFFECT, UNKNOWN = "helps", "harms", "no effect found", "too few seeds for a test"
MIXED = "not of this term alone"
WORDS = {westfall_young.BETTER: HELPS, westfall_young.WORSE: HARMS, westfall_young.NOT_FOUND: NO_EFFECT}
# Facts on a term with pairs.
TERM = {
    "objective": Column("", "objective that aligns"),
    "options": Column("", "its options; empty where it has none"),
    "pairs": Column("", "pairs of blocks that it aligns, student-teacher, from 0"),
}
SHARE = "share of the loss that the term has in epoch 1, mean over updates and seeds; NaN: not measured"
EFFECT_COLUMNS = {
    **PAIR,
    **TERM,
    "weight": Column("", "weight of the term; NaN where it was given a share of the loss instead"),
    "share_first": Column("", SHARE),
    "share_all": Column("", "the same over all epochs"),
    "seeds": SEEDS,
    "mean_difference": Column("points", "effect: mean over seeds of the paired difference in test top-1"),
    "low": LOW,
    "high": HIGH,
    **JOINT,
    "alone": Column("", "whether this term is all by which the variant differs from the baseline"),
    "verdict": Column("", f"{HELPS}, {HARMS}, {NO_EFFECT}, {UNKNOWN}, or {MIXED}"),
}


def effects_of(
    variants: pd.DataFrame,
    listed: Mapping[str, terms.Terms],
    shares: Mapping[tuple[str, str], Mapping[str, float]],
) -> pd.DataFrame:
    """Return the rows of effects.parquet from those of variants.parquet; `listed`: variant -> its terms.

    NO_EFFECT does not prove absence: the interval gives the largest possible effect.
    """
    rows = []
    for one in variants.to_dict("records"):
        variant = one["variant"]
        only = terms.added(listed[variant], listed[one["baseline"]])
        for term in (term for term in listed[variant] if term.pairs):
            row = one | shares.get((variant, term.name), {}) | {"objective": term.objective, "alone": term is only}
            row |= {"options": terms.options_of(term), "pairs": terms.named(term.pairs)}
            row |= {"weight": float("nan") if term.weight is None else term.weight}
            verdict = WORDS.get(westfall_young.decision(one), UNKNOWN) if row["alone"] else MIXED
            rows.append(row | {"verdict": verdict})
    return pd.DataFrame(rows).reindex(columns=list(EFFECT_COLUMNS))
