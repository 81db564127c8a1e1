"""Channel-axis spectrum of block features: how a token's energy spreads over frequencies along its channels.

In: features [L, B, C, H, W] or L blocks [B, C, H, W]. Out: float64 in activation units. Channel order is
arbitrary, so the shape of a spectrum has meaning only against a channel permutation. Source: Tian, Xu, Li,
Distillation Dynamics, AAAI 2026.
"""

import numpy as np
import torch

from .blocks import Block, Features, image_chunks, iterate_blocks


def channel_spectrum(features: Features) -> np.ndarray:
    """Mean amplitude of every channel frequency, [L, C], in activation units.

    S[l, k] = mean over b, h, w of abs(sum over c of A[l, b, c, h, w] exp(-2 pi i k c / C)) / C, k = 0..C-1.
    Computed and averaged in float64. Raises ValueError for a wrong shape, NaN or infinity.
    """
    return np.stack([_image_spectra(block, index).mean(axis=0) for index, block in iterate_blocks(features)])


def spectral_intensity(features: Features) -> np.ndarray:
    """Mean amplitude over all frequencies, [L], in activation units: I[l] = mean over k = 0..C-1 of S[l, k].

    The constant term (k = 0) and both halves are included. Raises ValueError as channel_spectrum does.
    """
    return np.array([image_intensity(block, index).mean() for index, block in iterate_blocks(features)])


def image_intensity(block: Block, index: int = 0) -> np.ndarray:
    """Spectral intensity of every image of one block [B, C, H, W], [B]: the mean over k, h, w.

    `index` is the block's position in its network, for the messages. Raises ValueError as channel_spectrum
    does.
    """
    return _image_spectra(block, index).mean(axis=1)


def _image_spectra(block: Block, index: int) -> np.ndarray:
    """Spectrum of every image, [B, C]: the mean over its tokens."""
    parts = []
    for chunk_bchw in image_chunks(block, index):
        channels = chunk_bchw.shape[1]
        half = torch.fft.rfft(chunk_bchw.double(), dim=1).abs().mean(dim=(2, 3)) / channels
        # Real input: bin C - k repeats bin k. Bin 0, and bin C / 2 of an even C, have no twin.
        twins = half[:, 1 : (channels + 1) // 2].flip(1)
        parts.append(torch.cat([half, twins], dim=1).cpu().numpy())
    return np.concatenate(parts)
