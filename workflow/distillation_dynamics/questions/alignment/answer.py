"""Values for the template on alignment.

In: effects.parquet, alignment.parquet and nearest.parquet.
"""

from typing import Any

import pandas as pd

from ...ranking import ordered, shown, top
from ...spec.tables import Names
from ...statistics.evidence import Evidence
from ...statistics.westfall_young import p_said
from ...words import number, span, with_interval
from . import NOT_COMPARED, STANDS_OUT, TOO_FEW


def facts(evidence: Evidence) -> dict[str, Any]:
    """Return what the template names."""
    effects, baselines = evidence.tables["effects"], list(evidence.names.baselines.values())
    first = ordered(effects, effects["mean_difference"].abs())
    nearest = evidence.tables["nearest"]
    nearest = nearest[nearest["baseline"].isin(top(baselines))]
    return {
        "baseline": evidence.baseline,
        "effects": first.to_dict("records"),
        "likenesses": [_likeness(evidence, baseline) for baseline in top(baselines)],
        "blocks": len(nearest),
        "standing_out": int((nearest["verdict"] == STANDS_OUT).sum()),
        "tested": int((~nearest["verdict"].isin([TOO_FEW, NOT_COMPARED])).sum()),
        "ceilings": list(nearest["ceiling"]),
        "nearest_by_student": nearest_by_student(nearest, evidence.names),
        "left_out": shown(len(baselines), "students", "", "statistics/alignment.parquet", "text below"),
    }


def _likeness(evidence: Evidence, baseline: str) -> dict[str, Any]:
    """Return the similarity of the blocks of a baseline's students to their teacher's."""
    alignment, nearest = (
        table[table["baseline"] == baseline] for table in (evidence.tables[name] for name in ("alignment", "nearest"))
    )
    out, rest = (nearest[(nearest["verdict"] == STANDS_OUT) == stands] for stands in (True, False))
    return {
        "baseline": baseline,
        "student": evidence.names.arms[baseline].student,
        "teacher": evidence.names.arms[baseline].teacher,
        "measured": len(alignment) > 0,
        "rows": alignment["cka_rows"].min(),
        "kind": next(filter(None, alignment["cka_kind"]), ""),
        "seeds": alignment["cka_seeds"].max(),
        "not_compared": (nearest["verdict"] == NOT_COMPARED).all(),
        "nearest": by_teacher_block(nearest),
        "standing_out": by_teacher_block(out),
        "others": by_teacher_block(rest),
        "gains": out.to_dict("records"),
        "before": list(rest["untrained_cka"]),
        "same_before": int((rest["untrained_block"] == rest["teacher_block"]).sum()),
        "rest": len(rest),
        "too_few": (rest["verdict"] == TOO_FEW).all(),
        "gain_seeds": rest["gain_seeds"].max(),
        "ceiling": list(nearest["ceiling"]),
        "nearest_table": nearest_table(nearest),
    }


def by_teacher_block(nearest: pd.DataFrame) -> list[dict[str, Any]]:
    """Return for each teacher block the student's blocks nearest to it, and their CKA."""
    return [
        {"block": block, "students": list(map(str, group["student_block"])), "cka": list(group["cka"])}
        for block, group in nearest.groupby("teacher_block")
    ]


def nearest_by_student(nearest: pd.DataFrame, names: Names) -> pd.DataFrame:
    """Return one row per student and teacher block that is nearest to any of its blocks, by verdict."""
    return pd.DataFrame(
        {
            "student": names.arms[baseline].student,
            "student blocks": ", ".join(map(str, group["student_block"])),
            "nearest teacher block": block,
            "CKA": span(group["cka"]),
            "CKA before training": span(group["untrained_cka"]),
            "verdict": verdict,
        }
        for (baseline, block, verdict), group in nearest.groupby(["baseline", "teacher_block", "verdict"], sort=False)
    )


def effect_table(effects: pd.DataFrame) -> pd.DataFrame:
    """Return one row per term with pairs."""
    return pd.DataFrame(
        {
            "variant": row["variant"],
            "objective": row["objective"] + (f" ({row['options']})" if row["options"] else ""),
            "pairs": row["pairs"],
            "weight": number(row["weight"], "g"),
            "share of the loss": " / ".join(number(100 * row[name], ".2g") for name in ("share_first", "share_all")),
            "effect": with_interval(row["mean_difference"], row["low"], row["high"], "+"),
            "seeds": row["seeds"],
            "p": p_said(row["p_joint"]),
            "detectable": number(row["detectable_effect"]),
            "verdict": row["verdict"],
        }
        for row in effects.to_dict("records")
    )


def nearest_table(nearest: pd.DataFrame) -> pd.DataFrame:
    """Return one row per block of the student, with its nearest teacher block."""
    return pd.DataFrame(
        {
            "student block": row["student_block"],
            "nearest teacher block": row["teacher_block"],
            "CKA": number(row["cka"]),
            "nearest before training": "-" if pd.isna(row["untrained_block"]) else row["untrained_block"],
            "CKA before": number(row["untrained_cka"]),
            "gain at the nearest": with_interval(row["gain"], row["gain_low"], row["gain_high"], "+"),
            "gain above the other blocks'": with_interval(
                row["contrast"], row["contrast_low"], row["contrast_high"], "+"
            ),
            "seeds": row["gain_seeds"],
            "p": p_said(row["p_joint"]),
            "ceiling": number(row["ceiling"]),
            "verdict": row["verdict"],
        }
        for row in nearest.to_dict("records")
    )
