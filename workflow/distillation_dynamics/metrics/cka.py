"""Unbiased linear CKA: how alike two networks arrange the same rows, up to rotation and scale.

In: rows [n, Dx] and [n, Dy] of the same n images (or tokens of them). Out: float64, 1 for the same arrangement, about 0
for unrelated ones, possibly a little below. Sources: HSIC_1 of Song et al., JMLR 2012 (eq. 5); Kornblith et al., ICML
2019; Nguyen, Raghu, Kornblith, ICLR 2021. Unlike there, HSIC is not averaged over minibatches but exact over the whole
stream, from sums over rows.

HSIC_1 is unbiased for rows that are drawn independently. Never let the rows of an estimate be the tokens of one image:
they share its content, so that CKA then compares the layout of the grid (position embeddings, smoothness) and not what
tells images apart, and it is high for any two networks. Rows are images (`image_rows`), or a few tokens of each of many
images at the same places in both networks (`token_rows`).
"""

from collections.abc import Sequence

import numpy as np
import torch

from .blocks import NotFinite

# HSIC is a difference of larger sums: what is smaller than this share of them is rounding and counts as 0.
TOLERANCE = 1e-13


def unbiased_cka(x: torch.Tensor, y: torch.Tensor) -> float:
    """Unbiased linear CKA of rows [n, Dx] and [n, Dy]: HSIC(x, y) / sqrt(HSIC(x, x) HSIC(y, y)).

    HSIC is HSIC_1 of the linear kernels. NaN where one HSIC with itself is not above 0, as for constant rows. Raises
    ValueError for a wrong shape, NaN or infinity, or fewer than 4 rows.
    """
    cka = CKA()
    cka.update([x], [y])
    return float(cka.compute()[0, 0])


class CKA:
    """Unbiased linear CKA between every block of one network and every block of another, over a stream of rows."""

    def __init__(self):
        self.rows = 0
        self._centres: tuple[list[torch.Tensor], list[torch.Tensor]] = ([], [])
        self._sums: dict[tuple[str, int, int], list[torch.Tensor]] = {}

    def update(self, xs: Sequence[torch.Tensor], ys: Sequence[torch.Tensor]) -> None:
        """Take a batch of n rows: Lx blocks [n, Dx] of one network and Ly blocks [n, Dy] of the other.

        Raises ValueError where a block is not [n, D] with the n and D of the others and of earlier batches, or holds
        NaN or infinity.
        """
        rows = len(xs[0])
        xs, ys = (
            [_checked(block, f"{side}[{index}]", rows) for index, block in enumerate(blocks)]
            for side, blocks in (("xs", xs), ("ys", ys))
        )
        if self.rows == 0:
            self._centres = [x.mean(dim=0) for x in xs], [y.mean(dim=0) for y in ys]
        widths = [[len(centre) for centre in centres] for centres in self._centres]
        if [[block.shape[1] for block in blocks] for blocks in (xs, ys)] != widths:
            raise ValueError(f"rows of every batch must have the widths of the first, {widths[0]} and {widths[1]}")
        # CKA does not change with the origin; one amid the rows spares the sums a cancellation.
        xs, ys = (
            [_with_norms(block - centre) for block, centre in zip(blocks, centres, strict=True)]
            for blocks, centres in zip((xs, ys), self._centres, strict=True)
        )
        pairs = {("xy", i, j): (x, y) for i, x in enumerate(xs) for j, y in enumerate(ys)}
        pairs |= {("xx", i, i): (x, x) for i, x in enumerate(xs)} | {("yy", j, j): (y, y) for j, y in enumerate(ys)}
        for key, pair in pairs.items():
            new = _sums(*pair)
            self._sums[key] = [a.add_(b) for a, b in zip(self._sums[key], new, strict=True)] if self.rows else new
        self.rows += rows

    def compute(self) -> np.ndarray:
        """Return CKA of all rows so far, [Lx, Ly]; raise ValueError where they are fewer than 4."""
        if self.rows < 4:
            raise ValueError(f"unbiased CKA needs at least 4 rows, got {self.rows}")
        hsic = {key: _hsic(self.rows, *sums) for key, sums in self._sums.items()}
        xs, ys = (
            np.array([hsic[side, index, index] for index in range(len(centres))])
            for side, centres in zip(("xx", "yy"), self._centres, strict=True)
        )
        cross = np.array([[hsic["xy", i, j] for j in range(len(ys))] for i in range(len(xs))])
        xs, ys = (np.sqrt(np.where(values > 0, values, np.nan)) for values in (xs, ys))
        return cross / (xs[:, None] * ys)


