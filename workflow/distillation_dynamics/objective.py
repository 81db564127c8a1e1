"""A student's loss: a weighted sum of named terms.

A term is a module from one file of `objectives/`. It holds what it trains (projections), and the optimiser is built
after it. The parameter names of its `forward` say which tensors it takes (`extensions` lists them). `Objective` passes
these in, replaces the teacher by controls, sums the terms and returns each part by name. Everything runs in float32,
outside autocast.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .errors import StudyError, place_of
from .spec.network import BlockSize, NetworkSize
from .spec.teacher_outputs import ITSELF, Part, ordered, taken
from .spec.training import TEACHER, TermSpec
from .targets._prepared import prepared

# Outputs of a network on a batch that terms use; the batch is the first axis.
Said = Mapping[Part, Tensor]


class Pair(NamedTuple):
    """Sizes of two blocks that a term compares."""

    student: BlockSize
    teacher: BlockSize


class When(NamedTuple):
    """The next update: its number, updates per epoch, and epochs."""

    step: int
    steps: int
    epochs: int

    @property
    def progress(self) -> float:
        """Share of the training that is done."""
        return self.step / (self.steps * self.epochs)


class Term(nn.Module):
    """One term of the loss; the class `Loss` of `objectives/<name>.py` implements `forward`.

    The parameters of `forward` are what it takes: `labels` [B]; `targets`, labels [B] or, if the recipe mixes images,
    class probabilities [B, K]; and with the prefix `student_` or `teacher_`: `logits` [B, K] and `pooled` [B, D], the
    head's input; of the blocks of the term's pairs `features` [B, C, H, W], `classes` [B, P, C] and `registers` [B, R,
    C] (tokens that are not patches); of their attention layers `attention` [B, heads, N, N], query before key, and
    `values` [B, N, C], heads side by side. A term that takes anything of a block is called once per pair, whose number
    it can take as `pair`.

    `forward` returns the unweighted value, a scalar. Without a teacher part, `teacher` is None and `pairs` is empty.
    """

    def __init__(
        self, options: dict[str, Any], student: NetworkSize, teacher: NetworkSize | None, pairs: Sequence[Pair] = ()
    ):
        super().__init__()
        self.options, self.student, self.teacher, self.pairs = options, student, teacher, tuple(pairs)
        self.build()

    def build(self) -> None:
        """Create the term's own modules; none by default. Raises StudyError if the sizes do not fit."""


