"""How many directions the patch tokens of an image fill, and how many of the data set's directions that takes.

In: features [L, B, C, H, W] or L blocks [B, C, H, W]; image i of a block is the matrix X_i [N, D] of its N = H W tokens
of D = C channels, uncentred. Out: float64, one entry an image or a block. Sources: From Per-Image Low-Rank to Encoding
Mismatch (arXiv 2511.15572) for sample and PCA rank; Roy and Vetterli, EUSIPCO 2007, for the effective rank.

Everything comes from float64 Gram matrices. An eigenvalue below n eps of the largest one (n the matrix's size) is
rounding and counts as 0. A rank is reached when the cumulated energy is at least (1 - 1e-12) of the share asked for, so
that rounding does not add a direction. An image of zeros has rank 0 and effective rank 0.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save_file

from ..files import Column, replacing
from ..outputs import Outputs
from ..spec.measure import Settings
from .accumulator import DEFAULTS, Accumulator, Context, ImageValues, Measured
from .blocks import Block, Features, image_chunks, iterate_blocks, stacked

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
    """Return how many leading entries of energies [..., n] hold `share` of their sum, [...]; 0 where the sum is 0.

    For a rank the energies are eigenvalues of a Gram matrix, largest first. Raises ValueError unless 0 < share <= 1.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share must be above 0 and at most 1, got {share}")
    cumulated = np.cumsum(energies, axis=-1)
    total = cumulated[..., -1]
    short = cumulated < (1 - TOLERANCE) * share * total[..., None]
    return np.where(total > 0, 1.0 + short.sum(axis=-1), 0.0)


def sample_rank(features: Features, share: float) -> np.ndarray | list[np.ndarray]:
    """Rank of every image by itself, [L, B]: fewest singular values of X_i whose squares hold `share` of the energy.

    Raises ValueError for a wrong shape, NaN or infinity, or unless 0 < share <= 1.
    """
    return stacked([rank_of_spectrum(_spectra(block, index), share) for index, block in iterate_blocks(features)])


def effective_rank(features: Features) -> np.ndarray | list[np.ndarray]:
    """Effective rank of every image, [L, B]: exp(-sum p ln p) with p the singular values of X_i over their sum.

    Raises ValueError for a wrong shape, NaN or infinity.
    """
    return stacked([_effective_rank(_spectra(block, index)) for index, block in iterate_blocks(features)])


def pca_rank(features: Features, share: float) -> np.ndarray | list[np.ndarray]:
    """Rank of every image in the basis of its block, [L, B]: leading directions that hold `share` of its energy.

    The directions v are the eigenvectors of the uncentred second moment of all tokens of all images, largest eigenvalue
    first; the energy of image i on v is the sum over its tokens x of (x v)^2. Raises ValueError as sample_rank does.
    """
    ranks = []
    for index, block in iterate_blocks(features):
        basis = _basis(_moments(block, index)[0])
        ranks.append(rank_of_spectrum(_energies(block, index, basis), share))
    return stacked(ranks)


def pca_effective_rank(features: Features) -> np.ndarray:
    """Effective rank of the tokens of all images of a block, stacked to one matrix, [L].

    Raises ValueError for a wrong shape, NaN or infinity.
    """
    grams = (_moments(block, index)[0] for index, block in iterate_blocks(features))
    return np.array([_effective_rank(_eigenvalues(gram)) for gram in grams])


def gram_rank(gram: np.ndarray, share: float) -> int:
    """Return the fewest eigenvalues of a Gram matrix [C, C] that hold `share` of their sum."""
    return int(rank_of_spectrum(_eigenvalues(torch.from_numpy(gram)), share))


def reduced_gram(gram: np.ndarray, channels: int) -> np.ndarray:
    """Return the Gram matrix [channels, channels] of tokens whose C channels were pooled, from theirs, [C, C].

    The channels are reduced by adaptive average pooling along the channel axis, as the teacher's are for SpectralKD:
    tokens P x have the Gram matrix P G P^T.
    """
    identity = torch.eye(len(gram), dtype=torch.float64)
    pooling = torch.nn.functional.adaptive_avg_pool1d(identity[None], channels)[0].numpy()
    return pooling.T @ gram @ pooling


def _tokens(images_bchw: torch.Tensor) -> torch.Tensor:
    """Return the token matrices X_i, [b, N, C] in float64."""
    return images_bchw.double().flatten(2).mT


def _eigenvalues(gram: torch.Tensor) -> np.ndarray:
    """Eigenvalues of Gram matrices [..., n, n], largest first, [..., n]."""
    values = torch.linalg.eigvalsh(gram).flip(-1).cpu().numpy()
    rounding = gram.shape[-1] * np.finfo(np.float64).eps * values[..., :1]
    return np.where(values > rounding, values, 0)


