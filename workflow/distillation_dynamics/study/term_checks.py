"""Checks of the terms of variants against their networks and other keys."""

from collections.abc import Iterator, Sequence

from .. import extensions
from ..spec.network import BlockSize
from ..spec.training import GATE_TAKES, TEACHER, TermSpec
from .recipes import student_key
from .study import Source, Study, Variant

# Less than any share of a training in a configuration.
STEP = 1e-9
# Outputs that a block may lack: the field that counts them, and the lack in words.
LACKED = {
    "classes": ("classes", "no class token"),
    "registers": ("registers", "no register tokens"),
    "attention": ("heads", "no attention map of all its tokens"),
    "values": ("values", "no values of an attention layer over all its tokens that can be read"),
}
# Outputs for which both sides need the same grid of patches.
ON_GRID = ("features", "attention", "values")


def term_faults(study: Study) -> Iterator[str]:
    """Yield a sentence for each term that its networks or other keys rule out."""
    for arm in study.variants.values():
        if (share := _nothing_from(arm.terms)) is not None:
            yield (
                f"variants.{arm.variant}: after {share:g} of the training no term weighs anything; give one no course"
            )
        for term in arm.terms:
            key = f"variants.{arm.variant}.{term.name}"
            yield from _course_faults(f"{key}.course", term)
            yield from _moves_faults(f"{key}.moves", term, study.students[arm.student].recipe.epochs)
            if "labels" in term.takes and study.students[arm.student].recipe.mixing is not None:
                yield (
                    f"{key}: {term.objective} takes one label of an image, and "
                    f"{student_key(study, arm.student)}.recipe.mixing mixes them; remove the term, or the mixing"
                )
            yield from _target_faults(f"{key}.target", term, study, arm.sources)
            yield from _size_faults(key, term, study, arm)


def _nothing_from(terms: Sequence[TermSpec]) -> float | None:
    """Return a share of the training after which all weights are 0; None if some weight never is."""
    courses = [term.course for term in terms if term.course is not None]
    if len(courses) < len(terms):
        return None
    # Between these shares no course changes between 0 and more.
    ends = {0.0, *(share for course in courses for share in (*course.between, course.off_after or 1.0))} - {1.0}
    return next((end for end in sorted(ends) if not any(course.factor(end + STEP) for course in courses)), None)


def _course_faults(key: str, term: TermSpec) -> Iterator[str]:
    course = term.course
    if course is None:
        return
    first, last = course.between
    if course.shape == "constant":
        for name, usual in (("values", (1.0, 1.0)), ("between", (0.0, 1.0))):
            if getattr(course, name) != usual:
                yield f"{key}.{name}: has no effect in a constant course; remove it, or give shape linear or cosine"
    elif first >= last:
        yield f"{key}.between: the course ends at {last:g} before it begins at {first:g}; give the smaller share first"
    elif not any(course.values):
        yield f"{key}.values: both are 0, so that the term never weighs anything; remove the term, or give more"
    elif course.off_after is not None and course.off_after <= first:
        yield f"{key}.off_after: is {course.off_after:g}, before the course begins at {first:g}; give more"


def _moves_faults(key: str, term: TermSpec, epochs: int) -> Iterator[str]:
    moves = term.moves
    if moves is None:
        return
    if len(term.pairs) < 2:
        yield f"{key}: there is one pair to go through; give two or more, or remove it"
    if moves.by == "cka" and moves.gate is None:
        yield f"{key}.gate: must be given by cka"
    if moves.by == "epoch" and moves.gate is not None:
        yield f"{key}.gate: has no effect with by: epoch; remove it"
    if moves.by == "cka" and not set(GATE_TAKES) <= set(term.takes):
        yield f"{key}.by: cka is of the features of both, which {term.objective} does not take; choose epoch"
    if moves.by == "epoch" and len(term.pairs) > epochs:
        yield f"{key}.by: {epochs} epochs are too few to go through {len(term.pairs)} pairs; give fewer pairs"


def _target_faults(key: str, term: TermSpec, study: Study, sources: tuple[Source, ...]) -> Iterator[str]:
    if term.target == TEACHER:
        return
    if term.teacher is None:
        yield f"{key}: {term.objective} takes nothing of a teacher, in whose place something could stand; remove it"
        return
    target, source = extensions.targets()[term.target], sources[term.teacher]
    for kind in (name.removeprefix("teacher_") for name in term.takes if name.startswith("teacher_")):
        if kind not in target.kinds:
            yield (
                f"{key}: {term.target} stands in the place of {', '.join(target.kinds)}, and {term.objective} takes "
                f"{kind}; choose another target"
            )
    if target.weights == "untrained" and study.networks[source.network].control == "permuted":
        yield f"{key}: networks.{source.network}.control is permuted, which is trained; choose untrained there"


def _size_faults(key: str, term: TermSpec, study: Study, arm: Variant) -> Iterator[str]:
    """Yield a sentence if a network lacks an output that a term takes, or two blocks differ in their grids."""
    student = study.model_info[arm.student].size
    network = None if term.teacher is None else arm.sources[term.teacher].network
    theirs = student if network is None else study.model_info[network].size
    if network is not None and "teacher_logits" in term.takes and not study.sorts(network):
        yield (
            f"{key}: {term.objective} takes the teacher's logits, but the head of networks.{network} has "
            f"{theirs.classes or 'no'} outputs and data.classes is {study.data.classes}; "
            + ("give it head: {probe: linear}" if theirs.classes == 0 else "give both the same")
            + ", or choose an objective of features"
        )
    for s, t in term.pairs:
        ours, other = student.blocks[s], theirs.blocks[t]
        for owner, number, block in (("student", s, ours), ("teacher", t, other)):
            for kind, (count, lacked) in LACKED.items():
                if f"{owner}_{kind}" in term.takes and not getattr(block, count):
                    yield f"{key}.pairs: {owner} block {number} has {lacked}, as {term.objective} asks; choose another"
        on_grid = [any(f"{owner}_{kind}" in term.takes for kind in ON_GRID) for owner in ("student", "teacher")]
        if all(on_grid) and _grid(ours) != _grid(other):
            yield (
                f"{key}.pairs: student block {s} has a {ours.rows} x {ours.columns} grid of patches and teacher block "
                f"{t} {other.rows} x {other.columns}; they must be equal"
            )


def _grid(block: BlockSize) -> tuple[int, int]:
    return block.rows, block.columns
