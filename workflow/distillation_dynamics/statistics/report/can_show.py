"""What a study can show, before any answer: whether there is room for the effects that it asks about.

In: runs, terms of the loss, means by block, CKA of the teacher with itself, and the rows of variants.parquet. Out:
Markdown, a line a condition, each with what was measured and the threshold that it is held against.
"""

import numpy as np
import pandas as pd

from ...spec.tables import MAIN_IMAGE_SET, Names
from ..thresholds import ALIKE, INTERIOR_BLOCKS, LIKE_DOSE, WIDTH_RATIO
from .words import listed, number, plural

RANK = "pca_rank_95_p99"


def section(read: dict[str, pd.DataFrame], variants: pd.DataFrame, names: Names) -> list[str]:
    """Return the paragraphs; `read` holds runs and, where measured, terms, depth and cka."""
    if not names.variants or names.teacher is None or names.baseline is None:
        return ["This study trains no students: it describes networks, and tests nothing about distillation."]
    teacher, student = (_blocks(read.get("depth"), name) for name in (names.teacher, names.baseline))
    lines = [
        *_sizes(teacher, student),
        *_directions(teacher, student),
        *_contrast(read.get("cka"), names.teacher),
        *_power(variants),
        *_doses(read.get("terms"), names),
        *_images(read["runs"], names),
        "one teacher: intervals and tests over seeds say nothing of another teacher, student, data set or recipe",
    ]
    return ["\n".join(f"- {line[0].upper()}{line[1:]}." for line in lines)]


def _blocks(depth: pd.DataFrame | None, network: str) -> pd.DataFrame:
    """Return the rows of a network's last epoch on the main images, of its first seed, by block; empty without."""
    if depth is None:
        return pd.DataFrame()
    rows = depth[(depth["network"] == network) & (depth["probe"] == MAIN_IMAGE_SET)]
    rows = rows[(rows["epoch"] == rows["epoch"].max()) & (rows["seed"] == rows["seed"].min())]
    return rows.sort_values("block")


def _sizes(teacher: pd.DataFrame, student: pd.DataFrame) -> list[str]:
    if teacher.empty or student.empty:
        return ["widths and blocks: not measured"]
    wide, narrow = int(teacher["channels"].iloc[-1]), int(student["channels"].iloc[-1])
    ratio, inner = wide / narrow, len(student) - 2
    room = "as much room as" if ratio >= WIDTH_RATIO else "less room than"
    few = "" if inner >= INTERIOR_BLOCKS else f", fewer than {INTERIOR_BLOCKS}: first and last are nearly all there is"
    return [
        f"width: the teacher's last block has {wide} channels and the student's {narrow}, a ratio of {ratio:.2f}; "
        f"{room} the published study (384 to 192) gives to effects of width",
        f"blocks: {len(teacher)} of the teacher, {len(student)} of the student, {max(inner, 0)} of them neither first "
        f"nor last{few}",
    ]


def _directions(teacher: pd.DataFrame, student: pd.DataFrame) -> list[str]:
    if teacher.empty or student.empty or RANK not in teacher or teacher[RANK].isna().all():
        return ["directions that the teacher's blocks need: not measured"]
    first, last, narrow = teacher[RANK].iloc[0], teacher[RANK].iloc[-1], int(student["channels"].iloc[-1])
    said = (
        f"directions: 95 % of the energy of 99 % of the images takes {first:.0f} of {int(teacher['channels'].iloc[0])} "
        f"directions in the teacher's first block and {last:.0f} of {int(teacher['channels'].iloc[-1])} in its last"
    )
    if last > narrow:
        return [f"{said}, more than the student's {narrow} channels: that late features do not fit can show here"]
    return [
        f"{said}, no more than the student's {narrow} channels: they fit, so that a harm of late alignment for want of "
        "channels cannot show here"
    ]


