"""Differences between two variants' terms, and the share of the loss that each term has.

In: the terms of both; the table of terms, one row per network, seed, epoch and term. Out: changes in words, means over
seeds. One change is: an option of a term; a term with pairs of blocks that only one variant has, or its weight, pairs
or reduction; and, among terms without pairs, any shift of weight that keeps their sum, since weight removed from one
term must go to others.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ..spec.training import TEACHER, TermSpec

Terms = Sequence[TermSpec]
Pair = tuple[int, int]
# Defaults that are not mentioned.
USUAL = {"course": "", "moves": "", "reduction": "mean", "target": TEACHER}
# Sums of weights that differ by less are equal.
SAME = 1e-9


def dose_of(term: TermSpec) -> str:
    """Return 'weight 0.2' or, for a weight set by a share, 'share 0.08 of the loss' or 'of the gradients'."""
    if term.weight is not None:
        return f"weight {term.weight:g}"
    return f"share {term.share:g} of the loss" if term.share else f"share {term.gradient_share:g} of the gradients"


def course_of(term: TermSpec) -> str:
    """Return how a term's weight changes over training; "" if it is constant."""
    if term.course is None:
        return ""
    first, last = term.course.values
    begin, end = term.course.between
    shape, off = term.course.shape, term.course.off_after
    changes = "" if shape == "constant" else f"{shape} from {first:g} to {last:g} between {begin:g} and {end:g}"
    return ", ".join(filter(None, [changes, "" if off is None else f"off after {off:g}"]))


def named(pairs: Sequence[Pair]) -> str:
    """Return '0-0, 3-7': student and teacher block of each pair, from 0."""
    return ", ".join(f"{student}-{teacher}" for student, teacher in pairs)


def options_of(term: TermSpec) -> str:
    """Return the options of a term and its other settings besides weight and pairs: 'temperature 1, reduction sum'."""
    return ", ".join(f"{name} {_value(value)}" for name, value in settings_of(term).items() if value != USUAL.get(name))


def settings_of(term: TermSpec) -> dict[str, Any]:
    """Return all settings of a term besides its dose and pairs, by name."""
    return dict(sorted(term.options.items())) | _others(term)


def _others(term: TermSpec) -> dict[str, Any]:
    moves = "" if term.moves is None else f"one by one ({term.moves.by}{f' {g:g}' if (g := term.moves.gate) else ''})"
    return {"course": course_of(term), "moves": moves, "reduction": term.reduction, "target": term.target}


def more_of(term: TermSpec) -> dict[str, Any]:
    """Return settings of a term, besides dose, pairs and options, that differ from the default, by name."""
    return {name: value for name, value in _others(term).items() if value != USUAL[name]}


def described(term: TermSpec) -> str:
    """Return '`spectral` term (weight 0.2, pairs 0-0)'; names the objective if the term has another name."""
    pairs = f"pairs {named(term.pairs)}" if term.pairs else ""
    objective = term.objective if term.objective != term.name else ""
    return f"`{term.name}` term ({', '.join(filter(None, [objective, dose_of(term), pairs, options_of(term)]))})"


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def differences(ours: Terms, theirs: Terms) -> list[str]:
    """Return the changes from the terms `theirs` to `ours` in words; none if they are equal."""
    own, other = ({term.name: term for term in terms} for terms in (ours, theirs))
    names = list(dict.fromkeys([*other, *own]))
    doses = {name: change for name in names if (change := _dose_change(name, own.get(name), other.get(name)))}
    moved = [name for name in doses if not (own.get(name) or other[name]).pairs]
    changes = []
    if moved and abs(_total(ours) - _total(theirs)) < SAME:
        changes.append(", ".join(doses.pop(name) for name in moved))
    changes += doses.values()
    for name in names:
        if name in own and name in other:
            changes += _option_changes(own[name], other[name])
    return changes


def _dose_change(name: str, ours: TermSpec | None, theirs: TermSpec | None) -> str | None:
    if ours is None:
        return None if theirs is None else f"no {described(theirs)}"
    if theirs is None:
        return f"a {described(ours)}"
    same = dose_of(ours) == dose_of(theirs)
    return None if same else f"`{name}` {dose_of(ours)} instead of {dose_of(theirs)}"


def _total(terms: Terms) -> float:
    """Return the summed weights of terms without pairs; NaN, which equals nothing, if a weight follows from a share."""
    return sum(np.nan if term.weight is None else term.weight for term in terms if not term.pairs)


def _option_changes(ours: TermSpec, theirs: TermSpec) -> list[str]:
    """Return one change for each differing option, pairs or setting of two terms with the same name."""
    first, second = (
        settings_of(term) | {"objective": term.objective} | ({"pairs": named(term.pairs)} if term.pairs else {})
        for term in (ours, theirs)
    )
    return [
        f"`{ours.name}` {option} {_value(first.get(option, 'not set')) or 'none'} instead of "
        f"{_value(second.get(option, 'not set')) or 'none'}"
        for option in sorted({*first, *second})
        if first.get(option) != second.get(option)
    ]


def added(ours: Terms, theirs: Terms) -> TermSpec | None:
    """Return the term with pairs that `ours` has in addition to `theirs`, if that is the only difference; else None."""
    names = {term.name for term in theirs}
    new = [term for term in ours if term.pairs and term.name not in names]
    return new[0] if len(new) == 1 and len(differences(ours, theirs)) == 1 else None


def is_control(ours: Terms, theirs: Terms) -> bool:
    """Return whether `ours` equal `theirs` except for a null target instead of the teacher.

    Names of terms do not matter; for reversed blocks only the student's blocks are the same.
    """
    if all(term.target == TEACHER for term in ours) or any(term.target != TEACHER for term in theirs):
        return False
    left = list(theirs)
    for term in ours:
        like = next((other for other in left if _but_for_the_target(term, other)), None)
        if like is None:
            return False
        left.remove(like)
    return not left


def _but_for_the_target(ours: TermSpec, theirs: TermSpec) -> bool:
    same = replace(ours, name=theirs.name, target=theirs.target)
    if ours.target != TEACHER:
        same = replace(same, teacher=theirs.teacher)
        if [s for s, _ in ours.pairs] == [s for s, _ in theirs.pairs]:
            same = replace(same, pairs=theirs.pairs)
    return same == theirs


def shares(table: pd.DataFrame | None) -> dict[tuple[str, str], dict[str, float]]:
    """Return (network, term) -> its share of the loss in epoch 1 and over all epochs, 0 to 1, means over seeds.

    `table` has one row per network, seed, epoch and term; shares are unknown without it or without a value.
    """
    if table is None:
        return {}
    by_seed = table[table["epoch"] > 0].groupby(["network", "term", "seed"], dropna=False)["share"].mean()
    first = table[table["epoch"] == 1].groupby(["network", "term"])["share"].mean()
    every = by_seed.groupby(["network", "term"]).mean()
    return {key: {"share_first": float(first.get(key, np.nan)), "share_all": float(every[key])} for key in every.index}
