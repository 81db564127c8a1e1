"""The pairs of blocks aligned in a finished study: effect on accuracy, and measures from before training.

In: the folder of a study. Out: the rows of pairs.parquet. A row is a variant that differs from its baseline in one
term, which aligns one pair of blocks with their common teacher; several doses of a pair are several rows. Predictors
are of the first seed's untrained student (epoch 0) and of the trained teacher, CKA of tokens or images as the question
`alignment` chooses; missing measurements are NaN. `gradient_cosine` belongs to the first logged update: the cosine
between the term's gradient and that of the terms without a teacher (cross-entropy) on each block of the student,
averaged with the norm of the term's gradient as weight. Imports no torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ..errors import StudyError
from ..files import Column, read_table
from ..jobs import provenance
from ..questions.alignment import likeness
from ..questions.dose.effects import EFFECT_COLUMNS
from ..spec.tables import MAIN_IMAGE_SET, WHO
from ..spec.training import TEACHER
from ..statistics.checkpoints import at_last_epoch

# Tables that a study may lack, since metrics can be left out.
MEASURED = {
    "cka": "tables/cka.parquet",
    "mismatch": "tables/mismatch.parquet",
    "depth": "tables/depth.parquet",
    "term_gradients": "summary/term_gradients.parquet",
}
EARLY = "early"
UNTRAINED = "of the student before training"
PREDICTORS = {
    "cka": Column("", f"unbiased CKA {UNTRAINED} with the teacher, of the pair"),
    "teacher_rank": Column(
        "", "eigenvalues that hold 95 % of the second moment of the teacher's block, its channels pooled"
    ),
    "rank_ratio": Column("", f"log2 of that number {UNTRAINED} over the teacher's"),
    "bandwidth_difference": Column(
        "",
        f"share of channel frequencies that hold 95 % of the energy {UNTRAINED}, minus the teacher's, channels pooled",
    ),
    "teacher_probe": Column("%", "accuracy of a linear probe on the teacher's block"),
    "student_probe": Column("%", f"the same on the block {UNTRAINED}"),
    "gradient_cosine": Column(
        "",
        "cosine of the term's gradient to that of the terms without a teacher at the first update logged, mean over "
        "the student's blocks weighted by the norm of the term's",
    ),
    "depth": Column("", "relative depth of the student's block, 0 the first, 1 the last"),
    EARLY: Column("", "minus that depth: the rule that first pairs are better"),
}
PAIR_COLUMNS = {
    "study": Column("", "study"),
    "student": Column("", "student of the study"),
    "teacher": Column("", "network that the term aligns to"),
    "variant": Column("", "variant, by its name in the study's tables"),
    "baseline": EFFECT_COLUMNS["baseline"],
    **{name: EFFECT_COLUMNS[name] for name in ("objective", "options")},
    "student_block": Column("", "0-based block of the student"),
    "teacher_block": Column("", "0-based block of the teacher"),
    **{name: EFFECT_COLUMNS[name] for name in ("weight", "share_first", "seeds")},
    "effect": Column("points", "mean over seeds of the paired difference in test top-1 to the baseline"),
    "standard_error": Column("points", "of that mean, over seeds; NaN with one seed or without spread"),
    **PREDICTORS,
}


@dataclass(frozen=True)
class Finished:
    """A finished study: name, variants as configured, arms (network, student, variant, teacher) and tables."""

    name: str
    variants: Mapping[str, Mapping[str, Any]]
    arms: Mapping[str, Mapping[str, Any]]
    tables: Mapping[str, pd.DataFrame]


def read(folder: Path) -> Finished:
    """Read a study; raise StudyError if a folder holds none, or it is unfinished or has no students."""
    _, known = provenance.read(folder.name, folder.parent)
    variants = known["configuration"].get("variants")
    if not variants:
        raise StudyError(f"{folder}: has no students, so that no pair was aligned; leave it out")
    needed = {"effects": folder / "statistics/effects.parquet", "summary": folder / "summary/summary.parquet"}
    for path in needed.values():
        if not path.is_file():
            raise StudyError(f"{folder}: is not finished, {path.relative_to(folder)} is missing; run snakemake with it")
    paths = needed | {name: path for name, file in MEASURED.items() if (path := folder / file).is_file()}
    tables = {name: read_table(path) for name, path in paths.items()}
    summary = tables["summary"]
    if not {*WHO, "variant"} <= set(summary.columns):
        raise StudyError(f"{needed['summary']}: does not say who is a student of whom; run snakemake with it again")
    arms = summary[summary["variant"].notna()].set_index("network")[[*WHO, "variant"]].to_dict("index")
    return Finished(known["name"], variants, arms, tables)


def pairs_of(study: Finished) -> pd.DataFrame:
    """Return a study's rows of pairs.parquet; none if it aligns no pair alone."""
    rows = []
    for row in study.tables["effects"].to_dict("records"):
        arm, baseline = (study.arms[row[name]] for name in ("variant", "baseline"))
        name, term = _only_aligned(study.variants[arm["variant"]])
        alone = row["alone"] and arm["teacher"] == baseline["teacher"]
        if name is None or not alone or "," in row["pairs"] or term.get("target", TEACHER) != TEACHER:
            continue
        student, theirs = map(int, row["pairs"].split("-"))
        teacher = term.get("teacher", arm["teacher"])
        half = (row["high"] - row["low"]) / 2
        known = {"study": study.name, "student": arm["student"], "teacher": teacher}
        known |= {"student_block": student, "teacher_block": theirs, "effect": row["mean_difference"]}
        known |= {"standard_error": half / stats.t.ppf(0.975, row["seeds"] - 1)}
        rows.append(row | known | _predictors(study, row["variant"], teacher, (student, theirs), name))
    return pd.DataFrame(rows).reindex(columns=list(PAIR_COLUMNS))


