"""Channel-axis spectrum of block features: how a token's energy spreads over frequencies along its channels.

In: features, L blocks [B, C, H, W]. Out: float64 in activation units. Channel order is arbitrary, so the shape of a
spectrum has meaning only against its null: the spectra of the same tokens with their channels permuted (`permutation`
says how it is drawn). The test of a whole curve (`_global`) uses the root of the mean energy, which follows for every
permutation from one Gram matrix per block; the mean amplitude would need a transform of all tokens for each. Source:
Tian, Xu, Li, Distillation Dynamics, AAAI 2026. float32 features are transformed in float32 (an amplitude is off by some
1e-7 of its token's largest), float64 ones in float64; means are taken in float64.
"""

from pathlib import Path

import numpy as np
import scipy.fft
import torch
from safetensors.numpy import save_file
from torch import Tensor

from ..files import Column, replacing
from ..outputs import Outputs
from ..spec.measure import Settings
from ._global import GlobalTest, around, bin_columns, block_columns, block_values, global_test
from ._gram import energies, lags
from ._moments import Moments, moments
from .accumulator import Accumulator, Measured, by_column
from .blocks import image_chunks
from .permutation import AmplitudeNull, permutations

REQUIRES = ("features",)
OPTIONS = ("permutations", "seed", "group")
FILES = ("spectra.safetensors",)
IMAGE_COLUMNS = {
    "intensity": Column("activation units", "spectral intensity: mean over channel bins of the channel spectrum"),
    "intensity_without_dc": Column("activation units", "the same without bin 0, the mean over channels"),
    "intensity_permuted": Column(
        "activation units", "null of the intensity: its mean over permutations of the channels"
    ),
    "intensity_per_rms": Column(
        "", "intensity over the image's root mean square; 0.886 / sqrt(C) for unordered channels"
    ),
}
BIN_COLUMNS = {
    "amplitude": Column("activation units", "mean over images and tokens of abs(DFT over channels)[k] / C"),
    "amplitude_null": Column(
        "activation units",
        "null of the amplitude: its mean over permutations of the channels, one for all bins of equal C / gcd(k, C)",
    ),
    "amplitude_null_low": Column("activation units", "lower end of the central 95 % of the permutations"),
    "amplitude_null_high": Column("activation units", "upper end of it"),
    **bin_columns(
        "amplitude", "activation units", "mean -+ c deviations of the amplitude's null, c from the test of amplitude_p"
    ),
}
BLOCK_COLUMNS = block_columns("amplitude", "sqrt(mean over images and tokens of abs(DFT)[k]^2)")
# A chunk and its intermediates fit a processor's cache.
CHUNK_VALUES = 2**18
# For the null, whose many small products are cheaper in larger chunks.
NULL_VALUES = 2**19


