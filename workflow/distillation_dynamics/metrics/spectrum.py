"""Channel-axis spectrum of block features: how a token's energy spreads over frequencies along its channels.

In: features [L, B, C, H, W] or L blocks [B, C, H, W]. Out: float64 in activation units. Channel order is arbitrary, so
the shape of a spectrum has meaning only against its null: the spectra of the same tokens with their channels permuted
(`permutation` says how it is drawn). The one test of a whole curve (`_global`) is of the root of the mean energy, which
one Gram matrix a block tells under every permutation; the mean amplitude would need a transform of all tokens for each.
Source: Tian, Xu, Li, Distillation Dynamics, AAAI 2026. float32 features are transformed in float32 (an amplitude is off
by some 1e-7 of its token's largest), float64 ones in float64; means are taken in float64.
"""

from pathlib import Path
from typing import Any

import numpy as np
import scipy.fft
import torch
from safetensors.numpy import save_file

from ..files import Column, replacing
from ..outputs import Outputs
from ..spec.measure import Settings
from ._global import GlobalTest, around, bin_columns, block_columns, block_values, global_test
from ._gram import energies, lags
from .accumulator import DEFAULTS, Accumulator, Context, Measured
from .blocks import Block, Features, image_chunks, iterate_blocks, stacked
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
# A chunk and what is computed from it stay in a processor's cache.
CHUNK_VALUES = 2**18
# Of the null, whose many small products cost less together.
NULL_VALUES = 2**19


def channel_spectrum(features: Features) -> np.ndarray | list[np.ndarray]:
    """Mean amplitude of every channel frequency, [L, C] (a list of [C] where widths differ), in activation units.

    S[l, k] = mean over b, h, w of abs(sum over c of A[l, b, c, h, w] exp(-2 pi i k c / C)) / C, k = 0..C-1. Raises
    ValueError for a wrong shape, NaN or infinity.
    """
    return stacked(
        [_two_sided(_image_spectra(block, i).mean(axis=0), block.shape[1]) for i, block in iterate_blocks(features)]
    )


def spectral_intensity(features: Features) -> np.ndarray:
    """Mean amplitude over all frequencies, [L], in activation units: I[l] = mean over k = 0..C-1 of S[l, k].

    The constant term (k = 0) and both halves are included. Raises ValueError as channel_spectrum does.
    """
    return np.array([image_intensity(block, index).mean() for index, block in iterate_blocks(features)])


def permuted_spectra(features: Features, count: int = 20, seed: int = 0) -> np.ndarray | list[np.ndarray]:
    """Channel spectra of the same tokens under `count` permutations of the channels, [L, count, C].

    A permutation is one for all tokens of a block, as an order of the channels is. Each is transformed by itself: the
    slow way, which `permutation.AmplitudeNull` spares. Raises ValueError as channel_spectrum does.
    """
    return stacked(
        [
            np.stack(
                [
                    _two_sided(_image_spectra(block, index, order).mean(axis=0), block.shape[1])
                    for order in permutations(block.shape[1], count, seed)
                ]
            )
            for index, block in iterate_blocks(features)
        ]
    )


