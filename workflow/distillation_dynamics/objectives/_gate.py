"""Advances terms to their next pair of blocks once the CKA of the present pair has reached a gate.

Imported only by trainings with such a term.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from .. import distributed
from ..similarity import cka
from ..spec.training import GATE_TAKES, TermSpec


def alike(given: dict[str, Tensor]) -> Tensor:
    """Return the CKA of a term's blocks in an update, and 1 to count the update, [2]."""
    rows = [given[name].detach().mean(dim=(2, 3)) for name in GATE_TAKES]
    return torch.stack([cka(*rows), torch.ones_like(rows[0][0, 0])])


def moved(terms: Sequence[TermSpec], at: Sequence[int], sums: Tensor) -> list[int]:
    """Return the pair number that each term compares next, from `sums` [terms, 2] of `alike` over the epoch."""
    places = list(at)
    for number, (total, count) in enumerate(distributed.mean(sums.clone()).tolist()):
        term = terms[number]
        assert term.moves is not None and term.moves.gate is not None
        if count and total / count >= term.moves.gate:
            places[number] = min(places[number] + 1, len(term.pairs) - 1)
    return places
