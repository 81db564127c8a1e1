"""The grid of positions that released weights were trained on: as the header of their file says, or as timm does.

Weights whose position embedding has a token a patch were trained at one size of images; at another timm resamples it.
Networks for images of any size (NaFlexVit) hold a grid of their own, and resample it for each.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..spec.images import View
from ..spec.network import Model, ModelQuery, NetworkSize
from .build import build, without_values
from .weights_file import header, is_local, local_weights

# What code bases call such a tensor, but for that of a decoder or of a network of texts.
NAME = re.compile(r"(^|[._])pos(ition(al)?)?_embed(ding)?s?(\.weight)?$")
OTHERS = re.compile("decoder|text|relative")
# No network has so many tokens before its patches.
MOST_BEFORE = 32


def trained_side(query: ModelQuery, model: Model, view: View, size: NetworkSize, cfg: Mapping[str, Any]) -> int | None:
    """Return rows (and columns) of the grid that released weights were trained on; None where nothing tells.

    `size` is that of the network in `view`; `cfg` what timm says of the weights, for those that lie elsewhere.
    """
    first = size.blocks[0]
    network = without_values(lambda: build(model, view))
    ours = _tokens({name: value.shape for name, value in network.state_dict().items()}, first.channels)
    before = ours - first.rows * first.columns if ours else -1
    if query.released is None or not 0 <= before <= MOST_BEFORE:
        return None
    if is_local(query.released):
        shapes = {name: tensor["shape"] for name, tensor in header(Path(local_weights(query.released, ""))).items()}
        theirs = _tokens(shapes, first.channels)
        return None if theirs is None else _side(theirs, before)
    pixels = (cfg.get("input_size") or (0, 0))[1]
    side, rest = divmod(pixels * first.rows, view.image_size)
    return side if side and not rest else None


def own_side(model: Model, view: View) -> int | None:
    """Return rows (and columns) of the grid that a network holds whatever its images' size is; None of others."""
    grids = [_grid(model, view)]
    if grids[0] is not None:
        grids.append(_grid(model, replace(view, image_size=2 * view.image_size)))
    return grids[0] if grids[0] == grids[-1] else None


def _grid(model: Model, view: View) -> int | None:
    """Return the side of a position embedding [1, rows, columns, C] of a network; None without one, or of no square."""
    state = without_values(lambda: build(model, view)).state_dict()
    shapes = [value.shape for name, value in state.items() if NAME.search(name) and value.ndim == 4]
    return next((rows for one, rows, columns, _ in shapes if one == 1 and rows == columns), None)


def _tokens(shapes: Mapping[str, Sequence[int]], channels: int) -> int | None:
    """Return how many tokens the position embedding among tensors has; None without one of so many channels."""
    for name, shape in shapes.items():
        if NAME.search(name) and not OTHERS.search(name) and channels in shape:
            return math.prod(shape) // channels
    return None


def _side(tokens: int, before: int) -> int | None:
    """Return the side of the square of patches among tokens, of which as many stand before it as in the network.

    Other code bases have positions of other tokens before the patches: none, a class token, one of distillation.
    """
    for count in (before, 0, 1, 2):
        side = math.isqrt(max(tokens - count, 0))
        if side and side * side == tokens - count:
            return side
    return None
