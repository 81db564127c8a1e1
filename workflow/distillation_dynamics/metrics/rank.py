"""Rank of an image's patch tokens, alone and within the principal directions of the data set.

In: features, L blocks [B, C, H, W]; image i of a block is the matrix X_i [N, D] of its N = H W tokens, D = C channels,
uncentred. Out: float64, one entry an image or a block. Sources: From Per-Image Low-Rank to Encoding Mismatch (arXiv
2511.15572) for sample and PCA rank, the latter in the eigenvectors of the uncentred second moment of all tokens of all
images; Roy and Vetterli, EUSIPCO 2007, for the effective rank, exp(-sum p ln p), p the singular values over their sum.

Everything comes from float64 Gram matrices. An eigenvalue below n eps of the largest one (n the matrix's size) is
rounding and counts as 0. A rank is reached when the cumulated energy is at least (1 - 1e-12) of the share asked for, so
that rounding does not add a direction. An image of zeros has rank 0 and effective rank 0.
"""

from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import Tensor

from ..files import Column, replacing
from ..outputs import Outputs
from ._moments import Moments, gram, moments
from .accumulator import Accumulator, ImageValues, Measured
from .blocks import by_image

REQUIRES = ("features",)
FILES = ("grams.safetensors",)
SHARES = (0.80, 0.90, 0.95, 0.99)
TOLERANCE = 1e-12


def _name(rank: str, share: float) -> str:
    return f"{rank}_rank_{100 * share:.0f}"


_RANKS = {
    "sample": "fewest singular values of the image's token matrix whose squares hold {:.0%} of its energy",
    "pca": "fewest leading principal directions of all images' tokens that hold {:.0%} of the image's energy",
}
IMAGE_COLUMNS = {
    _name(rank, share): Column("directions", text.format(share)) for rank, text in _RANKS.items() for share in SHARES
} | {"effective_rank": Column("directions", "exp of the entropy of the image's singular values, scaled to sum 1")}
BLOCK_COLUMNS = {
    f"{_name(rank, share)}_p99": Column("directions", f"99th percentile over images of {_name(rank, share)}")
    for rank in _RANKS
    for share in SHARES
} | {"pca_effective_rank": Column("directions", "effective rank of the tokens of all images, stacked")}


def rank_of_spectrum(energies: np.ndarray, share: float) -> np.ndarray:
    """Return the number of leading entries of energies [..., n] that hold `share` of their sum, [...]; 0 for a sum of
    0.

    For a rank the energies are eigenvalues of a Gram matrix, largest first.
    """
    cumulated = np.cumsum(energies, axis=-1)
    total = cumulated[..., -1]
    short = cumulated < (1 - TOLERANCE) * share * total[..., None]
    return np.where(total > 0, 1.0 + short.sum(axis=-1), 0.0)


def gram_rank(gram: np.ndarray, share: float) -> int:
    """Return the number of eigenvalues of a Gram matrix [C, C] that hold `share` of their sum."""
    return int(rank_of_spectrum(_eigenvalues(torch.from_numpy(gram)).numpy(), share))


def reduced_gram(gram: np.ndarray, channels: int) -> np.ndarray:
    """Return the Gram matrix [channels, channels] of tokens with pooled channels, from theirs, [C, C].

    Channels are reduced by adaptive average pooling along the channel axis, as a teacher's for SpectralKD: tokens P x
    have the Gram matrix P G P^T.
    """
    identity = torch.eye(len(gram), dtype=torch.float64)
    pooling = torch.nn.functional.adaptive_avg_pool1d(identity[None], channels)[0].numpy()
    return pooling.T @ gram @ pooling


def _eigenvalues(grams: Tensor) -> Tensor:
    """Eigenvalues of Gram matrices [..., n, n], largest first, [..., n]."""
    # NumPy takes three quarters of torch's time on a CPU.
    ascending = torch.linalg.eigvalsh(grams) if grams.is_cuda else torch.from_numpy(np.linalg.eigvalsh(grams.numpy()))
    values = ascending.flip(-1)
    rounding = grams.shape[-1] * np.finfo(np.float64).eps * values[..., :1]
    return torch.where(values > rounding, values, 0)


