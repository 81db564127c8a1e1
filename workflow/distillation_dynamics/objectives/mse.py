"""FitNet: mean squared error between a linear map of the student's patches and the teacher's.

Formula: mean over images, patches and channels of (W s + b - t)^2

s [B, N, Cs] and t [B, N, Ct] are the patches of a pair of blocks. Unlike in `projector`, nothing is normalised over the
batch: the teacher's large channels dominate unless `normalise_target` equalises them. The map exists even for equal
widths.

A trained map can learn what the student should. `frozen` keeps its initial weights, as the published runs of
Distillation Dynamics did unintentionally (see `projector`); `orthogonal` keeps angles and lengths (see `vkd`).

Source: Romero, Ballas, Kahou, Chassang, Gatta, Bengio, FitNets: Hints for Thin Deep Nets, ICLR 2015, eq. 3. That has
half of the sum of squares; its regressor is a convolution or a fully connected layer.

Reported: common code gives it a weight of 100 for convolutional networks. For DeiT-Tiny taught by ConvNeXt-T a table
reports 70.45 % where the student alone has 72.17 % (recalled, not checked): a feature term can hurt.
"""

from torch import Tensor
from torch.nn import functional as F

from ..objective import Term
from ._features import projections, tokens

SHARED = ("projector", "normalise_target", "robust")


class Loss(Term):
    """Distance of mapped patches, in squared units of the target."""

    def build(self) -> None:
        """Create one map per pair."""
        self.projections = projections(self.pairs, self.options["projector"])

    def forward(self, pair: int, student_features: Tensor, teacher_features: Tensor) -> Tensor:
        """Return the distance for one pair: student [B, Cs, H, W], teacher [B, Ct, H, W]."""
        return F.mse_loss(self.projections[pair](tokens(student_features)), tokens(teacher_features))
