"""Whether the place of alignment or its share of the loss matters: contrasts of place and dose between variants.

In: test top-1 by seed, the terms of each variant, the shares of the loss. Out: the rows of `dose_and_place.parquet`.

Included are variants that differ from the baseline only in one term with pairs. Two variants with the same objective
and options differ only in place if they align different pairs, equal in number, at shares of the loss (epoch 1) within
a factor of 1.5 of each other; they differ only in dose if they align the same pairs at shares further apart. Two that
share only their weight differ in both and decide neither: they are listed, not tested. Contrasts of place and of dose
form one family of joint sign flips.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from ...files import Column
from ...spec.training import TermSpec
from ...statistics import terms, westfall_young
from ...statistics.evidence import Evidence
from ...statistics.keys import HIGH, JOINT, LOW
from ...statistics.paired import by_seed, paired
from ...statistics.thresholds import LIKE_DOSE
from ...statistics.westfall_young import BETTER, WORSE
from .doses import DOSE_BY_EPOCH_COLUMNS, doses_of
from .effects import EFFECT_COLUMNS, SHARE, TERM, effects_of

TITLE = "Dose and place"
PLACE = 70
FIGURES = ("terms", "effects")
SOURCES = ("dose_and_place", "effects", "doses")
DECIDES = "the same places at several shares of the loss, and several places at one share, over the same seeds"
REQUIRES = ("students",)
READS = ("runs", "terms", "term_gradients", "variants")
OF_PLACE, OF_DOSE, OF_BOTH = "place", "dose", "place and dose"
TOO_FEW, MIXED = "too few seeds for a test", "place and dose differ"
WORDS = {
    westfall_young.NOT_FOUND: "no difference found",
    westfall_young.UNTESTED: TOO_FEW,
}
DOSE_COLUMNS = {
    "baseline": Column("", "variant that both differ from in one term"),
    "objective": TERM["objective"],
    "options": TERM["options"],
    "contrast": Column("", f"{OF_PLACE}, {OF_DOSE} or {OF_BOTH}: what the two variants differ in"),
    "variant": Column("", "variant with the later pairs; of a contrast of dose the one with the larger share"),
    "other": Column("", "variant that is subtracted"),
    "pairs": TERM["pairs"],
    "other_pairs": Column("", "pairs that the other aligns"),
    "weight": Column("", "weight of the variant's term; NaN where it was given a share of the loss instead"),
    "other_weight": Column("", "the same of the other's"),
    "share": Column("", SHARE),
    "other_share": Column("", "the same of the other's term"),
    "level": Column(
        "", "smaller, middle or larger: place of the shares among contrasts of the same pairs; empty: alone"
    ),
    "seeds": Column("", "seeds that both have"),
    "mean_difference": Column("points", "mean over seeds of the paired difference in test top-1, variant minus other"),
    "low": LOW,
    "high": HIGH,
    **JOINT,
    "verdict": Column("", f"{BETTER}, {WORSE}, {', '.join(WORDS.values())}, or {MIXED}"),
}

TABLES = {"effects": EFFECT_COLUMNS, "dose_and_place": DOSE_COLUMNS, "doses": DOSE_BY_EPOCH_COLUMNS}


def tables(evidence: Evidence) -> dict[str, pd.DataFrame]:
    """Return effects.parquet, dose_and_place.parquet and doses.parquet."""
    listed, shares = evidence.terms, terms.shares(evidence.tables.get("terms"))
    against = evidence.names.against
    return {
        "effects": effects_of(evidence.tables["variants"], listed, shares),
        "dose_and_place": table(by_seed(evidence.tables["runs"], against), members(listed, shares, against)),
        "doses": doses_of(listed, evidence.tables.get("terms"), evidence.tables.get("term_gradients")),
    }


@dataclass(frozen=True)
class Member:
    """A variant that differs from its baseline in one term with pairs; `share`: of the loss in epoch 1."""

    variant: str
    baseline: str
    term: TermSpec
    share: float

    @property
    def kind(self) -> tuple[str, str, str]:
        """Baseline, objective and options: only members with the same kind are compared."""
        return self.baseline, self.term.objective, terms.options_of(self.term)

    @property
    def depth(self) -> tuple[float, float]:
        """Mean block of the teacher, then of the student: larger means later alignment."""
        students, teachers = np.transpose(self.term.pairs)
        return float(teachers.mean()), float(students.mean())


def members(
    listed: Mapping[str, terms.Terms],
    shares: Mapping[tuple[str, str], Mapping[str, float]],
    against: Mapping[str, str],
) -> list[Member]:
    """Return the variants that differ from their baseline (`against`) only in one term with pairs."""
    return [
        Member(variant, baseline, term, shares.get((variant, term.name), {}).get("share_first", np.nan))
        for variant, baseline in against.items()
        if (term := terms.added(listed[variant], listed[baseline])) is not None
    ]


def contrasts(found: Sequence[Member]) -> Iterator[tuple[str, Member, Member]]:
    """Yield the difference of two members, the later or larger one, and the other; none for unknown shares."""
    known = [one for one in found if one.share > 0]
    for first, second in combinations(sorted(known, key=lambda one: one.kind), 2):
        if first.kind != second.kind or len(first.term.pairs) != len(second.term.pairs):
            continue
        low, high = sorted((first, second), key=lambda one: one.share)
        early, late = sorted((first, second), key=lambda one: one.depth)
        like = high.share <= LIKE_DOSE * low.share
        if sorted(first.term.pairs) == sorted(second.term.pairs):
            if not like:
                yield OF_DOSE, high, low
        elif like:
            yield OF_PLACE, late, early
        elif terms.dose_of(first.term) == terms.dose_of(second.term):
            yield OF_BOTH, late, early


def table(top1: pd.DataFrame, found: Sequence[Member]) -> pd.DataFrame:
    """Return the rows of dose_and_place.parquet; `top1` has one row per seed and one column per variant, NaN if not
    run.

    `top1` may be relative to any common level of a seed and baseline (that of the baseline).
    """
    listed = list(contrasts(found))
    values = {number: top1[one.variant] - top1[other.variant] for number, (_, one, other) in enumerate(listed)}
    alone = [number for number in values if listed[number][0] != OF_BOTH]
    tested = westfall_young.test(pd.DataFrame({number: values[number] for number in alone}, index=top1.index))
    rows = []
    for number, (contrast, one, other) in enumerate(listed):
        row = {
            **dict(zip(("baseline", "objective", "options"), one.kind, strict=True)),
            "contrast": contrast,
            **_sides(one, other),
            **paired(values[number].dropna().to_numpy()),
        }
        if contrast == OF_BOTH:
            row |= {"joint_seeds": 0, "joint_comparisons": 0, "verdict": MIXED}
        else:
            row |= tested.loc[number].to_dict()
            decided = westfall_young.decision(row)
            row["verdict"] = WORDS.get(decided, decided)
        rows.append(row)
    return _with_levels(pd.DataFrame(rows).reindex(columns=list(DOSE_COLUMNS)))


def _sides(one: Member, other: Member) -> dict[str, Any]:
    sides: dict[str, Any] = {}
    for start, side in (("", one), ("other_", other)):
        sides |= {f"{start}pairs": terms.named(side.term.pairs), f"{start}share": side.share}
        sides[f"{start}weight"] = np.nan if side.term.weight is None else side.term.weight
    return sides | {"variant": one.variant, "other": other.variant}


def _with_levels(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with the levels of contrasts of place: for the same pairs, the smallest shares are "smaller"."""
    table["level"] = ""
    place = table[table["contrast"] == OF_PLACE]
    for _, group in place.groupby(["baseline", "objective", "options", "pairs", "other_pairs"]):
        order = (group["share"] * group["other_share"]).sort_values(kind="stable").index
        if len(order) > 1:
            table.loc[order, "level"] = "middle"
            table.loc[[order[0], order[-1]], "level"] = ["smaller", "larger"]
    return table
