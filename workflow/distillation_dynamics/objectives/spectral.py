"""SpectralKD: mean squared error between spatial spectra of a student's and a teacher's feature map.

Per pair of blocks: the teacher's channels are reduced to the student's number by adaptive average pooling along the
channel axis; both maps go through the orthonormal 2-D real FFT over rows and columns; the mean squared error is taken
over real and imaginary parts. It has no parameters. By Parseval this is a weighted spatial MSE: it says nothing about
the channel-axis spectrum that the analysis plots.

Source: SpectralKD, arXiv 2412.19055; Tian, Xu, Li, Distillation Dynamics, AAAI 2026.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from ..objective import Term

OPTIONS: dict[str, dict] = {}


def pool_channels(features: Tensor, channels: int) -> Tensor:
    """Reduce [B, C, H, W] to [B, channels, H, W] by adaptive average pooling along the channel axis."""
    pooled = F.adaptive_avg_pool1d(features.flatten(2).transpose(1, 2), channels)
    return pooled.transpose(1, 2).unflatten(2, features.shape[2:])


class Loss(Term):
    """Spectral distance of aligned blocks, in squared activation units."""

    def forward(self, student_features: Tensor, teacher_features: Tensor) -> Tensor:
        """Return the distance of a pair: student [B, Cs, H, W], teacher [B, Ct, H, W]."""
        difference = student_features - pool_channels(teacher_features, student_features.shape[1])
        # The transform is linear, so one transform of the difference serves both maps.
        spectrum = torch.view_as_real(torch.fft.rfft2(difference, norm="ortho"))
        return spectrum.square().mean()
