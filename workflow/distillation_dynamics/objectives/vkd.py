"""VkD: smooth L1 distance of an orthogonal map of the student's mean patch to the teacher's normalised one.

Formula: mean over images and channels of smoothL1(W mean(s) - LayerNorm(mean(t))), W orthogonal

s and t are the patches of a pair of blocks, and smoothL1(x) = x^2 / 2 for |x| < 1, |x| - 1 / 2 elsewhere. LayerNorm has
no parameters.

An orthogonal map cannot learn what the student should by scaling or mixing. It is torch's parametrization, as in the
authors' code, but by Cayley's map: torch's default for two widths becomes 0 with weight decay (seen with torch 2.14).
With another distance or of every patch: `mse` with `projector: orthogonal`.

Source: Miles, Elezi, Deng, V_kD: Improving Knowledge Distillation using Orthogonal Projections, CVPR 2024. The authors'
code takes the weight 1. There the block is the last one, and soft distillation of a token comes with it.

Reported: DeiT-Tiny reaches 78.3 % in the paper, and 79.2 % in its code's log with one GPU. These are not comparable
with other numbers here: a RegNetY-160 teaches, and the student has a convolutional stem and a distillation token.
"""

from torch import Tensor
from torch.nn import functional as F

from ..objective import Term
from ._features import projections

SHARED = ("robust",)


class Loss(Term):
    """Distance of mapped mean patches; the target has unit variance."""

    def build(self) -> None:
        """Create one map per pair."""
        self.projections = projections(self.pairs, "orthogonal")

    def forward(self, pair: int, student_features: Tensor, teacher_features: Tensor) -> Tensor:
        """Return the distance for one pair: student [B, Cs, H, W], teacher [B, Ct, H, W]."""
        ours, theirs = (features.mean(dim=(2, 3)) for features in (student_features, teacher_features))
        return F.smooth_l1_loss(self.projections[pair](ours), F.layer_norm(theirs, theirs.shape[1:]))
