"""Claims on students: what aligning the first or the last blocks does to accuracy.

In: the evidence. Out: a finding a claim. Effects are paired differences to the baseline over seeds in test top-1. A
claim on all variants of a kind needs each of them, so that their intervals are not adjusted.
"""

import numpy as np
import pandas as pd

from ...spec.training import TermSpec
from ...statistics.evidence import Evidence
from ...statistics.thresholds import LIKE_DOSE, NEUTRAL
from ..published.runs import places
from .finding import (
    CONTRADICTED,
    NO_CONTROL,
    SUPPORTED,
    UNDECIDED,
    Finding,
    mean_interval,
    mean_with_interval,
    untestable,
)

FIRST, LAST = "first", "last"
NO_HARM, ALL_NEUTRAL = f"no harm of {NEUTRAL} points or more", f"all above -{NEUTRAL} points"
NO_VARIANT = {place: f"no variant aligns the {place} block{'s' * (place == LAST)} alone" for place in (FIRST, LAST)}


def aligning(evidence: Evidence, place: str) -> dict[str, TermSpec]:
    """Return variant -> its one term with pairs, where all pairs are at `place`: the first blocks, or the last n."""
    found: dict[str, TermSpec] = {}
    if evidence.setting is None:
        return found
    for variant, arm in evidence.setting.arms.items():
        aligned = [term for term in arm.terms if term.pairs]
        if len(aligned) == 1 and variant in evidence.names.against:
            where = places(aligned, arm.blocks)[aligned[0].objective]
            at_end = (LAST, 0, 0) in where and (FIRST,) not in where
            if where == {(FIRST,)} if place == FIRST else at_end:
                found[variant] = aligned[0]
    return found


def effects(evidence: Evidence, variants: dict[str, TermSpec]) -> pd.DataFrame:
    """Return the rows of these variants with an interval, by variant, with the share of the loss of their term.

    Reads `variant`, `seeds`, `mean_difference`, `low` and `high` of variants.parquet, and `variant` and `share_first`
    (of the loss in epoch 1, 0 to 1) of effects.parquet; NaN where that is not there.
    """
    rows = evidence.read("variants", "variant", "seeds", "mean_difference", "low", "high").set_index("variant")
    rows = rows[rows.index.isin(list(variants)) & rows["low"].notna()]
    shares = evidence.read("effects", "variant", "share_first").groupby("variant")["share_first"].sum(min_count=1)
    return rows.assign(share=shares.reindex(rows.index), objective=[variants[name].name for name in rows.index])


def listed(rows: pd.DataFrame) -> str:
    """Return each variant with its effect in points, its interval, seeds and share."""
    return "; ".join(
        f"{name} {mean_with_interval(row['mean_difference'], row['low'], row['high'])} points, {row['seeds']:.0f} seeds"
        + ("" if np.isnan(row["share"]) else f", {100 * row['share']:.0f} % of the loss")
        for name, row in rows.iterrows()
    )


def _at_matched_shares(evidence: Evidence, place: str) -> Finding:
    """Decide on the variants of a place that have one of the other place with the same objective and a like share.

    Claim F: of the last blocks all do harm, of the first none does.
    """
    own, other = (effects(evidence, aligning(evidence, at)) for at in (place, LAST if place == FIRST else FIRST))
    if own.empty:
        return untestable(NO_VARIANT[place] if not aligning(evidence, place) else "one seed has no interval")
    number = listed(own)
    if own["share"].isna().all():
        return untestable("its share of the loss was not measured, so that dose and place are not apart", number)
    matched = [
        any(
            max(row["share"], one["share"]) <= LIKE_DOSE * min(row["share"], one["share"])
            for one in other.to_dict("records")
            if one["objective"] == row["objective"]
        )
        for row in own.to_dict("records")
    ]
    if not any(matched):
        return untestable("no variant aligns the other place at a like share of the loss", number, listed(other))
    rows, control = own[matched], f"{listed(other)}; null targets (untrained teacher, shuffled images): {NO_CONTROL}"
    cases = [
        ((rows["high"] < 0).all(), "every interval at a like share lies below 0", "all below 0"),
        ((rows["low"] > -NEUTRAL).all(), f"{NO_HARM} at a like share: every interval lies above", ALL_NEUTRAL),
    ]
    cases = cases if place == LAST else cases[::-1]
    for verdict, (holds, why, _) in zip((SUPPORTED, CONTRADICTED), cases, strict=True):
        if holds:
            return Finding(verdict, listed(rows), control, why)
    why = f"intervals at a like share lie neither {cases[0][2]} nor {cases[1][2]}"
    return Finding(UNDECIDED, listed(rows), control, why)


def last(evidence: Evidence) -> Finding:
    """Claim F on the last blocks."""
    return _at_matched_shares(evidence, LAST)


def first(evidence: Evidence) -> Finding:
    """Claim F on the first block."""
    return _at_matched_shares(evidence, FIRST)


