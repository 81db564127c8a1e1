"""Helpers of feature objectives: tokens of a feature map, and the linear map from student to teacher channels."""

from collections.abc import Iterable

from torch import Tensor, nn
from torch.nn.utils.parametrizations import orthogonal

from ..objective import Pair


def tokens(features: Tensor) -> Tensor:
    """Return [B, C, H, W] as tokens [B, H * W, C], row by row."""
    return features.flatten(2).mT


def projections(pairs: Iterable[Pair], kind: str) -> nn.ModuleList:
    """Return a linear map of the last axis for each pair, from student to teacher channels.

    `trained` and `frozen` maps have torch's initial weights and a bias. `orthogonal` maps have no bias, and orthonormal
    rows (or columns, if the teacher has more channels) throughout training, by torch's parametrization.
    """
    # torch's default for non-square matrices (Householder) keeps signs among its parameters and rounds them: the first
    # step with weight decay turns them, and the whole map, into 0.
    maps = nn.ModuleList(nn.Linear(s.channels, t.channels, bias=kind != "orthogonal") for s, t in pairs)
    if kind == "orthogonal":
        return nn.ModuleList(orthogonal(each, orthogonal_map="cayley") for each in maps)
    return maps.requires_grad_(kind == "trained")
