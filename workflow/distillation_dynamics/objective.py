"""What a student minimises: a weighted sum of named terms.

A term is one file of `objectives/`, a module that holds whatever it trains (projections), so that the optimiser,
which is built after it, knows it. `Objective` adds the terms up and hands every part out by name. All of it runs in
float32, outside autocast.
"""

from abc import ABC, abstractmethod
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from . import distributed
from .outputs import Outputs, Request, Shape
from .spec.training import TermSpec

# Updates over which a term that is given a share of the loss has just that share; then its weight is fixed.
SHARED_UPDATES = 100


class Term(nn.Module, ABC):
    """One term of the loss; a subclass named `Loss` in `objectives/<name>.py` gives `forward`."""

    def __init__(self, spec: TermSpec, student: list[Shape], teacher: list[Shape]):
        super().__init__()
        self.options: dict[str, Any] = dict(spec.options)
        self.pairs = spec.pairs

    @abstractmethod
    def forward(self, student: Outputs, teacher: Outputs, labels: Tensor) -> Tensor:
        """Return the unweighted value, a scalar."""


class FeatureTerm(Term):
    """A term over pairs of blocks; a subclass gives `distance` of one pair. Pairs are averaged or summed."""

    def __init__(self, spec: TermSpec, student: list[Shape], teacher: list[Shape]):
        super().__init__(spec, student, teacher)
        self.scale = 1.0 if spec.reduction == "sum" else 1.0 / len(spec.pairs)
        self.shapes = [(student[s], teacher[t]) for s, t in spec.pairs]
        self.build()

    def build(self) -> None:
        """Create the term's own modules; nothing by default."""

    @abstractmethod
    def distance(self, pair: int, student: Tensor, teacher: Tensor) -> Tensor:
        """Return the distance of pair number `pair`: student [B, Cs, H, W], teacher [B, Ct, H, W]."""

    def forward(self, student: Outputs, teacher: Outputs, labels: Tensor) -> Tensor:
        """Return the mean (or sum) of the pairs' distances."""
        distances = [
            self.distance(number, student.features[s], teacher.features[t]) for number, (s, t) in enumerate(self.pairs)
        ]
        return self.scale * torch.stack(distances).sum()


class Objective(nn.Module):
    """The weighted sum of a variant's terms.

    A term may be given a share of the loss instead of a weight: in each of the first `SHARED_UPDATES` updates its
    weight is the one with which it has that share of that batch's loss; from then on, the one with which it has it of
    all of them together. Weights are numbers to training: no gradient flows through them.
    """

    weights: Tensor
    shares: Tensor
    updates: Tensor
    sums: Tensor

    def __init__(self, terms: tuple[TermSpec, ...], student: list[Shape], teacher: list[Shape]):
        super().__init__()
        self.terms = nn.ModuleDict(
            {
                term.name: import_module(f".objectives.{term.name}", __package__).Loss(term, student, teacher)
                for term in terms
            }
        )
        self.blocks = {s for term in terms for s, _ in term.pairs}
        # What is configured moves with the module and is no part of its state.
        given = {"weights": [term.weight or 0.0 for term in terms], "shares": [term.share or 0.0 for term in terms]}
        for name, values in given.items():
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32), persistent=False)
        self.shared = any(given["shares"])
        if self.shared:
            # Part of the state of a training, as a layer's running means are.
            self.register_buffer("updates", torch.zeros(()))
            self.register_buffer("sums", torch.zeros(len(terms)))

    @property
    def request(self) -> Request:
        """What is asked of the student: logits, and the blocks that terms align."""
        return Request(logits=True, features=tuple(sorted(self.blocks)))

    def forward(self, student: Outputs, teacher: Outputs, labels: Tensor) -> dict[str, Tensor]:
        """Return {"loss": weighted sum, term: unweighted value, ..., "weights": [terms]}, float32."""
        student, teacher = student.float(), teacher.float()
        with torch.autocast(labels.device.type, enabled=False):
            parts = {name: term(student, teacher, labels) for name, term in self.terms.items()}
        values = torch.stack(list(parts.values()))
        weights = self._weights(values.detach())
        return {"loss": (weights * values).sum(), **parts, "weights": weights}

    def _weights(self, values: Tensor) -> Tensor:
        """Return the weight of every term in an update with these values [terms]."""
        if not self.shared:
            return self.weights
        values = distributed.mean(values)
        first = self.updates < SHARED_UPDATES
        self.sums += torch.where(first, values, 0.0)
        self.updates += 1
        of = torch.where(first, values, self.sums)
        # Weights are given or shared: weight x value = share x loss, and the given ones make the rest of the loss.
        loss = (self.weights * of).sum() / (1 - self.shares.sum())
        return torch.where(self.shares > 0, self.shares * loss / of, self.weights)
