"""The terms of variants: their teachers and pairs of blocks. Imports no torch."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from .. import extensions
from ..errors import StudyError
from ..spec.faults import said
from ..spec.network import NetworkSize
from ..spec.training import TEACHER, TermSpec
from .study import Source
from .terms import Share

# Options of a term that are fields of TermSpec.
AS_GIVEN = ("course", "moves", "reduction", "target")


class Known(NamedTuple):
    """Objectives and targets, read once from their files, and sizes of networks."""

    objectives: Mapping[str, extensions.Objective]
    targets: Mapping[str, extensions.Target]
    sizes: Mapping[str, NetworkSize]


def variant_terms(
    name: str, terms: Mapping[str, Any], known: Known, student: str, teacher: str
) -> tuple[tuple[TermSpec, ...], tuple[Source, ...]]:
    """Return the terms of a variant with expanded pairs, and the teachers to which they refer by number.

    They train `student`; `teacher` is the default teacher. Terms of weight 0 are left out.
    Raises StudyError as `expand_pairs` does.
    """
    specs: list[TermSpec] = []
    sources: list[Source] = []
    for term, options in sorted(terms.items()):
        given = options["weight"]
        if given == 0:
            continue
        kind = options.get("objective", term)
        objective, target = known.objectives[kind], known.targets[options.get("target", TEACHER)]
        number: int | None = None
        taught_by = options.get("teacher", teacher)
        if objective.taught:
            source = Source(taught_by, target.weights)
            if source not in sources:
                sources.append(source)
            number = sources.index(source)
        beside = taught_by if objective.taught else student
        depths = len(known.sizes[student].blocks), len(known.sizes[beside].blocks)
        pairs: tuple[tuple[int, int], ...] = ()
        if "pairs" in options:
            pairs = tuple(expand_pairs(options["pairs"], *depths, f"variants.{name}.{term}.pairs"))
        if target.blocks == "reversed":
            pairs = tuple((s, depths[1] - 1 - t) for s, t in pairs)
        weight = vars(given) if isinstance(given, Share) else {"weight": given}
        own = {key: value for key, value in options.items() if key not in extensions.TERM_OPTIONS}
        rest = {key: options[key] for key in AS_GIVEN if key in options}
        specs.append(TermSpec(term, kind, objective.takes, own, pairs=pairs, teacher=number, **weight, **rest))
    return tuple(specs), tuple(sources)


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
        # A number beyond all blocks needs only one pair for the error message.
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