def _contrast(cka: pd.DataFrame | None, teacher: str) -> list[str]:
    if cka is None:
        return ["contrast of the teacher's first and last block: not measured"]
    own = cka[(cka["network"] == teacher) & (cka["other"] == teacher)]
    own = own[own["epoch"] == own["other_epoch"]]
    pair = own[(own["block"] == 0) & (own["other_block"] == own["other_block"].max())]
    values = {kind: pair[f"cka_{kind}"].iloc[0] for kind in ("tokens", "images") if len(pair)}
    known = {kind: value for kind, value in values.items() if not np.isnan(value)}
    if not known:
        return ["contrast of the teacher's first and last block: not measured"]
    said = ", ".join(f"{value:.2f} of {kind}" for kind, value in known.items())
    if min(known.values()) >= ALIKE:
        return [
            f"contrast: the teacher's first and last block are alike (CKA {said}; {ALIKE:.2f} or more), so that early "
            "and late alignment ask for nearly the same"
        ]
    return [
        f"contrast: CKA of the teacher's first and last block is {said} (they would be called alike from {ALIKE:.2f})"
    ]


def _power(variants: pd.DataFrame) -> list[str]:
    if variants.empty:
        return []
    smallest, seeds = variants["detectable_effect"].dropna(), sorted(set(variants["seeds"]))
    over = f"over {plural(int(seeds[0]), 'seed')}" if len(seeds) == 1 else f"over {seeds[0]} to {seeds[-1]} seeds"
    largest = variants["mean_difference"].abs().max()
    if smallest.empty:
        return [f"smallest effect: one comparison {over} cannot tell; no spread over seeds is known"]
    return [
        f"smallest effect: differences of {smallest.min():.2f} to {smallest.max():.2f} points, by variant, are found "
        f"with 80 % power {over}; the largest mean difference seen is {number(largest)}"
    ]


def _doses(terms: pd.DataFrame | None, names: Names) -> list[str]:
    """Return the shares of the loss, in the first epoch, of terms that only some variants have, and how they differ."""
    if terms is None or terms.empty:
        return ["shares of the terms in the loss: not measured"]
    own = terms[terms["network"].isin(names.variants)]
    common = set(own.loc[own["network"] == names.baseline, "term"])
    own = own[~own["term"].isin(common) & (own["epoch"] == own["epoch"].min())]
    shares = own.groupby(["term", "network"], sort=False)["share"].mean()
    texts, apart = [], []
    for term, group in shares.groupby(level="term", sort=False):
        values = group.droplevel("term")
        low, high = values.idxmin(), values.idxmax()
        if len(values) == 1:
            texts.append(f"{term} has {100 * values.iloc[0]:.0f} % of the loss in the first epoch ({low})")
            continue
        texts.append(
            f"{term} has {100 * values[low]:.0f} % ({low}) to {100 * values[high]:.0f} % ({high}) of the loss in the "
            "first epoch"
        )
        if values[high] > LIKE_DOSE * values[low]:
            apart.append(str(term))
    if not texts:
        return []
    said = f"dose: {listed(texts)}"
    if not apart:
        return [f"{said}; within a factor of {LIKE_DOSE}"]
    return [
        f"{said}; beyond a factor of {LIKE_DOSE}, so that variants of {listed(apart)} differ in dose as well as in "
        "what they align (see Dose and place)"
    ]


def _images(runs: pd.DataFrame, names: Names) -> list[str]:
    teacher = runs[runs["network"] == names.teacher].iloc[0]
    student = runs[runs["network"] == names.baseline].iloc[0]
    ours, theirs = int(student["train_images"]), int(teacher["train_images"])
    if theirs == 0:
        return [f"images: the teacher's weights come from elsewhere, and the students see {ours:,} images"]
    if ours == theirs:
        return [f"images: teacher and students see the same {ours:,} training images"]
    controls = runs[
        (runs["seed"] < 0) & (runs["parameters"] == student["parameters"]) & (runs["train_images"] == theirs)
    ]
    said = f"images: the teacher was trained on {theirs:,} images and the students on {ours:,}"
    if controls.empty:
        return [f"{said}; part of what distillation gives may be those images, and no control tells how much"]
    name, top1 = controls["network"].iloc[0], controls["test_top1"].iloc[0]
    return [
        f"{said}; trained on the teacher's images with labels alone ({int(controls['epochs'].iloc[0])} epochs, network "
        f"{name}) the student's architecture reaches {top1:.2f} %"
    ]