def image_rows(features: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Return one row an image, the mean of its patch tokens: L tensors [b, C] in float64, of L blocks [b, C, H, W]."""
    return [block.double().mean(dim=(2, 3)) for block in features]


def token_rows(features: Sequence[torch.Tensor], positions: torch.Tensor) -> list[torch.Tensor]:
    """Return the tokens at `positions` of every image: L tensors [b k, C] in float64, of L blocks [b, C, H, W].

    `positions` [b, k] are indices h W + w into the grid, the same for both networks, whose grids must be alike. Raises
    ValueError where they are not [b, k] or lie outside a block's grid.
    """
    rows = []
    for index, block in enumerate(features):
        tokens = block.flatten(2)
        if positions.ndim != 2 or len(positions) != len(block) or 0 in positions.shape:
            raise ValueError(f"positions must be [{len(block)}, k], got {tuple(positions.shape)}")
        if positions.min() < 0 or positions.max() >= tokens.shape[2]:
            raise ValueError(f"positions: block {index} has the tokens 0..{tokens.shape[2] - 1}")
        places = positions.to(block.device)[:, None].expand(-1, block.shape[1], -1)
        rows.append(tokens.gather(2, places).double().movedim(1, 2).flatten(0, 1))
    return rows


def _checked(block: torch.Tensor, name: str, rows: int) -> torch.Tensor:
    if block.ndim != 2 or len(block) != rows or 0 in block.shape:
        raise ValueError(f"{name} must be [{rows}, D], no axis empty, got shape {tuple(block.shape)}")
    if not block.isfinite().all():
        raise NotFinite(f"{name} holds NaN or infinity")
    return block.detach().double()


def _with_norms(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return rows, rows.square().sum(dim=1)


def _sums(x: tuple[torch.Tensor, torch.Tensor], y: tuple[torch.Tensor, torch.Tensor]) -> list[torch.Tensor]:
    """Sums over rows that HSIC needs, of rows and their squared norms; they add up over batches."""
    (x_nd, x_norms), (y_nd, y_norms) = x, y
    return [
        x_nd.mT @ y_nd,
        x_nd.sum(dim=0),
        y_nd.sum(dim=0),
        x_nd.mT @ y_norms,
        y_nd.mT @ x_norms,
        x_norms.sum(),
        y_norms.sum(),
        x_norms @ y_norms,
    ]


def _hsic(
    n: int,
    cross: torch.Tensor,
    x_sum: torch.Tensor,
    y_sum: torch.Tensor,
    x_by_y: torch.Tensor,
    y_by_x: torch.Tensor,
    x_trace: torch.Tensor,
    y_trace: torch.Tensor,
    traces: torch.Tensor,
) -> float:
    """HSIC_1 of the kernels K = X X^T and L = Y Y^T without their diagonals, from the sums of `_sums`."""
    size = cross.square().sum()
    product = size - traces  # tr(K L)
    totals = (x_sum @ x_sum - x_trace) * (y_sum @ y_sum - y_trace)  # (1^T K 1) (1^T L 1)
    rows = x_sum @ cross @ y_sum - x_sum @ x_by_y - y_sum @ y_by_x + traces  # 1^T K L 1
    value = product + totals / ((n - 1) * (n - 2)) - 2 / (n - 2) * rows
    return float(torch.where(value.abs() > TOLERANCE * size, value, 0)) / (n * (n - 3))
