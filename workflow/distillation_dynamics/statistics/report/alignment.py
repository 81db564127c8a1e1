"""Which layers should be aligned? The section on pairs of blocks of student and teacher.

In: the frame of alignment.parquet. Out: Markdown.
"""

import pandas as pd

from ...files import Column
from ...markdown import markdown
from ..alignment import ALIGN, AVOID, NO_EFFECT, UNKNOWN
from ..thresholds import FEWEST_ROWS, FEWEST_SEEDS
from .words import NO_STUDENTS, listed, number, plural

PAIR_TABLE = {
    "student-teacher": Column("", ""),
    "variants": Column("", ""),
    "CKA": Column("", ""),
    "rank": Column("student / teacher", ""),
    "bandwidth": Column("student / teacher", ""),
    "effect": Column("points", ""),
    "seeds": Column("", ""),
    "recommendation": Column("", ""),
    "evidence": Column("", ""),
}
NEAREST_TABLE = {
    "student block": Column("", ""),
    "most similar teacher block": Column("", ""),
    "CKA": Column("", ""),
    "lowest CKA of the row": Column("", ""),
}


def section(alignment: pd.DataFrame, baseline: str | None, teacher: str | None) -> list[str]:
    """Return the paragraphs on pairs of blocks."""
    if baseline is None:
        return [NO_STUDENTS]
    if teacher is None:
        return ["**Cannot be asked: there is no teacher in this study.**"]
    if alignment.empty:
        return [f"**Cannot be asked: CKA of {baseline} with the teacher {teacher} was not measured.**"]
    tried = alignment[alignment["variants"].fillna("") != ""]
    measured = alignment[alignment["cka"].notna()]
    paragraphs = [f"**{answer(tried, len(alignment))}**"]
    if len(tried):
        rows = [
            {
                "student-teacher": f"{row['student_block']}-{row['teacher_block']}",
                "variants": row["variants"],
                "CKA": number(row["cka"]),
                "rank": f"{number(row['student_rank'], '.1f')} / {number(row['teacher_rank_reduced'], '.1f')}",
                "bandwidth": f"{number(row['student_bandwidth'])} / {number(row['teacher_bandwidth_reduced'])}",
                "effect": number(row["effect"], "+.2f"),
                "seeds": row["seeds"],
                "recommendation": row["recommendation"],
                "evidence": row["evidence"],
            }
            for row in tried.to_dict("records")
        ]
        paragraphs += [
            markdown(pd.DataFrame(rows), PAIR_TABLE),
            f"Rule: a recommendation needs {FEWEST_SEEDS} or more seeds shared by {baseline} and every variant that "
            "aligns the pair, and a sign-flip p <= .05 after Holm over all sets of variants that align a pair. Where "
            "the seeds could have reached 5 % and the effect is smaller than what they detect with 80 % power: "
            f"{NO_EFFECT}. Everything else: {UNKNOWN}. A variant with several pairs counts only for pairs that none "
            "aligns alone.",
        ]
    if measured.empty:
        return [*paragraphs, "No pair of blocks has a CKA: all rows of a block are alike."]
    rows = []
    for block, group in measured.groupby("student_block"):
        best = group.loc[group["cka"].idxmax()]
        rows.append(
            {
                "student block": block,
                "most similar teacher block": int(best["teacher_block"]),
                "CKA": number(best["cka"]),
                "lowest CKA of the row": number(group["cka"].min()),
            }
        )
    count = int(measured["cka_rows"].min())
    few = (
        f"It rests on {count:,} rows (n < {FEWEST_ROWS:,}): small differences mean nothing."
        if count < FEWEST_ROWS
        else f"It rests on {count:,} rows."
    )
    return [
        *paragraphs,
        f"Before any aligning: unbiased CKA of {baseline} with the teacher {teacher}, last epoch, mean over seeds. "
        f"{few} Similarity describes; it does not tell that aligning helps.",
        markdown(pd.DataFrame(rows), NEAREST_TABLE),
    ]


def answer(tried: pd.DataFrame, pairs: int) -> str:
    """Return the one-sentence answer on pairs of blocks."""
    if tried.empty:
        return f"Not enough evidence: no variant aligns any of the {plural(pairs, 'pair')} of blocks."
    seeds = sorted(set(tried["seeds"]))
    over = f"over {plural(seeds[0], 'seed')}" if len(seeds) == 1 else f"over {seeds[0]} to {seeds[-1]} seeds"
    texts = []
    for recommendation, phrase in ((ALIGN, "Align"), (AVOID, "Do not align"), (NO_EFFECT, "No effect found at")):
        rows = tried[tried["recommendation"] == recommendation]
        if len(rows):
            names = [f"{s}-{t}" for s, t in zip(rows["student_block"], rows["teacher_block"], strict=True)]
            texts.append(f"{phrase} {listed(names)}")
    unknown = int((tried["recommendation"] == UNKNOWN).sum())
    if not texts:
        return (
            f"Not enough evidence for any pair: {len(tried)} of {plural(pairs, 'pair')} (student-teacher, from 0) "
            f"{'was' if len(tried) == 1 else 'were'} tried, {over}."
        )
    rest = f"; not enough evidence at {unknown}" if unknown else ""
    return f"{'; '.join(texts)}{rest} (student-teacher, from 0; {len(tried)} of {plural(pairs, 'pair')} tried, {over})."
