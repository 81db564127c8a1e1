"""CKA: 1 - linear CKA between student and teacher over the images of a batch, up to rotation and scale.

Formula: 1 - HSIC(s, t) / sqrt(HSIC(s, s) HSIC(t, t))

HSIC is the unbiased HSIC_1 of linear kernels of rows s [n, Cs] and t [n, Ct], a row the mean patch of an image in a
pair of blocks. It has no parameters and accepts any widths. Rows are the images of all processes, the whole batch. The
value is about 1 for unrelated rows at any batch size (it may exceed 1, since the estimate is unbiased), 0 for equal
representations, and 1, without a gradient, for constant or fewer than 4 rows.

The metric `cka_images` computes the same over many images, so this objective optimises what the study measures: a high
CKA of its students is then no finding.

Source: Kornblith, Norouzi, Lee, Hinton, Similarity of Neural Network Representations Revisited, ICML 2019. HSIC_1 is
eq. 5 of Song, Smola, Gretton, Bedo, Borgwardt, JMLR 2012. As a loss, in other forms: Zhou, Shen, Shao, Gong, Lin,
Rethinking Centered Kernel Alignment in Knowledge Distillation, IJCAI 2024.
"""

from torch import Tensor

from .. import distributed
from ..objective import Term
from ..similarity import cka

SHARED = ("normalise_target", "robust")


class Loss(Term):
    """1 - CKA."""

    def forward(self, student_features: Tensor, teacher_features: Tensor) -> Tensor:
        """Return the distance for one pair: student [B, Cs, H, W], teacher [B, Ct, H, W]."""
        rows = (distributed.gathered(features.mean(dim=(2, 3))) for features in (student_features, teacher_features))
        return 1 - cka(*rows)