def _spectra(block: Block, index: int) -> np.ndarray:
    """Squared singular values of every image of a block, largest first, [B, min(N, C)]."""
    parts = []
    for chunk in image_chunks(block, index):
        tokens = _tokens(chunk)
        # Both sides have the same eigenvalues, but for zeros.
        parts.append(_eigenvalues(tokens @ tokens.mT if tokens.shape[1] < tokens.shape[2] else tokens.mT @ tokens))
    return np.concatenate(parts)


def _effective_rank(eigenvalues: np.ndarray) -> np.ndarray:
    """Effective rank [...] of matrices whose Gram matrices have the given eigenvalues [..., n]."""
    singular = np.sqrt(eigenvalues)
    total = singular.sum(axis=-1)
    share = singular / np.where(total > 0, total, 1)[..., None]
    entropy = -np.sum(share * np.log(np.where(share > 0, share, 1)), axis=-1)
    return np.where(total > 0, np.exp(entropy), 0)


def _moments(block: Block, index: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Gram matrix [C, C] and sum [C] of all tokens of a block."""
    gram: Any = 0
    sums: Any = 0
    for chunk in image_chunks(block, index):
        tokens = _tokens(chunk).flatten(0, 1)
        gram, sums = gram + tokens.mT @ tokens, sums + tokens.sum(dim=0)
    return gram, sums


def _basis(gram: torch.Tensor) -> torch.Tensor:
    """Eigenvectors of a Gram matrix [C, C] as columns, largest eigenvalue first."""
    return torch.linalg.eigh(gram).eigenvectors.flip(-1)


def _energies(block: Block, index: int, basis: torch.Tensor) -> np.ndarray:
    """Energy of every image on each column of the basis [C, C], [B, C]."""
    parts = [(_tokens(chunk) @ basis).square().sum(dim=1) for chunk in image_chunks(block, index)]
    return torch.cat(parts).cpu().numpy()


class Metric(Accumulator):
    """Ranks of images; after the first pass `grams` [C, C], `sums` [C] and `tokens` (a number) of every block."""

    passes = 2

    def __init__(self, settings: Settings = DEFAULTS, context: Context | None = None):
        super().__init__(settings, context)
        self.grams: list[np.ndarray] = []
        self.sums: list[np.ndarray] = []
        self.tokens: list[int] = []
        self._projected = ImageValues()
        self._moments: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._bases: list[torch.Tensor] = []

    def update(self, outputs: Outputs) -> None:
        """Take the features of all blocks for a batch of images."""
        blocks = list(iterate_blocks(list(outputs.features.values())))
        if self.pass_number == 2:
            energies = [_energies(block, index, self._bases[index]) for index, block in blocks]
            self._projected.add([_ranks("pca", values) for values in energies])
            return
        spectra = [_spectra(block, index) for index, block in blocks]
        self.images.add([_ranks("sample", s) | {"effective_rank": _effective_rank(s)} for s in spectra])
        counts = [block.shape[0] * block.shape[2] * block.shape[3] for _, block in blocks]
        moments = [_moments(block, index) for index, block in blocks]
        if self._moments:
            counts = [seen + new for seen, new in zip(self.tokens, counts, strict=True)]
            pairs = zip(self._moments, moments, strict=True)
            moments = [(gram.add_(new_gram), sums.add_(new_sums)) for (gram, sums), (new_gram, new_sums) in pairs]
        self._moments, self.tokens = moments, counts

    def next_pass(self) -> None:
        """End the first pass: the principal directions of every block are known."""
        super().next_pass()
        self.grams = [gram.cpu().numpy() for gram, _ in self._moments]
        self.sums = [sums.cpu().numpy() for _, sums in self._moments]
        self._bases = [_basis(gram) for gram, _ in self._moments]

    def compute(self) -> Measured:
        """Return the columns of IMAGE_COLUMNS and BLOCK_COLUMNS."""
        images = self.images.joined() | self._projected.joined()
        percentiles = {
            f"{name}_p99": [np.percentile(values, 99) for values in images[name]]
            for name in (_name(rank, share) for rank in _RANKS for share in SHARES)
        }
        spectra = [_eigenvalues(gram) for gram, _ in self._moments]
        return images | percentiles | {"pca_effective_rank": [float(_effective_rank(values)) for values in spectra]}

    def save(self, folder: Path) -> None:
        """Write the sums that further analysis can start from, all float64, as `grams.safetensors`.

        By block: gram<bb> [C, C], the sum of x x^T over all tokens x of all images, and sum<bb> [C]; tokens [L], their
        numbers.
        """
        arrays = {"tokens": np.array(self.tokens, dtype=np.float64)}
        for block, (gram, total) in enumerate(zip(self.grams, self.sums, strict=True)):
            arrays |= {f"gram{block:02d}": gram, f"sum{block:02d}": total}
        with replacing(folder / "grams.safetensors") as temporary:
            save_file(arrays, temporary)


def _ranks(rank: str, energies: np.ndarray) -> dict[str, np.ndarray]:
    return {_name(rank, share): rank_of_spectrum(energies, share) for share in SHARES}