def weight(evidence: Evidence) -> Finding:
    """Claim G, for each objective and set of pairs at the end that several weights (or shares) have.

    Reads `variant`, `seed` and `difference` of differences.parquet beside what `effects` reads.
    """
    terms = aligning(evidence, LAST)
    rows = effects(evidence, terms)
    # Shares where all are known: weights and shares cannot be ordered together.
    known = rows["share"].notna().all()
    rows = rows.assign(dose=rows["share"] if known else [terms[name].weight for name in rows.index])
    groups: dict[tuple, list[str]] = {}
    for name in rows.index:
        key = evidence.names.baseline_of(name), terms[name].objective, tuple(sorted(terms[name].pairs))
        groups.setdefault(key, []).append(name)
    together = [rows.loc[names].sort_values("dose") for names in groups.values()]
    several = [own for own in together if own["dose"].nunique() > 1]
    if not several:
        return untestable("no objective aligns the same last blocks at two weights with an interval", listed(rows))
    differences = evidence.read("differences", "variant", "seed", "difference")
    by_seed = differences.pivot(index="seed", columns="variant", values="difference")
    states, repairs = [], []
    for own in several:
        low, high = own.iloc[0], own.iloc[-1]
        repair = by_seed.reindex(columns=[high.name, low.name]).diff(axis=1)[low.name].dropna().to_numpy()
        gained = mean_interval(repair) if len(repair) else (np.nan,) * 3
        repairs.append(f"{low.name} less {high.name}: {mean_with_interval(*gained)} points")
        if high["high"] >= 0:
            states.append("harmless")
        elif low["high"] < 0:
            states.append(SUPPORTED)
        else:
            states.append(CONTRADICTED if gained[1] > 0 and low["low"] > -NEUTRAL else UNDECIDED)
    number = "; ".join(listed(own) for own in several)
    harmful = [state for state in states if state != "harmless"]
    if not harmful:
        return untestable("at the largest weight no interval lies below 0: there is nothing to repair", number)
    verdict = harmful[0] if len(set(harmful)) == 1 else UNDECIDED
    why = {
        SUPPORTED: "the interval at the smallest weight lies below 0 too",
        CONTRADICTED: f"at the smallest weight {NO_HARM} is left, and the gain is certain",
        UNDECIDED: "the interval at the smallest weight is not below 0, and the repair or its size is not certain",
    }
    said = why[verdict] if len(set(harmful)) == 1 else f"the sets of variants differ: {', '.join(harmful)}"
    return Finding(verdict, number, "; ".join(repairs), said)


def by_level(evidence: Evidence, levels: pd.Series) -> pd.DataFrame:
    """Return the effects of aligning the last blocks with the level (a width, a length) of each, ascending.

    `levels` by variant; only variants whose baseline has the same level count. Reads `baseline` of variants.parquet.
    """
    rows = effects(evidence, aligning(evidence, LAST))
    baselines = evidence.read("variants", "variant", "baseline").set_index("variant")["baseline"].reindex(rows.index)
    rows = rows.assign(level=levels.reindex(rows.index))
    return rows[rows["level"].eq(baselines.map(levels))].sort_values("level")


def width(evidence: Evidence) -> Finding:
    """Claim E, by the channels of the students' last block.

    Reads `channels` and `pca_rank_95` (directions that hold 95 % of a token's energy) of depth.parquet.
    """
    depth = evidence.depth("channels", "pca_rank_95").sort_values("block").groupby("network").last()
    rows = by_level(evidence, depth["channels"])
    control = NO_CONTROL
    teachers = dict.fromkeys(evidence.names.arms[name].teacher for name in rows.index)
    needs = depth["pca_rank_95"].reindex([name for name in teachers if name in depth.index])
    if len(needs):
        which = {name: f" ({name})" * (len(needs) > 1) for name in needs.index}
        texts = [f"{need:.0f}{which[name]}" for name, need in needs.items()]
        control = f"teacher's last block: {', '.join(texts)} directions, students have {_range(rows['level'])} channels"
        if needs.max() <= rows["level"].min():
            return untestable("the teacher's last block needs no more directions than the students have", "", control)
    if rows["level"].nunique() < 2:
        return untestable("students of one width; it takes several, each with its baseline", listed(rows), control)
    narrow, wide = (rows[rows["level"] == end] for end in (rows["level"].min(), rows["level"].max()))
    if narrow["high"].max() < wide["low"].min():
        return Finding(SUPPORTED, listed(rows), control, "it costs the narrowest student more: intervals apart")
    if narrow["low"].min() > wide["high"].max():
        return Finding(CONTRADICTED, listed(rows), control, "it costs the widest student more: intervals apart")
    return Finding(UNDECIDED, listed(rows), control, "intervals of narrowest and widest student are not all apart")


def _range(values: pd.Series) -> str:
    return " to ".join(dict.fromkeys(f"{end:.0f}" for end in (values.min(), values.max())))


def length(evidence: Evidence) -> Finding:
    """Claim H. Reads `network` and `epochs` of runs.parquet."""
    runs = evidence.read("runs", "network", "epochs").drop_duplicates("network").set_index("network")["epochs"]
    rows = by_level(evidence, runs)
    if rows["level"].nunique() < 2:
        return untestable("schedules of one length; it takes two, each with its baseline", listed(rows))
    long = rows[rows["level"] == rows["level"].max()]
    control = f"shorter: {listed(rows.drop(long.index))}"
    if (long["high"] < 0).all():
        return Finding(SUPPORTED, listed(long), control, "every interval of the longest schedule lies below 0")
    if (long["low"] > -NEUTRAL).all():
        return Finding(CONTRADICTED, listed(long), control, f"{NO_HARM} is left")
    why = f"intervals of the longest schedule lie neither all below 0 nor {ALL_NEUTRAL}"
    return Finding(UNDECIDED, listed(long), control, why)


def convolution(evidence: Evidence) -> Finding:
    """Return what the study says of students with and without attention: all of its students are of one kind."""
    variants = evidence.names.variants
    number = listed(effects(evidence, aligning(evidence, FIRST) | aligning(evidence, LAST)))
    kinds = {evidence.with_attention(name) for name in variants}
    if not variants:
        return untestable("there are no students in this study")
    if kinds == {True}:
        return untestable("all students have attention: none is convolutional", number)
    why = "no student has attention" if kinds == {False} else "whether students have attention is not known"
    return untestable(why, number)