class Metric(Accumulator):
    """Streaming form: spectra with their null, intensities, and mean spectra of groups of `settings.group` images.

    `groups` holds, for each block, one one-sided mean spectrum [C // 2 + 1] a group of images in order, float64.
    """

    def __init__(self, settings: Settings = DEFAULTS, context: Context | None = None):
        super().__init__(settings, context)
        self._sums: list[np.ndarray] = []
        self._groups: list[list[np.ndarray]] = []
        self._nulls: list[AmplitudeNull] = []
        self._grams: list[Any] = []
        self._count = 0

    def update(self, outputs: Outputs) -> None:
        """Take the features of all blocks for a batch of images."""
        blocks = list(outputs.features.values())
        if not self._nulls:
            settings, widths = self.settings, [block.shape[1] for block in blocks]
            self._groups = [[] for _ in widths]
            self._grams = [0.0] * len(widths)
            self._sums = [np.zeros(channels // 2 + 1) for channels in widths]
            self._nulls = [AmplitudeNull(channels, settings.permutations, settings.seed) for channels in widths]
        values = [self._update_block(index, block) for index, block in iterate_blocks(blocks)]
        self._count += len(blocks[0])
        self.images.add(values)

    def _update_block(self, index: int, block: Block) -> dict[str, np.ndarray]:
        channels = block.shape[1]
        spectra, squares, permuted = [], [], []
        for chunk in image_chunks(block, index, CHUNK_VALUES):
            spectra.append(_chunk_spectra(chunk))
            wide = chunk.double()
            squares.append(wide.square().mean(dim=(1, 2, 3)).cpu().numpy())
            tokens_cn = wide.movedim(1, 0).flatten(1)
            self._grams[index] = self._grams[index] + tokens_cn @ tokens_cn.mT
        spectra_bk = np.concatenate(spectra)
        for chunk in image_chunks(block, index, NULL_VALUES, finite=True):
            permuted.append(self._nulls[index].update(chunk))
        self._sums[index] += spectra_bk.sum(axis=0)
        self._add_to_groups(index, spectra_bk)
        intensity = _intensity(spectra_bk, channels)
        without_dc = np.full(len(intensity), np.nan)
        if channels > 1:
            without_dc = (channels * intensity - spectra_bk[:, 0]) / (channels - 1)
        rms = np.sqrt(np.concatenate(squares))
        return {
            "intensity": intensity,
            "intensity_without_dc": without_dc,
            "intensity_permuted": _permuted_intensity(permuted, spectra_bk, channels),
            "intensity_per_rms": np.divide(intensity, rms, out=np.full(len(rms), np.nan), where=rms > 0),
        }

    def _add_to_groups(self, index: int, spectra_bk: np.ndarray) -> None:
        numbers = (self._count + np.arange(len(spectra_bk))) // self.settings.group
        groups = self._groups[index]
        for number in np.unique(numbers):
            part = spectra_bk[numbers == number].sum(axis=0)
            if number == len(groups):
                groups.append(part)
            else:
                groups[number] += part

    @property
    def groups(self) -> list[np.ndarray]:
        """Mean one-sided spectra of consecutive groups of images, a [groups, C // 2 + 1] array for each block."""
        size = self.settings.group
        sizes = np.minimum(size, self._count - size * np.arange(-(-self._count // size)))
        return [np.stack(sums) / sizes[:, None] for sums in self._groups]

    def compute(self) -> Measured:
        """Return the columns of IMAGE_COLUMNS, BLOCK_COLUMNS and BIN_COLUMNS."""
        measured = super().compute() | {name: [] for name in BIN_COLUMNS | BLOCK_COLUMNS}
        for null, sums, gram in zip(self._nulls, self._sums, self._grams, strict=True):
            amplitude, test = sums / self._count, gram_test(gram.cpu().numpy(), self.settings)
            mean, *band = null.bands(amplitude, self._count)
            limits = around(mean, null.deviation(self._count), test.critical)
            for name, values in zip(BIN_COLUMNS, (amplitude, mean, *band, *limits), strict=True):
                measured[name].append(_two_sided(values, null.channels))
            for name, value in block_values("amplitude", test).items():
                measured[name].append(value)
        return measured

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
    # How many tokens there are, and their unit, change neither distance nor rank.
    return global_test(observed[0], permuted)


def image_intensity(block: Block, index: int) -> np.ndarray:
    """Spectral intensity of every image of one block [B, C, H, W], [B], in activation units.

    `index` is the block's position in its network, for the messages. Raises ValueError as channel_spectrum does.
    """
    return _intensity(_image_spectra(block, index), block.shape[1])


def _image_spectra(block: Block, index: int, order: np.ndarray | None = None) -> np.ndarray:
    """One-sided spectrum of every image, [B, C // 2 + 1]: the mean over its tokens."""
    chunks = image_chunks(block, index, CHUNK_VALUES, finite=True)
    spectra = np.concatenate([_chunk_spectra(chunk if order is None else _permute(chunk, order)) for chunk in chunks])
    if not np.isfinite(spectra).all():
        # Says which image it is.
        for _ in image_chunks(block, index):
            pass
    return spectra


def _permute(chunk_bchw: torch.Tensor, order: np.ndarray) -> torch.Tensor:
    return chunk_bchw.index_select(1, torch.from_numpy(order).to(chunk_bchw.device))


def _chunk_spectra(chunk_bchw: torch.Tensor) -> np.ndarray:
    """One-sided spectrum of every image of a chunk, [b, C // 2 + 1]."""
    tokens_bcn = chunk_bchw.flatten(2)
    if tokens_bcn.is_cuda:
        mean = torch.fft.rfft(tokens_bcn, dim=1).abs().mean(dim=2, dtype=torch.float64).cpu().numpy()
    else:
        # scipy's transform takes half the time of torch's on a CPU.
        mean = np.abs(scipy.fft.rfft(tokens_bcn.numpy(), axis=1)).mean(axis=2, dtype=np.float64)
    if tokens_bcn.dtype == torch.float32 and not np.isfinite(mean).all():
        # Sums of the largest float32 values are beyond float32.
        return _chunk_spectra(chunk_bchw.double())
    return mean / chunk_bchw.shape[1]


def _permuted_intensity(permuted: list[np.ndarray | None], spectra_bk: np.ndarray, channels: int) -> np.ndarray:
    """Mean intensity of every image under the null's shuffles, [B]; its own where no shuffle changes it."""
    shuffled = [values for values in permuted if values is not None]
    null_nbk = np.concatenate(shuffled, axis=1) if shuffled else spectra_bk[None]
    return _intensity(null_nbk, channels).mean(axis=0)


def _intensity(half: np.ndarray, channels: int) -> np.ndarray:
    """Mean over all C bins of one-sided spectra [..., C // 2 + 1]: bins that have a twin count twice."""
    twins = slice(1, (channels + 1) // 2)
    return (half.sum(axis=-1) + half[..., twins].sum(axis=-1)) / channels


def _two_sided(half: np.ndarray, channels: int) -> np.ndarray:
    """All C bins of one-sided spectra [..., C // 2 + 1]; bin C - k of real input repeats bin k."""
    return np.concatenate([half, half[..., 1 : (channels + 1) // 2][..., ::-1]], axis=-1)
