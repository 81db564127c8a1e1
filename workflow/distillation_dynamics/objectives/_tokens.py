"""What objectives on all tokens of a block share: which tokens both networks have, and how their heads are matched."""

import torch
from torch import Tensor

from ..objective import Pair
from ..spec.network import BlockSize


def common(pair: Pair, mask_prefix: bool, device: torch.device) -> list[Tensor | None]:
    """Return which of the student's tokens, and of the teacher's, both have; None: all of them.

    Tokens are class tokens, registers, patches. Both have the first class tokens and registers of each, up to the lower
    number of them (none with `mask_prefix`), and all patches.
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
    """Return maps [B, heads, N, N] of both networks with one number of heads.

    Where one number divides the other, the larger's neighbouring heads are averaged in groups; otherwise all of each.
    """
    count, other = ours.shape[1], theirs.shape[1]
    fewest = min(count, other) if max(count, other) % min(count, other) == 0 else 1
    grouped = [of.unflatten(1, (fewest, -1)).mean(dim=2) for of in (ours, theirs)]
    return grouped[0], grouped[1]
