"""What did aligning do, and how alike are the blocks before it? The section on pairs of blocks.

In: the frames of effects.parquet, alignment.parquet and nearest.parquet. Out: Markdown.
"""

import pandas as pd

from ...files import Column
from ...markdown import markdown
from ..alignment import NOT_COMPARED, STANDS_OUT, TOO_FEW
from ..effects import HARMS, HELPS, MIXED, NO_EFFECT, UNKNOWN
from ..thresholds import FEWEST_ROWS, FEWEST_SEEDS
from .words import NO_STUDENTS, listed, number, over, plural, with_interval

EFFECT_TABLE = {
    "variant": Column("", ""),
    "objective": Column("", ""),
    "pairs": Column("student-teacher", ""),
    "weight": Column("", ""),
    "share of the loss": Column("% in epoch 1, in all", ""),
    "effect": Column("points", ""),
    "seeds": Column("", ""),
    "p": Column("joint sign flips", ""),
    "detectable": Column("points", ""),
    "verdict": Column("", ""),
}
NEAREST_TABLE = {
    "student block": Column("", ""),
    "nearest teacher block": Column("", ""),
    "CKA": Column("", ""),
    "nearest before training": Column("", ""),
    "CKA before": Column("", ""),
    "gain at the nearest": Column("", ""),
    "gain above the other blocks'": Column("", ""),
    "seeds": Column("", ""),
    "p": Column("joint sign flips", ""),
    "ceiling": Column("", ""),
    "verdict": Column("", ""),
}
PAIR_TABLE = {
    "student-teacher": Column("", ""),
    "CKA": Column("", ""),
    "CKA before": Column("", ""),
    "gain": Column("", ""),
    "rank": Column("student / teacher", ""),
    "bandwidth": Column("student / teacher", ""),
    "aligned by": Column("", ""),
}


def section(tables: dict[str, pd.DataFrame], baseline: str | None, teacher: str | None) -> list[str]:
    """Return the paragraphs on pairs of blocks, from the frames effects, alignment and nearest."""
    if baseline is None:
        return [NO_STUDENTS]
    if teacher is None:
        return ["**Cannot be asked: there is no teacher in this study.**"]
    effects = tables["effects"]
    paragraphs = [f"**{answer(effects, baseline)}**"]
    if len(effects):
        paragraphs += [
            markdown(effect_table(effects), EFFECT_TABLE),
            f"Effect: difference to {baseline} in test top-1 of the variant as a whole, paired by seed; test and p are "
            "those of all variants above. No effect is averaged over objectives, pairs or doses; pairs that were only "
            f"aligned together have none of their own. A verdict needs {FEWEST_SEEDS} seeds and p <= .05; {NO_EFFECT}: "
            f"smaller than what the test finds with 80 % power; {MIXED}: the variant differs from {baseline} in "
            "something else, too.",
        ]
    return [*paragraphs, *likeness(tables["alignment"], tables["nearest"], baseline, teacher)]


def effect_table(effects: pd.DataFrame) -> pd.DataFrame:
    """Return a row a term with pairs."""
    return pd.DataFrame(
        {
            "variant": row["variant"],
            "objective": row["objective"] + (f" ({row['options']})" if row["options"] else ""),
            "pairs": row["pairs"],
            "weight": number(row["weight"], "g"),
            "share of the loss": " / ".join(number(100 * row[name], ".2g") for name in ("share_first", "share_all")),
            "effect": with_interval(row["mean_difference"], row["low"], row["high"], "+"),
            "seeds": row["seeds"],
            "p": number(row["p_joint"], ".2g"),
            "detectable": number(row["detectable_effect"]),
            "verdict": row["verdict"],
        }
        for row in effects.to_dict("records")
    )


def answer(effects: pd.DataFrame, baseline: str) -> str:
    """Return the one-sentence answer on what aligning did, by objective, pairs and dose."""
    if effects.empty:
        return "Not enough evidence: no variant aligns any pair of blocks."
    texts = []
    for verdict, said in (
        (HELPS, "Aligning helped: {}"),
        (HARMS, "aligning did harm: {}"),
        (NO_EFFECT, "no effect was found of {}"),
        (UNKNOWN, "not enough evidence on {}"),
        (MIXED, "not of this term alone: {}"),
    ):
        rows = effects[effects["verdict"] == verdict]
        if len(rows):
            each = [
                f"{row['objective']} at {row['pairs']} ({row['variant']}, "
                f"{number(row['mean_difference'], '+.2f')} points)"
                for row in rows.to_dict("records")
            ]
            texts.append(said.format(listed(each)))
    text = "; ".join(texts)
    return f"{text[0].upper()}{text[1:]}. Differences to {baseline} over {over(effects['seeds'])}."


