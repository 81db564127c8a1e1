"""Bin-free entropy of the channel values of each token: nearest-neighbour estimate of differential entropy.

In: features, L blocks [B, C, H, W]. Out: float64, in bits. For a token x_1 .. x_C with e_i the distance of x_i to its
K-th nearest other value: (psi(C) - psi(K) + ln 2) / ln 2 + mean of log2 e_i, psi the digamma function. Sources:
Kozachenko and Leonenko, Sample estimate of the entropy of a random vector, Probl. Inf. Transm. 23, 1987; for K above 1
Kraskov, Stoegbauer and Grassberger, Estimating mutual information, Phys. Rev. E 69, 2004 (equation 20).

It depends on no range or edges. As the entropy of a density it may be negative, grows by log2 of the scale, and is
comparable between networks. Subtracting log2 of the token's deviation over channels removes the scale: the maximum is
then 2.05 bits for Gaussian tokens, slightly less with few channels. Tokens with more than K channels of one value
(constant ones, or after a ReLU) have no density and are left out.
"""

import numpy as np
import torch
from scipy.special import digamma
from torch import Tensor

from ..files import Column
from .accumulator import Accumulator
from .blocks import image_chunks

REQUIRES = ("features",)
# K is not 1, since the nearest value is often equal even in float32: for 384 Gaussian values in one of 400 tokens.
NEIGHBOUR = 4
OF_TOKENS = f"mean over tokens in which no more than {NEIGHBOUR} channels share one value; NaN without any"
IMAGE_COLUMNS = {
    "entropy_nearest": Column(
        "bits", f"differential entropy by distances to the {NEIGHBOUR}th nearest value, no bins: {OF_TOKENS}"
    ),
    "entropy_nearest_standardised": Column(
        "bits", "the same of tokens of standard deviation 1: minus log2 of the deviation over channels"
    ),
    "tied_tokens": Column("", f"share of the tokens in which more than {NEIGHBOUR} channels share one value"),
}
# A chunk and its intermediates fit a processor's cache.
CHUNK_VALUES = 2**18
# Sorted at a time on a GPU.
GPU_CHUNK_VALUES = 2**23


class Metric(Accumulator):
    """The columns of IMAGE_COLUMNS."""

    def of_block(self, block: Tensor, index: int) -> dict[str, np.ndarray]:
        """Return the columns of a batch's images."""
        entropy, deviation = token_entropy(block, index)
        known = np.isfinite(entropy)
        count = known.sum(axis=1)
        # log2 only of positive deviations.
        standardised = entropy - np.log2(np.where(known, deviation, 1))
        columns = {"entropy_nearest": entropy, "entropy_nearest_standardised": standardised}
        with np.errstate(invalid="ignore"):
            means = {name: np.where(known, values, 0).sum(axis=1) / count for name, values in columns.items()}
        return means | {"tied_tokens": 1 - count / known.shape[1]}


def token_entropy(block: Tensor, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the entropy of every token of a block [B, C, H, W], and its deviation over channels; each [B, H W].

    -inf where more than NEIGHBOUR channels share one value, NaN of one channel. Raises NotFinite for NaN or infinity.
    """
    found = []
    for chunk_bchw in image_chunks(block, index, GPU_CHUNK_VALUES if block.is_cuda else CHUNK_VALUES):
        tokens_nc = chunk_bchw.flatten(2).mT.flatten(0, 1)
        low, high = tokens_nc.aminmax()
        if not torch.isfinite(high - low):
            tokens_nc = tokens_nc.double()
        values = tokens_nc.double()
        deviation = (values - values.mean(dim=1, keepdim=True)).square().mean(dim=1).sqrt()
        both = torch.stack([_nearest_neighbour(_sorted(tokens_nc)), deviation])
        found.append(both.view(2, len(chunk_bchw), -1).cpu().numpy())
    entropy, deviation = np.concatenate(found, axis=1)
    return entropy, deviation


def _sorted(tokens_nc: Tensor) -> Tensor:
    # NumPy's sort takes a twentieth of torch's time on a CPU.
    return tokens_nc.sort(dim=1).values if tokens_nc.is_cuda else torch.from_numpy(np.sort(tokens_nc.numpy(), axis=1))


def _nearest_neighbour(sorted_nc: Tensor) -> Tensor:
    """Return the estimate of every token [n] from its ascending values."""
    channels = sorted_nc.shape[1]
    neighbour = min(NEIGHBOUR, channels - 1)
    if neighbour == 0:
        return torch.full((len(sorted_nc),), torch.nan, dtype=torch.float64, device=sorted_nc.device)
    # Beyond either end the distance is infinite, and NaN only between two such places.
    padded = torch.nn.functional.pad(sorted_nc, (neighbour, neighbour), value=torch.inf)
    padded[:, :neighbour] = -torch.inf
    flat = padded.view(-1)
    inner = slice(neighbour, len(flat) - neighbour)
    apart = {steps: flat[steps:] - flat[: len(flat) - steps] for steps in range(1, neighbour + 1)}
    # The K nearest values are consecutive: among such windows, the one whose farther end is nearest.
    distance = torch.minimum(apart[neighbour][inner.start :], apart[neighbour][: inner.stop - neighbour])
    for below in range(1, neighbour):
        above = neighbour - below
        left = apart[below][inner.start - below : inner.stop - below]
        torch.minimum(distance, torch.maximum(left, apart[above][inner]), out=distance)
    flat[inner] = distance
    distances = padded[:, neighbour : neighbour + channels]
    constant = (digamma(channels) - digamma(neighbour) + np.log(2)) / np.log(2)
    return constant + distances.double().log2().mean(dim=1)
