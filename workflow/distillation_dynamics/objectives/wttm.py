"""Weighted transformed teacher matching: divergence from the teacher's probabilities to a power.

Formula: U KL(q || s), with q = t^power / U and U = sum over classes of t^power, mean over the batch

This equals a temperature of 1 / power for the teacher only, with more weight on images where the teacher is less
confident.

Source: Zheng, Yang, Knowledge Distillation Based on Transformed Teacher Matching, ICLR 2024. Its code takes powers of
.1 to .3 by teacher and student; the default is their middle.

Reported: DeiT III-S to DeiT-Tiny 77.03 %, with ViTKD 78.04 %.
"""

from torch import Tensor
from torch.nn import functional as F

from ..objective import Term

OPTIONS = {
    "power": {
        "type": "number",
        "exclusiveMinimum": 0,
        "maximum": 1,
        "default": 0.2,
        "description": "Exponent of the teacher's probabilities, one over its temperature; smaller is softer.",
    }
}


class Loss(Term):
    """Weighted Kullback-Leibler divergence from teacher to student of logits [B, K], in nats."""

    def forward(self, student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
        """Return the mean over the batch."""
        raised = self.options["power"] * teacher_logits.log_softmax(dim=1)
        weight = raised.logsumexp(dim=1).exp()
        ours = student_logits.log_softmax(dim=1)
        divergence = F.kl_div(ours, raised.log_softmax(dim=1), reduction="none", log_target=True).sum(dim=1)
        return (weight * divergence).mean()
