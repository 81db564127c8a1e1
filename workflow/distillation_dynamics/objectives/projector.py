"""ProjectorKD (FitNet-like): a linear projection of the student's tokens matches the teacher's normalised tokens.

Formula: mean of (BN(W s + b) - BN(t))^2

BN normalises tokens by statistics of the batch, without an affine part (which on the teacher's side could shrink to
zero and take the loss with it). The projection trains with the student; `frozen: true` reproduces the published runs,
whose projection was created after the optimiser and so stayed at its random initial values.

Source: Tian, Xu, Li, Distillation Dynamics, AAAI 2026, after Romero et al., FitNets, ICLR 2015.

Reported: CaiT-S24 to DeiT-Tiny at weight .2 with soft, frozen: 76.87 % on the first pair, 76.72 % on the last, in its
logs; soft alone has 76.95 %.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from .. import distributed
from ..objective import Term

OPTIONS = {
    "frozen": {
        "type": "boolean",
        "default": False,
        "description": "Keeps the projections at their random initial weights, as in the published code.",
    }
}


class Loss(Term):
    """Distance of projected, normalised tokens of aligned blocks (2 - 2 x correlation for unit variances)."""

    def build(self) -> None:
        """Create one projection per pair."""
        self.projections = nn.ModuleList(nn.Linear(pair.student.channels, pair.teacher.channels) for pair in self.pairs)
        self.projections.requires_grad_(not self.options["frozen"])

    def forward(self, pair: int, student_features: Tensor, teacher_features: Tensor) -> Tensor:
        """Return the distance for a pair: student [B, Cs, H, W], teacher [B, Ct, H, W]."""
        projected = self.projections[pair](tokens(student_features))
        return F.mse_loss(normalise(projected), normalise(tokens(teacher_features)))


def tokens(features: Tensor) -> Tensor:
    """Return [B, C, H, W] as tokens [B * H * W, C]."""
    return features.permute(0, 2, 3, 1).flatten(0, 2)


def normalise(values: Tensor) -> Tensor:
    """Batch-normalise [N, C] over its rows with statistics of the whole batch."""
    if distributed.world() == 1:
        return F.batch_norm(values, None, None, training=True)
    count = len(values) * distributed.world()
    centred = values - distributed.summed(values.sum(dim=0)) / count
    variance = distributed.summed(centred.square().sum(dim=0)) / count
    return centred * (variance + 1e-5).rsqrt()
