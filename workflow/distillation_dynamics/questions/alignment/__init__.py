"""Similarity of student and teacher blocks before any alignment, and how much of it training created.

In: CKA of the baseline's students with the teacher, trained and untrained, and of the teacher with one that differs in
its seed; the pairs that variants align. Out: the rows of `alignment.parquet`, one a pair of
blocks, and of `nearest.parquet`, one a block of the student. They describe: what aligning did stands in `effects`.

Similarity is meaningful only in comparison with the untrained student (epoch 0 of the same seed), which also has a
nearest teacher block, and with the ceiling, the teacher of another seed. A teacher block stands out only if training
made the student's block more similar to it than to the teacher's other blocks.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ...files import Column
from ...spec.tables import Arm
from ...statistics import terms, westfall_young
from ...statistics.checkpoints import at_last_epoch
from ...statistics.evidence import Evidence
from ...statistics.paired import mean_of
from ...statistics.thresholds import FEWEST_SEEDS, LEVEL

TITLE = "Which layers should be aligned?"
PLACE = 80
FIGURES = ("alignment",)
SOURCES = ("effects", "nearest", "alignment")
DECIDES = (
    "an effect of each pair aligned alone, at a similar share of the loss; similarity before aligning decides nothing"
)
REQUIRES = ("students",)
READS = ("cka", "effects")
STANDS_OUT, NOT_SHOWN, TOO_FEW, NOT_COMPARED = (
    *("stands out", "not shown to stand out", "too few seeds for a test", "untrained student not compared"),
)
KEY = {
    "baseline": Column("", "variant whose students these are"),
    "student_block": Column("", "0-based block of the student"),
    "teacher_block": Column("", "0-based block of the teacher"),
}
CKA = "unbiased CKA of the baseline's last epoch with the teacher, mean over seeds; NaN where all rows are equal"
GAIN = {
    "gain": Column("", "CKA after training minus that of epoch 0 of the same seed, mean over seeds; NaN: not compared"),
    "gain_low": Column("", "lower end of its 95 % t interval over seeds; NaN with one seed or without spread"),
    "gain_high": Column("", "upper end of that interval"),
    "gain_seeds": Column("", "seeds with both epochs compared"),
    "ceiling": Column("", "CKA of the teacher's block with the same block of a teacher of another seed; NaN: none"),
}
ALIGNMENT_COLUMNS = {
    **KEY,
    "cka": Column("", CKA),
    "cka_kind": Column("", "what its rows are: tokens, or images where a pair has none; empty where CKA is NaN"),
    "cka_rows": Column("", "rows that it rests on; NaN where CKA is"),
    "cka_seeds": Column("", "seeds that it is the mean of"),
    "untrained_cka": Column("", "the same of epoch 0, before training"),
    **GAIN,
    "aligned_by": Column("", "variants that align it, with their other pairs; empty: untried"),
}
NEAREST_COLUMNS = {
    **KEY,
    "cka": Column("", f"the largest of the student's block: {CKA}"),
    "untrained_block": Column("", "0-based block of the teacher that the untrained one is most like; null: unknown"),
    "untrained_cka": Column("", "CKA with that block before training"),
    **GAIN,
    "contrast": Column(
        "",
        "gain at the teacher block that is nearest in the other seeds, minus the mean gain at the teacher's other "
        "blocks, mean over seeds; the other seeds choose, so that no block is favoured for its own noise",
    ),
    "contrast_low": Column("", "lower end of its 95 % t interval over seeds; NaN with one seed or without spread"),
    "contrast_high": Column("", "upper end of that interval"),
    "p_joint": Column("", "two-sided joint sign-flip p of the contrast, over all blocks of the student"),
    "verdict": Column("", f"{STANDS_OUT}, {NOT_SHOWN}, {TOO_FEW} or {NOT_COMPARED}"),
}
TABLES = {"alignment": ALIGNMENT_COLUMNS, "nearest": NEAREST_COLUMNS}
BLOCKS = ["block", "other_block"]


def tables(evidence: Evidence) -> dict[str, pd.DataFrame]:
    """Return alignment.parquet and nearest.parquet; empty if CKA was not measured."""
    names, tables = evidence.names, evidence.tables
    if "cka" not in tables:
        return {}
    parts: dict[str, list[pd.DataFrame]] = {"alignment": [], "nearest": []}
    for baseline in names.baselines.values():
        own = names.arms[baseline]
        # For others of the same student, their teacher's blocks are not comparable.
        listed = {name: terms for name, terms in evidence.terms.items() if _of(names.arms[name]) == _of(own)}
        found = likeness(tables["cka"], baseline, own.teacher)
        top = ceiling(tables["cka"], own.teacher, names.seeds, found.kind)
        parts["alignment"].append(table(found, top, listed, baseline))
        parts["nearest"].append(nearest(found, top, baseline))
    return {name: pd.concat(own, ignore_index=True) if len(own) > 1 else own[0] for name, own in parts.items()}


def _of(arm: Arm) -> tuple[str, str]:
    return arm.student, arm.teacher


@dataclass(frozen=True)
class Likeness:
    """CKA of the baseline's students with the teacher: one row per seed, one column per pair of blocks, after and
    before.

    `kind`: what its rows are, tokens if all pairs have them, otherwise images, so that all pairs are comparable.
    """

    trained: pd.DataFrame
    untrained: pd.DataFrame
    kind: str
    rows: pd.Series

    @property
    def gain(self) -> pd.DataFrame:
        """CKA after training minus before, for seeds with both."""
        seeds = self.trained.index.intersection(self.untrained.index)
        return self.trained.loc[seeds] - self.untrained.reindex(columns=self.trained.columns).loc[seeds]


def at_epoch(table: pd.DataFrame, network: str, other: str, last: bool = True) -> pd.DataFrame:
    """Return the rows comparing two networks: those of the last epoch of each seed, or of epoch 0."""
    table = table[(table["network"] == network) & (table["other"] == other)]
    return table[at_last_epoch(table, "seed") if last else table["epoch"] == 0]


def likeness(cka: pd.DataFrame, baseline: str, teacher: str) -> Likeness:
    """Return the similarity of the baseline's students and the teacher."""
    last = at_epoch(cka, baseline, teacher)
    # An untrained student is not compared with itself.
    last, first = last[last["epoch"] > 0], at_epoch(cka, baseline, teacher, last=False)
    by_token = bool((last["cka_tokens"].notna() | last["cka_images"].isna()).all())
    column = "cka_tokens" if by_token else "cka_images"
    trained, untrained = (
        rows.pivot(index="seed", columns=BLOCKS, values=column).sort_index(axis=0).sort_index(axis=1)
        for rows in (last, first)
    )
    count = last["images"] * (last["tokens_per_image"] if by_token else 1)
    rows = count.groupby([last[name] for name in BLOCKS]).min()
    return Likeness(trained, untrained, "tokens" if by_token else "images", rows)


