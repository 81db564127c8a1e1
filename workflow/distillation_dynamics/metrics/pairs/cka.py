"""Unbiased linear CKA: similarity of two networks' representations, up to rotation and scale.

In: rows [n, Dx] and [n, Dy] of the same n images (or tokens of them). Out: float64, 1 for equal representations, about
0 (possibly slightly below) for unrelated ones. Sources: HSIC_1 of Song et al., JMLR 2012 (eq. 5); Kornblith et al.,
ICML 2019; Nguyen, Raghu, Kornblith, ICLR 2021. Unlike there, HSIC is not averaged over minibatches but exact.

HSIC_1 is unbiased for independently drawn rows. Never use the tokens of one image as rows: they share its content, so
CKA would compare the layout of the grid (position embeddings, smoothness) instead of images, and be high for any two
networks. Rows are images, or a few tokens of each of many images at the same positions in both networks. Images of one
group (of one photograph) are not independent, either: they count as one row, their mean, and only the first one's
tokens are used. Imports no torch.

Of rows with mean 0, X [n, D] with squared norms a and Y with b, eq. 5 needs the linear kernels only through |X^T Y|^2 =
<X X^T, Y Y^T>: HSIC_1 = (|X^T Y|^2 - n / (n - 2) a.b + sum(a) sum(b) / ((n - 1) (n - 2))) / (n (n - 3)).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ...errors import say_once
from ...files import Column
from .activations import Activations

REQUIRES = ("pooled", "tokens")
PAIR_COLUMNS = {
    "cka_images": Column("", "unbiased linear CKA; a row is an image, the mean of its patch tokens"),
    "cka_tokens": Column("", "the same; a row is one of a few random tokens an image; NaN where the grids differ"),
    "tokens_per_image": Column("tokens", "random tokens of each image, at the same places in both networks"),
}
# HSIC is a difference of larger sums; below this share of them it is rounding and counts as 0.
TOLERANCE = 1e-13
FEWEST = 4
# Number of float64 values per chunk.
CHUNK_VALUES = 2**23


def unbiased_cka(x: np.ndarray, y: np.ndarray) -> float:
    """Return unbiased linear CKA of rows [n, Dx] and [n, Dy]: HSIC(x, y) / sqrt(HSIC(x, x) HSIC(y, y)).

    HSIC is HSIC_1 of the linear kernels; rows are arrays or tensors. NaN where one HSIC with itself is not above 0, as
    for constant rows. Raises ValueError for a wrong shape, NaN or infinity, or fewer than 4 rows.
    """
    x, y = (rows.detach().double().cpu() if hasattr(rows, "detach") else rows for rows in (x, y))
    return float(cka([np.asarray(x)], [np.asarray(y)])[0, 0])


def cka(xs: Sequence[np.ndarray], ys: Sequence[np.ndarray]) -> np.ndarray:
    """Return unbiased linear CKA of all Lx blocks [n, Dx] of one network with all Ly blocks [n, Dy] of another, [Lx,
    Ly].

    See `unbiased_cka`.
    """
    ours, theirs = _Side.of(xs, "xs"), _Side.of(ys, "ys")
    return _shares(_hsic(ours, theirs), _own(ours), _own(theirs))


def compare(first: Activations, second: Activations) -> dict[str, np.ndarray]:
    """Return the columns of PAIR_COLUMNS, [L1, L2]."""
    shape = first.blocks, second.blocks
    columns = {name: np.full(shape, np.nan) for name in ("cka_images", "cka_tokens")}
    columns["tokens_per_image"] = np.zeros(shape, dtype=np.int64)
    images = len(first.first_images)
    if images < FEWEST:
        say_once(f"CKA needs at least {FEWEST} images (or groups), and {first.path} has {images}: it stays empty")
    else:
        columns["cka_images"] = _compared(first, second, Activations.photographs, range(shape[0]), range(shape[1]))
    for grid in sorted({*first.grids} & {*second.grids}):
        rows, others = ([b for b in range(side.blocks) if side.grids[b] == grid] for side in (first, second))
        tokens = first.tokens_per_image[rows[0]]
        columns["tokens_per_image"][np.ix_(rows, others)] = tokens
        if images * tokens >= FEWEST:
            columns["cka_tokens"][np.ix_(rows, others)] = _compared(first, second, _tokens, rows, others)
    return columns


def _tokens(rows: Activations, block: int) -> np.ndarray:
    """Return the tokens of every photograph's first image."""
    tokens, kept = rows.tokens(block), rows.first_images
    if len(kept) == rows.image_count:
        return tokens
    return tokens.reshape(rows.image_count, -1, tokens.shape[1])[kept].reshape(-1, tokens.shape[1])


