"""Keeps outputs on the first images of a pass, so that the next pass need not recompute them."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from ..outputs import Outputs, Prefix, Request
from ..spec.measure import KEPT


class Kept:
    """Keeps the outputs of batches as far as they fit; `later`: the requests of the next passes.

    Only features and what one pass gives with them are kept.
    """

    def __init__(self, later: Request, most: int = KEPT):
        self.outputs: list[Outputs] = []
        nothing = later == Request() or bool(later.attention or later.gradients or later.network)
        self.left = 0 if nothing else most

    def add(self, outputs: Outputs) -> None:
        """Keep the outputs of the next batch; from the first that does not fit, none is kept."""
        if not self.left:
            return
        # Views of other tokens would keep the whole tensor alive.
        prefix = {block: Prefix(*(part.clone() for part in parts)) for block, parts in outputs.prefix.items()}
        kept = replace(outputs, prefix=prefix, gradients={}, network=None, images=None)
        size = sum(tensor.nbytes for tensor in _tensors(kept))
        if size <= self.left:
            self.outputs.append(replace(kept, features=_in_one_block(kept.features)))
            self.left -= size
        else:
            self.left = 0


def _tensors(outputs: Outputs) -> Iterator[Tensor]:
    parts = (outputs.logits, outputs.pooled, *outputs.features.values(), *outputs.lens.values())
    yield from (part for part in parts if isinstance(part, torch.Tensor))
    for prefix in outputs.prefix.values():
        yield from prefix


def _in_one_block(features: dict[int, Tensor]) -> dict[int, Tensor]:
    """Return the features in one contiguous memory block, which the allocator maps separately if large.

    Otherwise many kept tensors among freed ones leave holes in the heap of several times their size. Other memory
    layouts than rows of the last axis stay as they are, since sums run along them.
    """
    if not all(values.is_contiguous() for values in features.values()):
        return features
    flat = torch.cat([values.reshape(-1) for values in features.values()])
    parts = flat.split([values.numel() for values in features.values()])
    return {block: part.view(of.shape) for (block, of), part in zip(features.items(), parts, strict=True)}
