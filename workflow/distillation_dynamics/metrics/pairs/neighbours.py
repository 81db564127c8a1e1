"""Mutual nearest neighbours: overlap of the images that two networks consider similar.

In: mean patch tokens of the same n images. Out: the mean share of an image's k nearest neighbours in one network that
are also among its k nearest in the other; by cosine, excluding the image itself and others of its group (of one
photograph). Source: Huh et al., The Platonic Representation Hypothesis, ICML 2024 (k = 10). Imports no torch.
"""

from functools import partial

import numpy as np
from scipy import sparse

from ...errors import say_once
from ...files import Column
from .._linear import nearest, sizes_of
from .activations import Activations

REQUIRES = ("pooled",)
NEIGHBOURS = 10
PAIR_COLUMNS = {
    "neighbours": Column("", f"mean share of the {NEIGHBOURS} nearest images (by cosine) that are the same in both"),
    "neighbours_chance": Column("", "what unrelated networks would reach, k / (images - 1); of images of other groups"),
    "neighbours_k": Column("images", f"k: {NEIGHBOURS}, or all others (of other groups) where these are fewer"),
}


def compare(first: Activations, second: Activations) -> dict[str, np.ndarray]:
    """Return the columns of PAIR_COLUMNS, [L1, L2]."""
    images, shape = first.image_count, (first.blocks, second.blocks)
    others = images - sizes_of(first.groups)
    k = min(NEIGHBOURS, int(others.min()))
    if k == 0:
        say_once(f"nearest neighbours need images of two groups, and {first.path} has those of one: they stay empty")
        empty = np.full(shape, np.nan)
        return {"neighbours": empty, "neighbours_chance": empty, "neighbours_k": np.zeros(shape, dtype=np.int64)}
    # Exactly the single value if all images have the same number of others.
    chance = k / others[0] + np.mean(k / others - k / others[0])
    ours, theirs = (rows.of_blocks("neighbours", partial(_places, rows, k)) for rows in (first, second))
    return {
        "neighbours": _overlaps(ours, theirs, images, k),
        "neighbours_chance": np.full(shape, chance),
        "neighbours_k": np.full(shape, k),
    }


def _places(rows: Activations, k: int, block: int) -> np.ndarray | None:
    found = nearest(rows.pooled(block), k, rows.groups)
    return None if found is None else found[0]


def _overlaps(xs: list[np.ndarray | None], ys: list[np.ndarray | None], images: int, k: int) -> np.ndarray:
    """Return shares of common neighbours for every pair of blocks, [Lx, Ly], from one product of sparse matrices."""
    x, y = (_memberships(blocks, images) for blocks in (xs, ys))
    shares = (x @ y.T).toarray() / (images * k)
    missing = np.array([block is None for block in xs])[:, None] | np.array([block is None for block in ys])
    return np.where(missing, np.nan, shares)


def _memberships(blocks: list[np.ndarray | None], images: int) -> sparse.csr_array:
    """Return a row per block, a column per ordered pair of images: 1 if the second is among the first's nearest."""
    first = images * np.arange(images)[:, None]
    places = [np.empty(0, dtype=np.int64) if near is None else (first + near).ravel() for near in blocks]
    columns = np.concatenate(places)
    starts = np.cumsum([0, *map(len, places)])
    return sparse.csr_array((np.ones(len(columns)), columns, starts), shape=(len(blocks), images * images))
