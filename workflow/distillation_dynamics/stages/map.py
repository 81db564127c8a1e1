"""The stage `map`: place all blocks of all networks and epochs on one plane, near blocks that arrange images similarly.

In: mean patch tokens of every block for the same images. Out: `map.parquet`, one point per block. The distance is the
angle between centred linear kernels, arccos of biased linear CKA, which is a metric (Williams et al., NeurIPS 2021);
the plane is that of classical scaling (Torgerson, 1952). It is biased: with few images any two networks come close.
Images of one group (of one photograph) count as one, their mean.
"""

from pathlib import Path

import numpy as np
from scipy.linalg import eigh, eigvalsh

from ..errors import StudyError, say_once
from ..files import Column, whole_numbers, write_joined
from ..metrics._linear import centred
from ..metrics.keys import BLOCK, MAY_BE_MISSING, NETWORK
from ..metrics.pairs.activations import Activations, matched
from ..spec.compare import MapJob

# Distances converge with far fewer images than a comparison has, and kernels take n^2 values per block.
MOST_IMAGES = 256
# Length of kernel parts multiplied in float32, whose sums are added in float64.
CHUNK = 4096
COLUMNS = (
    NETWORK
    | BLOCK
    | {
        "x": Column("radians", "first coordinate, along which points differ most; NaN if all images look the same"),
        "y": Column("radians", "second coordinate"),
        "explained": Column(
            "", "share of the plane in the sum of absolute eigenvalues of the scaling, the same in all rows"
        ),
        "images": Column("images", "number of images that the distances rest on"),
    }
)


def shape_distances(kernels: np.ndarray) -> np.ndarray:
    """Angles in radians, [P, P] in float64, between P vectors [P, m] of length 1 in float32."""
    cosines = np.zeros((len(kernels), len(kernels)))
    for start in range(0, kernels.shape[1], CHUNK):
        part = kernels[:, start : start + CHUNK]
        cosines += part @ part.T
    np.fill_diagonal(cosines, 1)
    return np.arccos(np.clip(cosines, -1, 1))


def kernel_vector(rows: np.ndarray) -> np.ndarray:
    """Return the centred linear kernel of rows [n, C] as a vector of length 1, [n (n + 1) / 2], in float32.

    Off-diagonal values count twice. NaN if all rows are equal.
    """
    rows = centred(rows)
    kernel = rows @ rows.T
    norm = np.linalg.norm(kernel)
    kernel *= np.sqrt(2)
    np.fill_diagonal(kernel, kernel.diagonal() / np.sqrt(2))
    vector = kernel[np.triu_indices(len(kernel))]
    return (vector / norm if norm > 0 else np.full_like(vector, np.nan)).astype(np.float32)


def classical_scaling(distances: np.ndarray) -> tuple[np.ndarray, float]:
    """Return points [P, 2] whose distances best match those given, [P, P], and the share that two dimensions preserve.

    The share is that of the first two eigenvalues (where positive) of the doubly centred squared distances in the sum
    of the absolute values of all; 1 where all distances are 0. Along each axis the point farthest from 0 is on the
    positive side.
    """
    squared = np.square(distances)
    means = squared.mean(axis=0)
    inner = -(squared - means - means[:, None] + means.mean()) / 2
    count = len(inner)
    total = np.abs(eigvalsh(inner)).sum()
    values, vectors = eigh(inner, subset_by_index=[max(0, count - 2), count - 1])
    values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
    points = np.zeros((count, 2))
    points[:, : len(values)] = vectors * np.sqrt(values)
    farthest = np.abs(points).argmax(axis=0)
    signs = np.where(points[farthest, [0, 1]] < 0, -1, 1)
    return points * signs, float(values.sum() / total) if total > 0 else 1.0


def main(job: MapJob, gpus: int = 0) -> None:
    """Place every block of every network on the map."""
    keys: dict[str, list] = {name: [] for name in NETWORK | BLOCK}
    vectors, first, taken = [], None, np.arange(0)
    for named in job.activations:
        rows = Activations(named.file.files[0])
        if first is None:
            first = rows
            count = len(rows.first_images)
            taken = np.unique(np.linspace(0, count - 1, min(count, MOST_IMAGES)).round().astype(int))
        matched(first, rows)
        for block, name in enumerate(rows.block_names):
            for key, value in zip(keys, (named.network, named.seed, named.epoch, block, name), strict=True):
                keys[key].append(value)
            vectors.append(kernel_vector(rows.photographs(block)[taken]))
    if first is None:
        raise StudyError("the map has no network to show; name one under networks in the study")
    placed = np.array([bool(np.isfinite(vector[0])) for vector in vectors])
    points, explained = np.full((len(placed), 2), np.nan), np.nan
    if placed.any():
        kernels = np.stack([vector for vector, has in zip(vectors, placed, strict=True) if has])
        points[placed], explained = classical_scaling(shape_distances(kernels))
    if not placed.all():
        say_once(f"map: {np.sum(~placed)} of {len(placed)} blocks do not distinguish the images and have no position")
    count = len(placed)
    columns = {name: whole_numbers(own) if name in MAY_BE_MISSING else np.array(own) for name, own in keys.items()}
    columns |= {"x": points[:, 0], "y": points[:, 1], "explained": np.full(count, explained)}
    columns["images"] = np.full(count, len(taken))
    write_joined(Path(job.out), {"map": [columns]}, {"map": COLUMNS})