def _only_aligned(variant: Mapping[str, Any]) -> tuple[str | None, Mapping[str, Any]]:
    """Return the only term of a variant that has pairs, by name; None if it has none or several."""
    terms = {name: term for name, term in variant.items() if name not in WHO and term["weight"] != 0}
    found = [(name, term) for name, term in terms.items() if "pairs" in term]
    return found[0] if len(found) == 1 else (None, {})


def _predictors(study: Finished, arm: str, teacher: str, pair: tuple[int, int], term: str) -> dict[str, float]:
    """Return PREDICTORS of a pair (student's block, teacher's) that a term of an arm aligns."""
    tables = study.tables
    at = {"network": arm, "epoch": 0, "block": pair[0]}
    own, theirs, narrow, wide = (
        _first(tables, "mismatch", f"{whose}{what}_95", **at, other=teacher, other_block=pair[1])
        for what in ("rank", "bandwidth")
        for whose in ("", "other_")
    )
    probed = {"probe": MAIN_IMAGE_SET}
    depth = _depth(tables, arm, pair[0])
    return {
        "cka": _cka(tables, arm, teacher, pair),
        "teacher_rank": theirs,
        "rank_ratio": float(np.log2(own / theirs)) if own > 0 and theirs > 0 else np.nan,
        "bandwidth_difference": narrow - wide,
        "teacher_probe": _first(tables, "depth", "linear_probe_top1", network=teacher, block=pair[1], **probed),
        "student_probe": _first(tables, "depth", "linear_probe_top1", **at, **probed),
        "gradient_cosine": _cosine(tables, arm, term),
        "depth": depth,
        EARLY: 0 - depth,
    }


def _rows(tables: Mapping[str, pd.DataFrame], table: str, **keys: Any) -> pd.DataFrame:
    """Return the first seed's rows of a table that match all keys; none without the table."""
    found = tables.get(table)
    if found is None:
        return pd.DataFrame()
    for key, value in keys.items():
        found = found[(found[key] == value).fillna(False).astype(bool)]
    # Networks have no seed.
    first = found["seed"].min()
    return found if pd.isna(first) else found[found["seed"] == first]


def _first(tables: Mapping[str, pd.DataFrame], table: str, column: str, **keys: Any) -> float:
    """Return a value of the first seed, for networks at their last epoch; NaN if it was not measured."""
    rows = _rows(tables, table, **keys)
    if rows.empty or column not in rows:
        return np.nan
    return float(rows[at_last_epoch(rows, "network")][column].iloc[0])


def _cka(tables: Mapping[str, pd.DataFrame], arm: str, teacher: str, pair: tuple[int, int]) -> float:
    rows = _rows(tables, "cka", network=arm, other=teacher)
    if rows.empty:
        return np.nan
    untrained = likeness(rows, arm, teacher).untrained
    return float(untrained[pair].iloc[0]) if pair in untrained else np.nan


def _cosine(tables: Mapping[str, pd.DataFrame], arm: str, term: str) -> float:
    """Return a term's mean cosine at the first logged update; NaN if no block has one."""
    rows = _rows(tables, "term_gradients", network=arm, term=term)
    if rows.empty:
        return np.nan
    # Blocks that the term does not reach have no cosine.
    rows = rows[rows["step"] == rows["step"].min()].dropna(subset="cosine")
    return float(np.average(rows["cosine"], weights=rows["norm"])) if len(rows) else np.nan


def _depth(tables: Mapping[str, pd.DataFrame], arm: str, block: int) -> float:
    """Return the relative depth of a student's block; NaN if no table gives its number of blocks."""
    for table in MEASURED:
        rows = _rows(tables, table, network=arm)
        if len(rows):
            return block / max(1, int(rows["block"].max()))
    return np.nan
