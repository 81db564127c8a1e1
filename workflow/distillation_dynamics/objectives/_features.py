"""What objectives on features share: tokens of a map, and the linear map of the student's channels to the teacher's."""

from collections.abc import Iterable

from torch import Tensor, nn
from torch.nn.utils.parametrizations import orthogonal

from ..objective import Pair


def tokens(features: Tensor) -> Tensor:
    """Lay [B, C, H, W] out as [B, H * W, C], row by row."""
    return features.flatten(2).mT


def projections(pairs: Iterable[Pair], kind: str) -> nn.ModuleList:
    """Return a linear map of the last axis for each pair, from the student's channels to the teacher's.

    `trained` and `frozen` ones have torch's first weights and a bias. `orthogonal` ones have none, and orthonormal rows
    (or columns, where the teacher has more channels) at any time of the training, by torch's parametrization.
    """
    # Not by torch's own choice for matrices that are not square (Householder's), which keeps signs among its parameters
    # and rounds them: the first step with weight decay makes them, and the whole map, 0.
    maps = nn.ModuleList(nn.Linear(s.channels, t.channels, bias=kind != "orthogonal") for s, t in pairs)
    if kind == "orthogonal":
        return nn.ModuleList(orthogonal(each, orthogonal_map="cayley") for each in maps)
    return maps.requires_grad_(kind == "trained")