class Objective(nn.Module):
    """The weighted sum of a variant's terms.

    Instead of a weight a term may have a share of the loss, or of the gradient norms of all terms on the student's
    blocks (`objectives/_calibration.py`). During the first updates its weight is recomputed in each to give this share;
    then it is fixed to give the share over all of these updates together. Its course multiplies the weight. Weights are
    constants: no gradient flows through them. `seed` seeds the controls that replace a teacher.
    """

    weights: Tensor
    shares: Tensor
    sums: Tensor
    places: Tensor
    alike: Tensor

    def __init__(
        self, terms: tuple[TermSpec, ...], student: NetworkSize, teachers: Sequence[NetworkSize] = (), seed: int = 0
    ):
        super().__init__()
        self.specs = {term.name: term for term in terms}
        self.student, self.teachers, self.seed = student, tuple(teachers), seed
        self.terms = nn.ModuleDict({term.name: self._made(term) for term in terms})
        shares = [term.share or term.gradient_share or 0.0 for term in terms]
        # Configuration, which moves with the module but is not part of its state.
        for name, values in {"weights": [term.weight or 0.0 for term in terms], "shares": shares}.items():
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32), persistent=False)
        self.shared, self.by_gradient = any(shares), any(term.gradient_share for term in terms)
        if self.shared:
            # Part of a training's saved state, like a layer's running statistics.
            self.register_buffer("sums", torch.zeros(len(terms)))
        self.gated = [term.name for term in terms if term.moves is not None and term.moves.by == "cka"]
        self.at = [0] * len(self.gated)
        if self.gated:
            # Current pair of each gated term; in this epoch, the sum of each one's CKA and the number of updates.
            self.register_buffer("places", torch.tensor(self.at))
            self.register_buffer("alike", torch.zeros(len(self.gated), 2))

    def _made(self, term: TermSpec) -> nn.Module:
        teacher = None if term.teacher is None else self.teachers[term.teacher]
        theirs = teacher or self.student
        pairs = [Pair(self.student.blocks[s], theirs.blocks[t]) for s, t in term.pairs]
        module = import_module(f".objectives.{term.objective}", __package__)
        return module.Loss(dict(term.options), self.student, teacher, pairs)

    def begin(self) -> None:
        """Apply a loaded state as far as it decides what networks are asked for."""
        if self.gated:
            self.at = self.places.tolist()

    def calibrates(self, when: When) -> bool:
        """Return whether weights are calibrated in an update."""
        return self.shared and _part("calibration").calibrates(when.step)

    def active(self, when: When) -> list[TermSpec]:
        """Return the terms computed in an update: those with a nonzero weight; during calibration, all."""
        terms = list(self.specs.values())
        if self.calibrates(when):
            return terms
        return [term for term in terms if term.course is None or term.course.factor(when.progress) > 0]

    def pairs(self, term: TermSpec, when: When) -> list[int]:
        """Return the numbers of the pairs a term compares in an update."""
        if term.moves is None:
            return list(range(len(term.pairs)))
        if term.name in self.gated:
            return [self.at[self.gated.index(term.name)]]
        return [when.step // when.steps * len(term.pairs) // when.epochs]

    def _numbers(self, term: TermSpec, when: When) -> Sequence[int | None]:
        return self.pairs(term, when) or [None]

    def asks(self, when: When) -> dict[int, list[Part]]:
        """Return what an update requests of the student (ITSELF) and of each teacher, by number."""
        asked: dict[int, set[Part]] = {ITSELF: set()}
        for term in self.active(when):
            for number in self._numbers(term, when):
                for name in term.takes:
                    who, part = taken(term, name, number)
                    if who is not None:
                        asked.setdefault(who, set()).add(part)
        return {who: ordered(parts) for who, parts in asked.items()}

    def values(self, said: Mapping[int, Said], labels: Tensor, targets: Tensor, when: When) -> dict[str, Tensor]:
        """Return the unweighted value of every active term, in float32, from the outputs of student (ITSELF) and
        teachers.
        """
        with torch.autocast(labels.device.type, enabled=False):
            return {term.name: self._value(term, said, labels, targets, when) for term in self.active(when)}

    def _value(self, term: TermSpec, said: Mapping[int, Said], labels: Tensor, targets: Tensor, when: When) -> Tensor:
        values = []
        for number in self._numbers(term, when):
            given: dict[str, Any] = {"labels": labels, "targets": targets, "pair": number}
            shared = {name: given[name] for name in term.takes if name in ("labels", "targets")}
            for name in term.takes:
                who, part = taken(term, name, number)
                if who is not None:
                    given[name] = said[who][part].float()
                    if who != ITSELF:
                        shared[name] = given[name]
            before = {name: tensor._version for name, tensor in shared.items()}
            for name in shared.keys() - {"labels", "targets"}:
                given[name] = _target(term, given[name], name.partition("_")[2], self.seed)
            value = self.terms[term.name](**{name: given[name] for name in term.takes})
            _check(self.terms[term.name], value, [name for name in shared if shared[name]._version != before[name]])
            values.append(value)
            if term.name in self.gated:
                self.alike[self.gated.index(term.name)] += _part("gate").alike(given)
        if not term.pairs:
            return values[0]
        return (1.0 if term.reduction == "sum" else 1.0 / len(values)) * torch.stack(values).sum()

    def end_epoch(self) -> None:
        """Advance the gated terms whose blocks were similar enough in the epoch."""
        if not self.gated:
            return
        self.at = _part("gate").moved([self.specs[name] for name in self.gated], self.at, self.alike)
        self.places.copy_(torch.tensor(self.at))
        self.alike.zero_()

    def weighed(self, values: dict[str, Tensor], when: When, norms: Tensor | None = None) -> dict[str, Tensor]:
        """Return {"loss": weighted sum, term: unweighted value (NaN: not computed), ..., "weights": [terms]}.

        `norms` [terms] are those of the terms' gradients on the student's blocks, if weights are calibrated by them.
        """
        there = torch.stack(list(values.values()))
        parts = {name: values.get(name, there.new_full((), torch.nan)) for name in self.specs}
        weights = self._weights(torch.stack(list(parts.values())).detach() if norms is None else norms, when)
        if any(term.course for term in self.specs.values()):
            factors = [1.0 if t.course is None else t.course.factor(when.progress) for t in self.specs.values()]
            weights = weights * torch.tensor(factors).to(weights.device, non_blocking=True)
        own = weights if len(values) == len(parts) else weights[[name in values for name in parts]]
        return {"loss": (own * there).sum(), **parts, "weights": weights}

    def _weights(self, of: Tensor, when: When) -> Tensor:
        """Return the weight of every term in an update, without its course; a share is one of the values `of` (loss or
        norms).
        """
        if not self.shared:
            return self.weights
        return _part("calibration").weights(when.step, of, self.weights, self.shares, self.sums)


def _part(name: str) -> ModuleType:
    """Return a part of the objective that only some trainings use; only their keys depend on its code."""
    return import_module(f".objectives._{name}", __package__)


def _check(term: nn.Module, value: Any, changed: Sequence[str]) -> None:
    """Raise StudyError if a term returned no number or `changed` its inputs in place."""
    if not isinstance(value, Tensor) or value.ndim or not value.is_floating_point():
        what = f"{value.dtype} {tuple(value.shape)}" if isinstance(value, Tensor) else f"{value!r:.80}"
        raise StudyError(f"{place_of(type(term).forward)}: returned {what}; return one number, a tensor without axes")
    if changed:
        raise StudyError(
            f"{place_of(type(term).forward)}: it (or the term's target) changes {', '.join(changed)} in place, which "
            "others are handed, too; make a new tensor"
        )


def _target(term: TermSpec, values: Tensor, kind: str, seed: int) -> Tensor:
    """Return the target of a term, made from its teacher's output."""
    if term.target != TEACHER:
        module = import_module(f".targets.{term.target}", __package__)
        values = module.target(values, kind, seed) if hasattr(module, "target") else values
    return prepared(values, kind, term.options)
