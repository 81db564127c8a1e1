"""Hard distillation: cross-entropy with the class that the teacher predicts, CE(s, argmax t).

Source: Touvron et al., Training data-efficient image transformers & distillation through attention, 2021, eq. 3.
"""

from torch import Tensor
from torch.nn import functional as F

from ..objective import Term

OPTIONS: dict[str, dict] = {}


class Loss(Term):
    """Cross-entropy between student logits [B, K] and the teacher's predicted classes, in nats."""

    def forward(self, student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
        """Return the mean over the batch."""
        return F.cross_entropy(student_logits, teacher_logits.argmax(dim=1))
