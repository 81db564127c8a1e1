"""The terms of variants, and the pairs of student and teacher blocks that they name. Imports no torch."""

import re
from collections.abc import Iterator
from typing import Any

from ..errors import StudyError
from ..extensions import Objective
from ..spec.faults import said
from ..spec.training import TermSpec
from .study import Study
from .terms import Share


def variant_terms(
    name: str, terms: dict[str, Any], objectives: dict[str, Objective], student_depth: int, teacher_depth: int
) -> tuple[TermSpec, ...]:
    """Return the terms of a variant, their pairs expanded; raise StudyError as `expand_pairs` does."""
    specs = []
    for term, options in sorted(terms.items()):
        own = {key: value for key, value in options.items() if key not in ("weight", "pairs", "reduction")}
        key = f"variants.{name}.{term}.pairs"
        pairs = tuple(expand_pairs(options["pairs"], student_depth, teacher_depth, key)) if "pairs" in options else ()
        reduction = options.get("reduction", "mean")
        weight = options["weight"]
        number, share = (None, weight.share) if isinstance(weight, Share) else (weight, None)
        specs.append(TermSpec(term, number, objectives[term].requires, own, pairs, reduction, share))
    return tuple(specs)


def expand_pairs(value: Any, student_depth: int, teacher_depth: int, key: str) -> list[tuple[int, int]]:
    """Return the (student, teacher) pairs of blocks, 0-based, that `value` names.

    `value` is `first`, `last`, `last<n>` (the last n of each, in order), an explicit [student, teacher], or a list of
    these. Raises StudyError naming `key` for a block that a model does not have or a pair given twice.
    """
    is_pair = isinstance(value, list) and len(value) == 2 and all(type(item) is int for item in value)
    if isinstance(value, list) and not is_pair:
        pairs = [pair for item in value for pair in expand_pairs(item, student_depth, teacher_depth, key)]
        if not pairs or len(set(pairs)) < len(pairs):
            raise StudyError(f"{key}: give at least one pair, and no pair twice (this is {pairs})")
        return pairs
    if value == "first":
        return [(0, 0)]
    if isinstance(value, str) and (match := re.fullmatch(r"last([1-9]\d*)?", value)):
        # Of a number beyond all blocks, the first pair is enough to say so.
        count = min(int(match[1] or 1), max(student_depth, teacher_depth) + 1)
        pairs = [(student_depth - n, teacher_depth - n) for n in range(count, 0, -1)]
    elif is_pair:
        pairs = [tuple(value)]
    else:
        raise StudyError(f"{key}: {said(value)} is not first, last, last<n> or [student block, teacher block]")
    for owner, index, depth in (("student", 0, student_depth), ("teacher", 1, teacher_depth)):
        for pair in pairs:
            if not 0 <= pair[index] < depth:
                raise StudyError(
                    f"{key}: {value!r} asks for {owner} block {pair[index]}; it has blocks 0 to {depth - 1}"
                )
    return pairs


def pair_faults(study: Study) -> Iterator[str]:
    """Yield a sentence for each pair of blocks whose grids of patches differ."""
    for arm in study.variants.values():
        student, teacher = study.model_info[arm.student].shapes, study.model_info[arm.teacher].shapes
        for term in arm.terms:
            for s, t in term.pairs:
                ours, theirs = student[s], teacher[t]
                if ours[1:] != theirs[1:]:
                    yield (
                        f"variants.{arm.variant}.{term.name}.pairs: student block {s} has a {ours[1]} x {ours[2]} grid "
                        f"of patches and teacher block {t} {theirs[1]} x {theirs[2]}; they must be equal"
                    )