class _Sums:
    """Sums over the images of one block."""

    def __init__(self, channels: int, settings: Settings):
        self.spectrum = np.zeros(channels // 2 + 1)
        self.groups: list[np.ndarray] = []
        self.null = AmplitudeNull(channels, settings.permutations, settings.seed)


class Metric(Accumulator):
    """Spectra with their null, intensities, and mean spectra of groups of `settings.group` images.

    `groups` holds, for each block, one one-sided mean spectrum [C // 2 + 1] a group of images in order, float64.
    """

    def begin(self) -> None:
        """Begin with no sums."""
        self._blocks: dict[int, _Sums] = {}
        self._moments: dict[int, Moments] = {}
        self._count = 0

    def update(self, outputs: Outputs) -> None:
        """Add the features of all blocks for a batch."""
        super().update(outputs)
        self._count += len(outputs.features[0])

    def of_block(self, block: Tensor, index: int) -> dict[str, np.ndarray]:
        """Return the columns of a batch's images."""
        channels = block.shape[1]
        if index not in self._blocks:
            self._blocks[index] = _Sums(channels, self.settings)
        sums, spectra, squares = self._blocks[index], [], []
        self._moments[index] = moments(block, index).joined(self._moments.get(index))
        for chunk in image_chunks(block, index, CHUNK_VALUES):
            spectra.append(_chunk_spectra(chunk))
            squares.append(chunk.double().square().mean(dim=(1, 2, 3)).cpu().numpy())
        spectra_bk = np.concatenate(spectra)
        permuted = [sums.null.update(chunk) for chunk in image_chunks(block, index, NULL_VALUES)]
        sums.spectrum += spectra_bk.sum(axis=0)
        self._add_to_groups(sums.groups, spectra_bk)
        found = intensity(spectra_bk, channels)
        without_dc = np.full(len(found), np.nan)
        if channels > 1:
            without_dc = (channels * found - spectra_bk[:, 0]) / (channels - 1)
        rms = np.sqrt(np.concatenate(squares))
        return {
            "intensity": found,
            "intensity_without_dc": without_dc,
            "intensity_permuted": _permuted_intensity(permuted, spectra_bk, channels),
            "intensity_per_rms": np.divide(found, rms, out=np.full(len(rms), np.nan), where=rms > 0),
        }

    def _add_to_groups(self, groups: list[np.ndarray], spectra_bk: np.ndarray) -> None:
        numbers = (self._count + np.arange(len(spectra_bk))) // self.settings.group
        for number in np.unique(numbers):
            part = spectra_bk[numbers == number].sum(axis=0)
            if number == len(groups):
                groups.append(part)
            else:
                groups[number] += part

    @property
    def groups(self) -> list[np.ndarray]:
        """Mean one-sided spectra of consecutive groups of images, [groups, C // 2 + 1] for each block."""
        size = self.settings.group
        sizes = np.minimum(size, self._count - size * np.arange(-(-self._count // size)))
        return [np.stack(sums.groups) / sizes[:, None] for sums in self._blocks.values()]

    def compute(self) -> Measured:
        """Return the columns of IMAGE_COLUMNS, BLOCK_COLUMNS and BIN_COLUMNS."""
        found = []
        for index, sums in self._blocks.items():
            test = gram_test(self._moments[index].gram.cpu().numpy(), self.settings)
            amplitude = sums.spectrum / self._count
            mean, *band, deviation = sums.null.bands(amplitude, self._count)
            limits = around(mean, deviation, test.critical)
            bins = [_two_sided(values, sums.null.channels) for values in (amplitude, mean, *band, *limits)]
            found.append(dict(zip(BIN_COLUMNS, bins, strict=True)) | block_values("amplitude", test))
        return super().compute() | by_column(found)

    def save(self, folder: Path) -> None:
        """Write `spectra.safetensors`: by block `spectra<bb>`, the mean spectra of `groups`, float32."""
        arrays = {f"spectra{block:02d}": values.astype(np.float32) for block, values in enumerate(self.groups)}
        with replacing(folder / "spectra.safetensors") as temporary:
            save_file(arrays, temporary)


def gram_test(gram: np.ndarray, settings: Settings) -> GlobalTest:
    """Test the root of the mean energy by channel frequency of tokens with the Gram matrix [C, C] against its null."""
    channels = len(gram)
    orders = [np.arange(channels)[None], permutations(channels, settings.permutations, settings.seed)]
    observed, permuted = (np.sqrt(energies(lags(gram, order), channels)) for order in orders)
    # Number and unit of the tokens change neither distance nor rank.
    return global_test(observed[0], permuted)


def image_spectra(block: Tensor, index: int) -> np.ndarray:
    """One-sided spectrum of every image of a block, [B, C // 2 + 1]: the mean over its tokens."""
    return np.concatenate([_chunk_spectra(chunk) for chunk in image_chunks(block, index, CHUNK_VALUES)])


def _chunk_spectra(chunk_bchw: Tensor) -> np.ndarray:
    """One-sided spectrum of every image of a chunk, [b, C // 2 + 1]."""
    tokens_bcn = chunk_bchw.flatten(2)
    if tokens_bcn.is_cuda:
        mean = torch.fft.rfft(tokens_bcn, dim=1).abs().mean(dim=2, dtype=torch.float64).cpu().numpy()
    else:
        # scipy's transform takes half of torch's time on a CPU.
        mean = np.abs(scipy.fft.rfft(tokens_bcn.numpy(), axis=1)).mean(axis=2, dtype=np.float64)
    if tokens_bcn.dtype == torch.float32 and not np.isfinite(mean).all():
        # Sums of the largest float32 values are beyond float32.
        return _chunk_spectra(chunk_bchw.double())
    return mean / chunk_bchw.shape[1]


def _permuted_intensity(permuted: list[np.ndarray | None], spectra_bk: np.ndarray, channels: int) -> np.ndarray:
    """Return the mean intensity of every image under the null's shuffles, [B]; its own if no shuffle changes it."""
    shuffled = [values for values in permuted if values is not None]
    null_nbk = np.concatenate(shuffled, axis=1) if shuffled else spectra_bk[None]
    return intensity(null_nbk, channels).mean(axis=0)


def intensity(half: np.ndarray, channels: int) -> np.ndarray:
    """Return the mean over all C bins of one-sided spectra [..., C // 2 + 1]; mirrored bins count twice."""
    twins = slice(1, (channels + 1) // 2)
    return (half.sum(axis=-1) + half[..., twins].sum(axis=-1)) / channels


def _two_sided(half: np.ndarray, channels: int) -> np.ndarray:
    """Return all C bins of one-sided spectra [..., C // 2 + 1]; bin C - k of real input repeats bin k."""
    return np.concatenate([half, half[..., 1 : (channels + 1) // 2][..., ::-1]], axis=-1)
