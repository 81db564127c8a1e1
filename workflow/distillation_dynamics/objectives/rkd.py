"""Relational distillation: matches distances between two images, and angles among three.

Formula: distance x mean over (i, j) of huber(d_ij(s) / mean d(s) - d_ij(t) / mean d(t)) + angle x mean over (i, j, k)
of huber(cos_ijk(s) - cos_ijk(t))

A row is the mean patch of an image, d the Euclidean distance of two, its mean taken of those above 0, cos_ijk the
cosine at j between i and k, and huber(x) = x^2 / 2 for |x| < 1, |x| - 1 / 2 elsewhere. It has no parameters and accepts
any widths. Rows are the images of all processes.

n images have n^3 angles: they are computed for a few vertices at a time, and recomputed for the gradient if there are
several parts, to limit memory. A direction between equal rows is 0.

Source: Park, Kim, Lu, Cho, Relational Knowledge Distillation, CVPR 2019, section 3.2; there rows are the head's inputs.
The weights 25 and 50 are those of common code for CIFAR; the paper gives angles twice the weight of distances.

Reported: DeiT-Tiny taught by ConvNeXt-T 71.47 %, and 72.17 % alone (recalled, not checked).
"""

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from .. import distributed
from ..objective import Term

SHARED = ("normalise_target", "robust")
OPTIONS = {
    "distance": {
        "type": "number",
        "minimum": 0,
        "default": 25.0,
        "description": "Weight of the distances between two images.",
    },
    "angle": {
        "type": "number",
        "minimum": 0,
        "default": 50.0,
        "description": "Weight of the angles between three images.",
    },
}
EPSILON = 1e-12
# Values per part of all angles, for each network.
PART = 2**22


class Loss(Term):
    """Weighted sum of both distances."""

    def forward(self, student_features: Tensor, teacher_features: Tensor) -> Tensor:
        """Return the distance for one pair: student [B, Cs, H, W], teacher [B, Ct, H, W]."""
        rows = [distributed.gathered(features.mean(dim=(2, 3))) for features in (student_features, teacher_features)]
        ours, theirs = (relative_distances(of) for of in rows)
        far = F.smooth_l1_loss(ours, theirs)
        return self.options["distance"] * far + self.options["angle"] * angles_apart(*rows)


def relative_distances(rows: Tensor) -> Tensor:
    """Return distances of rows [n, C], divided by the mean of those above 0, [n, n]; zeros if all rows are equal."""
    distances = torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist")
    mean = distances.sum() / (distances > 0).sum().clamp_min(1)
    return distances / mean.clamp_min(EPSILON)


def angles_apart(ours: Tensor, theirs: Tensor) -> Tensor:
    """Return the mean Huber distance of the cosines at each row between each two others."""
    count = len(ours)
    step = max(1, PART // (count * (count + max(ours.shape[1], theirs.shape[1]))))

    def part(ours: Tensor, theirs: Tensor, first: int) -> Tensor:
        edges = (F.normalize(of - of[first : first + step, None], dim=2) for of in (ours, theirs))
        mine, taught = (of @ of.mT for of in edges)
        return F.smooth_l1_loss(mine, taught, reduction="sum")

    if step >= count:
        return part(ours, theirs, 0) / count**3
    parts = [
        checkpoint(part, ours, theirs, first, use_reentrant=False, preserve_rng_state=False)
        for first in range(0, count, step)
    ]
    return torch.stack(parts).sum() / count**3
