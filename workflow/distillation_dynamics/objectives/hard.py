"""Hard distillation: cross-entropy with the class that the teacher predicts, CE(s, argmax t).

Source: Touvron et al., Training data-efficient image transformers & distillation through attention, 2021, eq. 3.
"""

from torch import Tensor
from torch.nn import functional as F

from ..objective import Outputs, Term
from ..outputs import asked_for

REQUIRES = "teacher_logits"
OPTIONS: dict[str, dict] = {}


class Loss(Term):
    """Cross-entropy between student logits [B, K] and the teacher's predicted classes, in nats."""

    def forward(self, student: Outputs, teacher: Outputs, labels: Tensor) -> Tensor:
        """Return the mean over the batch."""
        return F.cross_entropy(asked_for(student.logits), asked_for(teacher.logits).argmax(dim=1))
