"""Cosine distance between a linear map of the student's patches and the teacher's.

Formula: mean over images and patches of 1 - <W s + b, t> / (|W s + b| |t|)

s and t are a patch of a pair of blocks. The norm of a patch has no effect: neither the teacher's scale nor its outlier
patches dominate.

Source: no single publication; common as a loss between projected patches in distillation from several foundation
models, such as Ranzinger, Heinrich, Kautz, Molchanov, AM-RADIO, CVPR 2024, which adds a smooth L1 distance to it
(recalled, not checked). A zero patch, which has no direction, costs 1.
"""

from torch import Tensor
from torch.nn import functional as F

from ..objective import Term
from ._features import projections, tokens

SHARED = ("projector", "normalise_target", "robust")


class Loss(Term):
    """1 - cosine of mapped patches: 0 where they point the same way, 2 where they are opposite."""

    def build(self) -> None:
        """Create one map per pair."""
        self.projections = projections(self.pairs, self.options["projector"])

    def forward(self, pair: int, student_features: Tensor, teacher_features: Tensor) -> Tensor:
        """Return the distance for one pair: student [B, Cs, H, W], teacher [B, Ct, H, W]."""
        ours, theirs = self.projections[pair](tokens(student_features)), tokens(teacher_features)
        return 1 - (F.normalize(ours, dim=-1) * F.normalize(theirs, dim=-1)).sum(dim=-1).mean()
