"""Gradients of single terms on the student's blocks: their norm, and whether they agree with the task's."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .. import distributed

# Gradients of a term by parameter; None where the term does not depend on it.
Gradients = Sequence[Tensor | None]


def compared(terms: Sequence[Gradients], task: Sequence[float], blocks: Sequence[Sequence[nn.Parameter]]) -> Tensor:
    """Return norm and cosine to the task's gradient for every term and block, [terms, blocks, 2].

    A term's gradients are ordered by the parameters of all blocks. The task's gradient is the sum of the terms'
    gradients with the weights `task`. The cosine is NaN where a gradient is 0.
    """
    sizes = [sum(p.numel() for p in block) for block in blocks]
    parameters = [p for block in blocks for p in block]
    flat = [
        torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for g, p in zip(term, parameters, strict=True)])
        for term in terms
    ]
    flat = [distributed.mean(term) for term in flat]
    aim = sum((weight * term for weight, term in zip(task, flat, strict=True)), torch.zeros_like(flat[0])).split(sizes)
    found = []
    for term in flat:
        for own, other in zip(term.split(sizes), aim, strict=True):
            norm, length = own.norm(), other.norm()
            cosine = torch.dot(own / norm, other / length)
            found.append(torch.stack([norm, cosine]))
    return torch.stack(found).view(len(terms), len(blocks), 2)