def _spectra(images: Tensor) -> Tensor:
    """Squared singular values of every image [b, C, H, W] in float64, largest first, [b, min(N, C)]."""
    columns = images.flatten(2)
    # Both products have the same eigenvalues except zeros.
    sides = columns.mT.contiguous() if columns.shape[2] < columns.shape[1] else columns
    return _eigenvalues(torch.stack([gram(side) for side in sides]))


def _effective_rank(eigenvalues: np.ndarray) -> np.ndarray:
    """Effective rank [...] of matrices whose Gram matrices have the given eigenvalues [..., n]."""
    singular = np.sqrt(eigenvalues)
    total = singular.sum(axis=-1)
    share = singular / np.where(total > 0, total, 1)[..., None]
    entropy = -np.sum(share * np.log(np.where(share > 0, share, 1)), axis=-1)
    return np.where(total > 0, np.exp(entropy), 0)


def _ranks(rank: str, energies: np.ndarray) -> dict[str, np.ndarray]:
    return {_name(rank, share): rank_of_spectrum(energies, share) for share in SHARES}


class Metric(Accumulator):
    """Ranks of images: pass one finds own ranks and all moments, pass two projects onto their directions."""

    passes = 2

    def begin(self) -> None:
        """Begin with no sums."""
        self.moments: dict[int, Moments] = {}
        self._bases: dict[int, Tensor] = {}
        self._projected = ImageValues()

    def update(self, outputs: Outputs) -> None:
        """Take the features of all blocks for a batch of images."""
        if self.pass_number == 1:
            super().update(outputs)
        else:
            self._projected.add([self._project(block, index) for index, block in outputs.features.items()])

    def of_block(self, block: Tensor, index: int) -> dict[str, np.ndarray]:
        """Return the columns that need only a batch's images."""
        self.moments[index] = moments(block, index).joined(self.moments.get(index))
        spectra = by_image(block, index, _spectra)
        return _ranks("sample", spectra) | {"effective_rank": _effective_rank(spectra)}

    def _project(self, block: Tensor, index: int) -> dict[str, np.ndarray]:
        if index not in self._bases:
            # Eigenvectors as columns, largest eigenvalue first.
            self._bases[index] = torch.linalg.eigh(self.moments[index].gram).eigenvectors.flip(-1)
        basis = self._bases[index]
        return _ranks("pca", by_image(block, index, lambda images: (basis.mT @ images.flatten(2)).square().sum(dim=2)))

    def compute(self) -> Measured:
        """Return the columns of IMAGE_COLUMNS and BLOCK_COLUMNS."""
        images = self.images.joined() | self._projected.joined()
        percentiles = {
            f"{name}_p99": [np.percentile(values, 99) for values in images[name]]
            for name in (_name(rank, share) for rank in _RANKS for share in SHARES)
        }
        spectra = [_eigenvalues(of.gram).cpu().numpy() for of in self.moments.values()]
        return images | percentiles | {"pca_effective_rank": [float(_effective_rank(values)) for values in spectra]}

    def save(self, folder: Path) -> None:
        """Write the sums for further analysis, all float64, as `grams.safetensors`.

        By block: gram<bb> [C, C], the sum of x x^T over all tokens x of all images, and sum<bb> [C]; tokens [L], their
        numbers.
        """
        arrays = {"tokens": np.array([of.tokens for of in self.moments.values()], dtype=np.float64)}
        for block, of in self.moments.items():
            total = of.tokens * of.mean
            arrays |= {f"gram{block:02d}": of.gram.cpu().numpy(), f"sum{block:02d}": total.cpu().numpy()}
        with replacing(folder / "grams.safetensors") as temporary:
            save_file(arrays, temporary)
