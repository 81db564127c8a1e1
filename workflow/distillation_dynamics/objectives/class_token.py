"""Class tokens: mean squared error between a linear map of the student's and the teacher's.

Formula: mean over images, tokens and channels of (W s + b - t)^2

s [B, P, Cs] and t [B, P, Ct] are the class (and distillation) tokens of a pair of blocks, before the final norm. If one
network has more of them, the first common ones are compared; the class token is first. Equal widths need no map.

Blocks without class tokens (CaiT before its last layers, Swin, convolutional stages, mean-pooled networks) are refused.

Source: no single publication; Wang, Yang, van de Weijer, Attention Distillation, BMVC 2022, map and match the class
token of the last block in addition to its attention (recalled, not checked).
"""

from torch import Tensor, nn
from torch.nn import functional as F

from ..objective import Term
from ._features import projections

SHARED = ("projector", "normalise_target")


class Loss(Term):
    """Distance of mapped tokens, in squared units of the target."""

    def build(self) -> None:
        """Create one map per pair, unless widths are equal."""
        maps = projections(self.pairs, self.options["projector"])
        self.projections = nn.ModuleList(
            nn.Identity() if student.channels == teacher.channels else each
            for each, (student, teacher) in zip(maps, self.pairs, strict=True)
        )

    def forward(self, pair: int, student_classes: Tensor, teacher_classes: Tensor) -> Tensor:
        """Return the distance for one pair: student [B, Ps, Cs], teacher [B, Pt, Ct]."""
        both = min(student_classes.shape[1], teacher_classes.shape[1])
        return F.mse_loss(self.projections[pair](student_classes[:, :both]), teacher_classes[:, :both])
