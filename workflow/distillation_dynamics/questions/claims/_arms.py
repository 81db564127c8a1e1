"""The variants a claim on students concerns: those that align first or last blocks, their doses and controls.

In: the evidence. Out: variants by name. An arm with a null target is not a comparison of a claim, but the control of
the variant that is otherwise equal.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from ...spec.training import TEACHER, TermSpec
from ...statistics import terms
from ...statistics.evidence import Evidence
from ...statistics.thresholds import LIKE_DOSE
from ..published.runs import places

FIRST, LAST = "first", "last"
# Targets without information from the teacher on the image; a permuted teacher still is the teacher.
NULL_TARGETS = "zero", "shuffled", "untrained"


def aligned_terms(evidence: Evidence, variant: str) -> list[TermSpec]:
    """Return the terms of a variant that align blocks with the teacher's."""
    return [term for term in evidence.terms[variant] if term.pairs and term.target == TEACHER]


def aligning(evidence: Evidence, place: str) -> dict[str, TermSpec]:
    """Return variant -> its only term with pairs, if all pairs are at `place`: the first blocks, or the last n."""
    found: dict[str, TermSpec] = {}
    if evidence.setting is None:
        return found
    for variant, arm in evidence.setting.arms.items():
        aligned = [term for term in arm.terms if term.pairs]
        if len(aligned) == 1 and aligned[0].target == TEACHER and variant in evidence.names.against:
            where = places(aligned, arm.blocks)[aligned[0].objective]
            at_end = (LAST, 0, 0) in where and (FIRST,) not in where
            if where == {(FIRST,)} if place == FIRST else at_end:
                found[variant] = aligned[0]
    return found


def nulls_of(evidence: Evidence, variant: str) -> list[str]:
    """Return the arms that equal a variant except for a null target."""
    own, listed = evidence.names.arms, evidence.terms
    return [
        other
        for other in listed
        if (own[other].student, own[other].teacher) == (own[variant].student, own[variant].teacher)
        if {term.target for term in listed[other]} <= {TEACHER, *NULL_TARGETS}
        if terms.is_control(listed[other], listed[variant])
    ]


def differences(evidence: Evidence) -> pd.DataFrame:
    """Return test top-1 minus the baseline's in points, from differences.parquet: one row per seed, one column per
    variant.
    """
    rows = evidence.read("differences", "variant", "seed", "difference")
    return rows.pivot(index="seed", columns="variant", values="difference").sort_index()


def shares(evidence: Evidence, variants: Iterable[str]) -> pd.DataFrame:
    """Return the doses of variants: shares of the gradients and of the loss, 0 to 1; NaN if not measured.

    `gradients`: the given share of a term, otherwise that of epoch 1 in doses.parquet; `loss`: that of epoch 1 in
    effects.parquet.
    """
    loss = evidence.read("effects", "variant", "share_first").groupby("variant")["share_first"].sum(min_count=1)
    rows = evidence.read("doses", "variant", "pairs", "epoch", "gradient_share")
    rows = rows[(rows["pairs"] != "") & (rows["epoch"] == 1)]
    gradients = rows.groupby("variant")["gradient_share"].sum(min_count=1)
    found = pd.DataFrame(index=list(variants), columns=["gradients", "loss"], dtype=float)
    for name in found.index:
        given = [term.gradient_share for term in aligned_terms(evidence, name) if term.gradient_share is not None]
        found.loc[name] = [sum(given) if given else gradients.get(name, np.nan), loss.get(name, np.nan)]
    return found


def measure_of(doses: pd.DataFrame) -> str | None:
    """Return the share by which these variants are comparable: `gradients`, or `loss`; None: neither."""
    return next((name for name in doses if len(doses) and doses[name].notna().all()), None)


def alike(doses: pd.DataFrame, one: str, other: str) -> bool | None:
    """Return whether two variants have one dose; None if they have no share in common."""
    both = doses.loc[[one, other]]
    name = measure_of(both)
    return None if name is None else bool(both[name].max() <= LIKE_DOSE * both[name].min())


def dose_said(doses: pd.DataFrame, variant: str) -> str:
    """Return '5 % of the gradients', or '8 % of the loss'; "" if unknown."""
    name = measure_of(doses.loc[[variant]])
    return "" if name is None else f"{100 * doses.loc[variant, name]:.0f} % of the {name}"
