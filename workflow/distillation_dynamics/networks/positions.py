"""Finds the position grid that released weights were trained on, from the file's header or timm.

Weights with one position per patch were trained at one image size; at another size timm resamples the embedding.
Networks for any image size (NaFlexVit) hold a fixed grid and resample it for each image.
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

# Names of such a tensor in various code bases, except that of a decoder or text network.
NAME = re.compile(r"(^|[._])pos(ition(al)?)?_embed(ding)?s?(\.weight)?$")
OTHERS = re.compile("decoder|text|relative")
# No network has this many tokens before its patches.
MOST_BEFORE = 32


def trained_side(query: ModelQuery, model: Model, view: View, size: NetworkSize, cfg: Mapping[str, Any]) -> int | None:
    """Return the rows (= columns) of the grid that released weights were trained on; None if unknown.

    `size` is the image size of `view`; `cfg` is timm's entry for weights that are not local.
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
    """Return the rows (= columns) of a fixed position grid, independent of image size; None without one."""
    grids = [_grid(model, view)]
    if grids[0] is not None:
        grids.append(_grid(model, replace(view, image_size=2 * view.image_size)))
    return grids[0] if grids[0] == grids[-1] else None


def _grid(model: Model, view: View) -> int | None:
    """Return the side of a network's position embedding [1, rows, columns, C]; None without a square one."""
    state = without_values(lambda: build(model, view)).state_dict()
    shapes = [value.shape for name, value in state.items() if NAME.search(name) and value.ndim == 4]
    return next((rows for one, rows, columns, _ in shapes if one == 1 and rows == columns), None)


def _tokens(shapes: Mapping[str, Sequence[int]], channels: int) -> int | None:
    """Return the number of tokens of the position embedding among tensors; None without one of that width."""
    for name, shape in shapes.items():
        if NAME.search(name) and not OTHERS.search(name) and channels in shape:
            return math.prod(shape) // channels
    return None


def _side(tokens: int, before: int) -> int | None:
    """Return the side of the square grid of patches, given the number of other tokens in the network.

    Other code bases may have positions for other tokens before the patches: none, a class or a distillation token.
    """
    for count in (before, 0, 1, 2):
        side = math.isqrt(max(tokens - count, 0))
        if side and side * side == tokens - count:
            return side
    return None
