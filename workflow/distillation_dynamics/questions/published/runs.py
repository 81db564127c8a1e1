"""Finds the published run with a variant's objectives at the same places, and what differs.

In: the files of `resources/published`, the setting of the students. Out: runs as rows of `top1.csv`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ...spec.tables import Setting, Trained
from ...spec.training import TermSpec
from ...statistics.terms import dose_of

# Common to all published runs: ImageNet-1k and DeiT-Tiny; pairs refer to its blocks and those of CaiT-S24.
CLASSES, TRAIN_IMAGES, STUDENT, BLOCKS = 1000, 1_281_167, "deit_tiny_patch16_224", (12, 24)


class Published(NamedTuple):
    """The files as frames: `top1`, one row per run; `trajectory` and `entropy` by the first paper's runs."""

    top1: pd.DataFrame
    trajectory: pd.DataFrame
    entropy: pd.DataFrame


def read_published(files: Sequence[str]) -> Published:
    """Read the published numbers; `files` are named top1.csv, trajectory.csv and entropy.csv."""
    frames = {Path(file).stem: pd.read_csv(file) for file in files}
    words = ["teacher", "objective", "pairs", "frozen", "change"]
    frames["top1"][words] = frames["top1"][words].fillna("").astype(str)
    return Published(**{name: frames[name] for name in Published._fields})


def terms_of(row: dict[str, Any]) -> tuple[TermSpec, ...]:
    """Return the terms of a published run (a row of top1.csv) as a study would configure them."""
    if row["base"] == "none":
        return (_term("cross_entropy", 1, label_smoothing=0.1),)
    terms = [
        _term("cross_entropy", 0.1, label_smoothing=0.1),
        _term("soft", 0.9, temperature=1),
    ]
    if row["objective"]:
        pairs = tuple((int(s), int(t)) for s, t in (pair.split("-") for pair in row["pairs"].split()))
        options = {"frozen": row["frozen"].lower() == "true"} if row["objective"] == "projector" else {}
        terms.append(_term(row["objective"], row["weight"], pairs, **options))
    return tuple(terms)


def _term(objective: str, weight: float, pairs: tuple[tuple[int, int], ...] = (), **options: Any) -> TermSpec:
    return TermSpec(objective, objective, (), options, weight, pairs=pairs)


def places(terms: Sequence[TermSpec], blocks: tuple[int, int]) -> dict[str, frozenset]:
    """Return objective -> places of its pairs: counted from the start for the first block, otherwise from the end."""
    student, teacher = blocks

    def place(pair: tuple[int, int]) -> tuple:
        return ("first",) if tuple(pair) == (0, 0) else ("last", student - 1 - pair[0], teacher - 1 - pair[1])

    return {term.objective: frozenset(map(place, term.pairs)) for term in terms}


def term_differences(terms: Sequence[TermSpec], theirs: Sequence[TermSpec]) -> list[str]:
    """Return the differences between terms of the same objectives in words."""
    found, published = [], {term.objective: term for term in theirs}
    for term in terms:
        other = published[term.objective]
        if dose_of(term) != dose_of(other):
            found.append(f"{term.name}: {dose_of(term)}, published {dose_of(other)}")
        compared = [("options", term.options, other.options), ("pairs", sorted(term.pairs), sorted(other.pairs))]
        compared += [(name, getattr(term, name), getattr(other, name)) for name in ("target", "course", "moves")]
        # For a single pair, mean and sum are equal.
        compared += [("reduction", term.reduction, other.reduction)] * (len(other.pairs) > 1)
        found += [f"{term.name}: {name} {ours}, published {given}" for name, ours, given in compared if ours != given]
    return found


def setting_differences(arm: Trained, classes: int | None, row: dict[str, Any], train_images: float) -> list[str]:
    """Return the differences in words, besides terms, between an arm of the study and a published run."""
    epochs = row["epochs"] if row["epochs"] > 0 else "not said"
    teacher = (arm.teacher, row["teacher"] or "none of timm's")
    pairs = {
        "student": (arm.student, STUDENT),
        **({} if row["base"] == "none" else {"teacher": teacher}),
        "classes": (classes, CLASSES),
        "training images": (train_images, TRAIN_IMAGES),
        "epochs": (arm.epochs, epochs),
    }
    found = [f"{name} {_said(a)}, published {_said(b)}" for name, (a, b) in pairs.items() if a != b]
    return found + [row["change"]] * bool(row["change"])


def _said(value: Any) -> str:
    return f"{value:,.0f}" if isinstance(value, int | float | np.number) else str(value)


def counterpart(
    setting: Setting, variant: str, top1: pd.DataFrame, train_images: float
) -> tuple[dict[str, Any] | None, list[str]]:
    """Return the most similar published run with the same objectives at the same places, and what differs."""
    best, least, arm = None, [], setting.arms[variant]
    for row in top1.to_dict("records"):
        theirs = terms_of(row)
        if places(arm.terms, arm.blocks) != places(theirs, BLOCKS):
            continue
        differs = term_differences(arm.terms, theirs) + setting_differences(arm, setting.classes, row, train_images)
        if best is None or len(differs) < len(least):
            best, least = row, differs
    return best, least


def soft_of(row: dict[str, Any], top1: pd.DataFrame) -> dict[str, Any] | None:
    """Return the published SoftKD run of the same kind as `row`."""
    same = top1[(top1["base"] == "soft") & (top1["objective"] == "")]
    for name in ("paper", "teacher", "epochs", "change"):
        same = same[same[name] == row[name]]
    return same.to_dict("records")[0] if len(same) else None


def matched(
    published: Published, setting: Setting, variant: str, runs: pd.DataFrame
) -> tuple[dict[str, Any] | None, list[str]]:
    """Return `counterpart` of a variant; `runs`: those of runs.parquet."""
    own = runs[runs["network"] == variant]
    images = own["train_images"].iloc[0] if len(own) and "train_images" in own else np.nan
    return counterpart(setting, variant, published.top1, images)