def ceiling(cka: pd.DataFrame, teacher: str, seeds: Iterable[Sequence[str]], kind: str) -> dict[int, float]:
    """Return teacher block -> CKA with the same block of a teacher of another seed, averaged; empty without one.

    `seeds`: networks that differ only in their seed.
    """
    twins = {name for same in seeds if teacher in same for name in same} - {teacher}
    found = [at_epoch(cka, *pair) for twin in sorted(twins) for pair in ((teacher, twin), (twin, teacher))]
    rows = pd.concat(found) if found else cka.iloc[:0]
    rows = rows[rows["block"] == rows["other_block"]]
    return rows.groupby("block")[f"cka_{kind}"].mean().to_dict()


def _gain_of(values: pd.Series) -> dict[str, Any]:
    known = values.dropna().to_numpy()
    return mean_of(known, "gain", "gain_") | {"gain_seeds": len(known)}


def table(
    found: Likeness,
    top: Mapping[int, float],
    listed: Mapping[str, terms.Terms],
    baseline: str,
) -> pd.DataFrame:
    """Return the rows of alignment.parquet, one per compared pair of blocks.

    `top`: the ceiling by teacher block; `listed`: variant -> its terms.
    """
    gains, rows = found.gain, []
    for student, theirs in found.trained.columns:
        pair = int(student), int(theirs)
        cka = found.trained[pair].dropna()
        row = {"baseline": baseline, "student_block": pair[0], "teacher_block": pair[1], "cka_kind": ""}
        if len(cka):
            row |= {"cka": float(cka.mean()), "cka_kind": found.kind, "cka_rows": float(found.rows[pair])}
        before = found.untrained[pair].mean() if pair in found.untrained else np.nan
        row |= {"cka_seeds": len(cka), "untrained_cka": float(before), "ceiling": top.get(pair[1], np.nan)}
        row |= _gain_of(gains[pair])
        rows.append(row | {"aligned_by": aligned_by(pair, listed)})
    return pd.DataFrame(rows).reindex(columns=list(ALIGNMENT_COLUMNS))


