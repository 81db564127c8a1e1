"""Attention transfer: where a block is active, regardless of channels.

Formula: mean over images of |q(s) / |q(s)| - q(t) / |q(t)||^2, with q(f) = sum over channels of |f|^power

q has a value for each of the H x W places of a pair of blocks; norms are Euclidean, over places. It is 2 - 2 x cosine
of the two maps, so between 0 and 2. It has no parameters and accepts any widths. Despite its name it is unrelated to
self-attention.

Source: Zagoruyko, Komodakis, Paying More Attention to Attention, ICLR 2017, eq. 2. They use power 2 and weight 1000 /
2, and their code also takes the mean over places: its weight w corresponds to w / (H x W) here. A map of zeros stays
zero.

Reported: a reproduction for ResNet-18 taught by ResNet-34 reaches 70.90 %. We know of no result for DeiT-Tiny.
"""

from torch import Tensor
from torch.nn import functional as F

from ..objective import Term

SHARED = ("normalise_target", "robust")
OPTIONS = {
    "power": {
        "type": "number",
        "minimum": 1,
        "default": 2.0,
        "description": "Exponent of the activations before they are summed over channels.",
    },
}


class Loss(Term):
    """Squared distance of two normalised maps."""

    def forward(self, student_features: Tensor, teacher_features: Tensor) -> Tensor:
        """Return the distance for one pair: student [B, Cs, H, W], teacher [B, Ct, H, W]."""
        ours, theirs = (self.map(features) for features in (student_features, teacher_features))
        return (ours - theirs).square().sum(dim=1).mean()

    def map(self, features: Tensor) -> Tensor:
        """Return the normalised activity of each place of [B, C, H, W], [B, H * W]."""
        return F.normalize(features.abs().pow(self.options["power"]).sum(dim=1).flatten(1), dim=1)