def _compared(
    first: Activations,
    second: Activations,
    kind: Callable[[Activations, int], np.ndarray],
    blocks: Sequence[int],
    others: Sequence[int],
) -> np.ndarray:
    sides, owns = [], []
    for rows, chosen in ((first, blocks), (second, others)):
        side = _Side.of([kind(rows, block) for block in chosen], f"{rows.path}: {kind.__name__.strip('_')}")
        sides.append(side)
        owns.append(rows.once(("hsic", kind, *chosen), partial(_own, side)))
    return _shares(_hsic(*sides), *owns)


def _shares(cross: np.ndarray, xs: np.ndarray, ys: np.ndarray) -> np.ndarray:
    xs, ys = (np.sqrt(np.where(values > 0, values, np.nan)) for values in (xs, ys))
    return cross / (xs[:, None] * ys)


@dataclass
class _Side:
    """Centred blocks [n, D] of one network in float64, provided in chunks.

    `origins`: two vectors [D] per block, subtracted one after the other; `norms` [n, L]: squared norms of the rest.
    """

    blocks: Sequence[np.ndarray]
    origins: list[tuple[np.ndarray, np.ndarray]]
    norms: np.ndarray

    @classmethod
    def of(cls, blocks: Sequence[np.ndarray], name: str) -> "_Side":
        """Return the blocks with origins and norms; raise ValueError as `unbiased_cka` does."""
        rows = len(blocks[0])
        for index, block in enumerate(blocks):
            if block.ndim != 2 or len(block) != rows or 0 in block.shape:
                raise ValueError(f"{name}[{index}] must be [{rows}, D], no axis empty, got shape {block.shape}")
        if rows < FEWEST:
            raise ValueError(f"unbiased CKA needs at least {FEWEST} rows, got {rows}")
        side = cls(blocks, [], np.empty((rows, len(blocks))))
        step = max(1, CHUNK_VALUES // max(side.widths))
        parts = [slice(start, start + step) for start in range(0, rows, step)]
        for index, block in enumerate(blocks):
            # First the first row is subtracted, so that identical rows become exactly 0.
            first = block[0].astype(np.float64)
            with np.errstate(invalid="ignore"):
                sums = sum((block[part] - first).sum(axis=0) for part in parts)
            if not np.isfinite(sums).all():
                raise ValueError(f"{name}[{index}] holds NaN or infinity")
            side.origins.append((first, sums / rows))
            for part in parts:
                side.norms[part, index] = np.square(side.block(index, part)).sum(axis=1)
        return side

    def alone(self, index: int) -> "_Side":
        """Return a single block as a `_Side`."""
        return _Side([self.blocks[index]], [self.origins[index]], self.norms[:, [index]])

    @property
    def rows(self) -> int:
        """The number of rows, n."""
        return len(self.norms)

    @property
    def widths(self) -> list[int]:
        """The channels of each block."""
        return [block.shape[1] for block in self.blocks]

    def block(self, index: int, part: slice = slice(None)) -> np.ndarray:
        """Return rows of one block."""
        first, mean = self.origins[index]
        return self.blocks[index][part] - first - mean

    def groups(self, values: int) -> Iterator[list[int]]:
        """Yield groups of consecutive blocks with at most `values` values per row, at least one block each."""
        group: list[int] = []
        for index, width in enumerate(self.widths):
            if group and sum(self.widths[i] for i in group) + width > values:
                yield group
                group = []
            group.append(index)
        yield group

    def joined(self, indices: Sequence[int], part: slice) -> tuple[np.ndarray, list[int]]:
        """Return rows of several blocks side by side, and the column where each begins."""
        starts = np.cumsum([0, *(self.widths[index] for index in indices)][:-1]).tolist()
        return np.concatenate([self.block(index, part) for index in indices], axis=1), starts

    def kernels(self, part: slice) -> np.ndarray:
        """Return X X^T of every block for the rows of `part` against these and later rows, [L, part x later].

        Later rows also stand for the part below the diagonal: they are scaled by sqrt(2), and so by 2 in products.
        """
        later = slice(part.start, None)
        kernels = np.stack([self.block(i, part) @ self.block(i, later).T for i in range(len(self.blocks))])
        kernels[:, :, part.stop - part.start :] *= np.sqrt(2)
        return kernels.reshape(len(kernels), -1)


def _hsic(xs: _Side, ys: _Side) -> np.ndarray:
    """HSIC_1 of the linear kernels of every pair of blocks, [Lx, Ly]."""
    if xs.rows != ys.rows:
        raise ValueError(f"ys[0] must be [{xs.rows}, D], got {ys.rows} rows")
    n, (a, b) = xs.rows, (sum(side.widths) for side in (xs, ys))
    # Multiplications: channels with channels, or (symmetric) row kernels plus their products.
    by_rows = n * n * (a + b + len(xs.widths) * len(ys.widths)) < 2 * n * a * b
    return _of_sizes((_by_rows if by_rows else _by_channels)(xs, ys), xs, ys)


def _own(side: _Side) -> np.ndarray:
    """HSIC_1 of every block with itself, [L]."""
    alone = [side.alone(index) for index in range(len(side.blocks))]
    return np.array([_hsic(block, block)[0, 0] for block in alone])


def _by_channels(xs: _Side, ys: _Side) -> np.ndarray:
    """|X^T Y|^2 of every pair of blocks, [Lx, Ly], from one product of all channels."""
    sizes = np.empty((len(xs.blocks), len(ys.blocks)))
    for others in ys.groups(2 * int(CHUNK_VALUES**0.5)):
        width = sum(ys.widths[index] for index in others)
        for group in xs.groups(CHUNK_VALUES // width):
            step = max(1, CHUNK_VALUES // (width + sum(xs.widths[index] for index in group)))
            cross: Any = 0
            for start in range(0, xs.rows, step):
                part = slice(start, start + step)
                x, x_starts = xs.joined(group, part)
                # A product with itself is symmetric, which halves the time.
                y, y_starts = (x, x_starts) if ys is xs and others == group else ys.joined(others, part)
                cross = cross + x.T @ y
            np.square(cross, out=cross)
            sums = np.add.reduceat(np.add.reduceat(cross, y_starts, axis=1), x_starts, axis=0)
            sizes[np.ix_(group, others)] = sums
    return sizes


def _by_rows(xs: _Side, ys: _Side) -> np.ndarray:
    """<X X^T, Y Y^T> of every pair of blocks, [Lx, Ly], from one product of all kernels."""
    sizes = np.zeros((len(xs.blocks), len(ys.blocks)))
    step = max(1, CHUNK_VALUES // (xs.rows * sum(sizes.shape)))
    for start in range(0, xs.rows, step):
        part = slice(start, min(start + step, xs.rows))
        x = xs.kernels(part)
        sizes += x @ (x if ys is xs else ys.kernels(part)).T
    return sizes


def _of_sizes(sizes: np.ndarray, xs: _Side, ys: _Side) -> np.ndarray:
    n = xs.rows
    totals = xs.norms.sum(axis=0)[:, None] * ys.norms.sum(axis=0)
    values = sizes - n / (n - 2) * (xs.norms.T @ ys.norms) + totals / ((n - 1) * (n - 2))
    return np.where(np.abs(values) > TOLERANCE * sizes, values, 0) / (n * (n - 3))