def aligned_by(pair: terms.Pair, listed: Mapping[str, terms.Terms]) -> str:
    """Return 'last, last2 (with 0-2)': the variants that align a pair, and the other pairs they align."""
    texts = []
    for variant, own in listed.items():
        pairs = sorted({one for term in own for one in term.pairs})
        if pair in pairs:
            rest = terms.named([one for one in pairs if one != pair])
            texts.append(f"{variant} (with {rest})" if rest else variant)
    return ", ".join(texts)


def nearest(found: Likeness, top: Mapping[int, float], baseline: str) -> pd.DataFrame:
    """Return the rows of nearest.parquet, one per block of the student with a CKA."""
    gains, rows, contrasts = found.gain, [], {}
    trained = found.trained.mean()
    for block in found.trained.columns.unique("block"):
        if trained[block].notna().any():
            at = int(trained[block].idxmax())
            before = found.untrained[block].mean() if block in found.untrained else pd.Series(dtype=float)
            known = before.notna().any()
            row: dict[str, Any] = {"baseline": baseline, "student_block": int(block), "teacher_block": at}
            row |= {"cka": float(trained[block][at]), "ceiling": top.get(at, np.nan)}
            row |= {"untrained_block": int(before.idxmax()) if known else None}
            row |= {"untrained_cka": float(before.max()) if known else np.nan}
            rows.append(row | _gain_of(gains[block][at]))
            contrasts[int(block)] = _contrast(found.trained.loc[gains.index, block], gains[block])
    p = westfall_young.test(pd.DataFrame(contrasts), effects=False)["p_joint"] if contrasts else {}
    for row in rows:
        values = contrasts[row["student_block"]].dropna().to_numpy()
        row |= mean_of(values, "contrast", "contrast_") | {"p_joint": p[row["student_block"]]}
        row |= {"verdict": _verdict(row, len(values))}
    return pd.DataFrame(rows, columns=list(NEAREST_COLUMNS)).astype({"untrained_block": "Int64"})


def _contrast(trained: pd.DataFrame, gains: pd.DataFrame) -> pd.Series:
    """Return, by seed, the gain at the block nearest in the other seeds minus the mean gain at all other blocks.

    Both have one row per seed and one column per teacher block; NaN with one seed or one teacher block.
    """
    values = {}
    for seed in gains.index:
        others = trained.drop(index=seed).mean()
        at = others.idxmax() if others.notna().any() else None
        values[seed] = np.nan if at is None else gains.loc[seed, at] - gains.loc[seed].drop(at).mean()
    return pd.Series(values, dtype=float)


def _verdict(row: Mapping[str, Any], seeds: int) -> str:
    if row["gain_seeds"] == 0:
        return NOT_COMPARED
    if seeds < FEWEST_SEEDS:
        return TOO_FEW
    return STANDS_OUT if row["p_joint"] <= LEVEL and row["contrast"] > 0 and row["gain"] > 0 else NOT_SHOWN
