"""Selects representative images, spread as evenly over classes as possible. Imports no torch."""

import numpy as np

from ..errors import StudyError

# Fixed, since held-out images must not change with a study's seeds.
SPLIT_SEED = 0


def balanced(labels: np.ndarray, count: int, seed: int = SPLIT_SEED) -> np.ndarray:
    """Return `count` positions, ascending, spread as evenly over the classes of `labels` as possible; fixed by `seed`.

    If no image has a label (all are -1) they are spread evenly over the images in order. Raises StudyError if there are
    fewer than `count` images.
    """
    if count > len(labels):
        raise StudyError(f"{count} images are asked for, but there are only {len(labels)}")
    if np.all(labels == -1):
        return np.linspace(0, len(labels) - 1, count).round().astype(np.int64)
    generator = np.random.default_rng(seed)
    shuffled = generator.permutation(len(labels))
    classes = labels[shuffled]
    # Rank of each image within its class: the smallest ranks first cycles through the classes.
    rank = np.empty(len(labels), dtype=np.int64)
    for value in np.unique(labels):
        members = np.flatnonzero(classes == value)
        rank[members] = np.arange(len(members))
    return np.sort(shuffled[np.argsort(rank, kind="stable")[:count]])
