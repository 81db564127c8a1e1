"""Helpers of objectives on all tokens of a block: tokens that both networks have, and matching of heads."""

import torch
from torch import Tensor

from ..objective import Pair
from ..spec.network import BlockSize


def common(pair: Pair, mask_prefix: bool, device: torch.device) -> list[Tensor | None]:
    """Return the token indices that student and teacher have in common; None: all.

    Tokens are class tokens, registers, patches. Common are the first class tokens and registers up to the smaller
    number (none with `mask_prefix`), and all patches.
    """
    classes, registers = (0 if mask_prefix else min(of) for of in zip(*map(_prefix, pair), strict=True))

    def kept(block: BlockSize) -> Tensor | None:
        if (classes, registers) == _prefix(block):
            return None
        before, count = block.classes, block.rows * block.columns
        wanted = [*range(classes), *range(before, before + registers)]
        patches = range(before + block.registers, before + block.registers + count)
        return torch.tensor([*wanted, *patches], device=device)

    return [kept(block) for block in pair]


def _prefix(block: BlockSize) -> tuple[int, int]:
    return block.classes, block.registers


def matched(ours: Tensor, theirs: Tensor) -> tuple[Tensor, Tensor]:
    """Return the maps [B, heads, N, N] of both networks with equal numbers of heads.

    If one number divides the other, neighbouring heads of the larger are averaged in groups; otherwise all heads of
    each.
    """
    count, other = ours.shape[1], theirs.shape[1]
    fewest = min(count, other) if max(count, other) % min(count, other) == 0 else 1
    grouped = [of.unflatten(1, (fewest, -1)).mean(dim=2) for of in (ours, theirs)]
    return grouped[0], grouped[1]