def likeness(alignment: pd.DataFrame, nearest: pd.DataFrame, baseline: str, teacher: str) -> list[str]:
    """Return the paragraphs on how alike blocks are before aligning, beside the untrained student and the ceiling."""
    if alignment.empty:
        return [f"Likeness before aligning: CKA of {baseline} with the teacher {teacher} was not measured."]
    if nearest.empty:
        return ["No pair of blocks has a CKA: all rows of a block are alike."]
    count = int(alignment["cka_rows"].min())
    few = f" (n < {FEWEST_ROWS:,}: small differences mean nothing)" * (count < FEWEST_ROWS)
    kind = next(filter(None, alignment["cka_kind"]))
    seeds = plural(int(alignment["cka_seeds"].max()), "seed")
    return [
        f"Likeness before aligning: unbiased CKA of {baseline} with the teacher {teacher}, last epoch, {seeds}, on "
        f"{count:,} rows ({kind}){few}. {alike(nearest)} {ceilings(nearest)} It describes; it does not tell that "
        "aligning helps.",
        markdown(nearest_table(nearest), NEAREST_TABLE),
        "Gain: CKA after training less that of the same student before it (epoch 0), with the 95 % t interval over "
        "seeds. A block stands out where training made the student's block more like it than like the teacher's other "
        "blocks (the other seeds choose it; p of all blocks of the student in one joint sign-flip test).",
        *tried(alignment),
    ]


def nearest_table(nearest: pd.DataFrame) -> pd.DataFrame:
    """Return a row a block of the student, with the teacher's block most like it."""
    return pd.DataFrame(
        {
            "student block": row["student_block"],
            "nearest teacher block": row["teacher_block"],
            "CKA": number(row["cka"]),
            "nearest before training": "-" if row["untrained_block"] < 0 else row["untrained_block"],
            "CKA before": number(row["untrained_cka"]),
            "gain at the nearest": with_interval(row["gain"], row["gain_low"], row["gain_high"], "+"),
            "gain above the other blocks'": with_interval(
                row["contrast"], row["contrast_low"], row["contrast_high"], "+"
            ),
            "seeds": row["gain_seeds"],
            "p": number(row["p_joint"], ".2g"),
            "ceiling": number(row["ceiling"]),
            "verdict": row["verdict"],
        }
        for row in nearest.to_dict("records")
    )


def alike(nearest: pd.DataFrame) -> str:
    """Return sentences on which of the teacher's blocks are nearest, and whether training made them so."""
    if (nearest["verdict"] == NOT_COMPARED).all():
        return (
            f"{_most_alike(nearest)}; the untrained student was not compared, so that nothing tells whether training "
            "made them so."
        )
    texts = []
    out = nearest[nearest["verdict"] == STANDS_OUT]
    rest = nearest[nearest["verdict"] != STANDS_OUT]
    if len(out):
        gains = [
            f"{with_interval(row['gain'], row['gain_low'], row['gain_high'], '+')} at block {row['student_block']}"
            for row in out.to_dict("records")
        ]
        texts.append(f"{_most_alike(out)}, more so than before training ({listed(gains)}) and more than the others.")
    if len(rest):
        before = _range(rest["untrained_cka"])
        same = int((rest["untrained_block"] == rest["teacher_block"]).sum())
        texts.append(
            f"{_most_alike(rest)}; before training CKA with the nearest is {before} already, with the same block in "
            f"{same} of {len(rest)}, so that training is not shown to have made them so."
        )
        if (rest["verdict"] == TOO_FEW).all():
            seeds = int(rest["gain_seeds"].max())
            no = "no interval and no test" if seeds == 1 else f"no test, which needs {FEWEST_SEEDS}"
            texts.append(f"{plural(seeds, 'seed')} allow{'s' * (seeds == 1)} {no}.")
    return " ".join(texts)


def _most_alike(rows: pd.DataFrame) -> str:
    """Return 'Student blocks 0 and 1 are nearest to teacher block 0 (CKA 0.67 to 0.80)', for each teacher block."""
    texts = []
    for block, group in rows.groupby("teacher_block"):
        many = len(group) > 1
        which = listed(list(map(str, group["student_block"])))
        texts.append(
            f"student block{'s' * many} {which} {'are' if many else 'is'} nearest to teacher block {block} "
            f"(CKA {_range(group['cka'])})"
        )
    text = listed(texts)
    return f"{text[0].upper()}{text[1:]}"


def _range(values: pd.Series) -> str:
    return " to ".join(dict.fromkeys(number(value) for value in (values.min(), values.max())))


def ceilings(nearest: pd.DataFrame) -> str:
    """Return a sentence on the ceiling: the same block of a teacher of another seed."""
    if nearest["ceiling"].isna().all():
        return "No teacher of another seed was compared, so that nothing tells how alike two networks can come."
    return f"Ceiling, the same block of a teacher of another seed: {_range(nearest['ceiling'])}."


def tried(alignment: pd.DataFrame) -> list[str]:
    """Return the table of pairs that a variant aligns: likeness, rank and bandwidth before aligning."""
    rows = [
        {
            "student-teacher": f"{row['student_block']}-{row['teacher_block']}",
            "CKA": number(row["cka"]),
            "CKA before": number(row["untrained_cka"]),
            "gain": with_interval(row["gain"], row["gain_low"], row["gain_high"], "+"),
            "rank": f"{number(row['student_rank'], '.1f')} / {number(row['teacher_rank_reduced'], '.1f')}",
            "bandwidth": f"{number(row['student_bandwidth'])} / {number(row['teacher_bandwidth_reduced'])}",
            "aligned by": row["aligned_by"],
        }
        for row in alignment[alignment["aligned_by"].fillna("") != ""].to_dict("records")
    ]
    return [markdown(pd.DataFrame(rows), PAIR_TABLE)] if rows else []
