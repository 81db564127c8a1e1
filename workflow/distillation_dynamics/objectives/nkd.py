"""Normalised distillation: cross-entropy with the teacher's probability of the label, and with the other classes.

Formula: - t_y log s_y - gamma tau^2 sum over j other than y of t'_j log s'_j, mean over the batch

t_y and s_y are the probabilities of the label's class, and t', s' those of the other classes at temperature tau,
normalised.

Source: Yang, Zeng, Li, Zhang, Yuan, Li, From Knowledge Distillation to Self-Knowledge Distillation: A Unified Approach
with Normalized Loss and Customized Soft Labels, ICCV 2023. The default of gamma is its code's; for DeiT students that
takes 1.

Reported: DeiT III-S to DeiT-Tiny 76.68 %. An issue of its code reports NaN for targets of 0; here logarithms are
computed from logits.
"""

from torch import Tensor

from ..objective import Term
from ._logits import split

SHARED = ("temperature",)
OPTIONS = {
    "gamma": {
        "type": "number",
        "minimum": 0,
        "default": 1.5,
        "description": "Weight of the cross-entropy on the other classes.",
    },
    "temperature": {"description": "Temperature of the other classes; higher values soften both distributions."},
}


class Loss(Term):
    """Both cross-entropies of logits [B, K] with labels [B], in nats."""

    def forward(self, student_logits: Tensor, teacher_logits: Tensor, labels: Tensor) -> Tensor:
        """Return the mean over the batch."""
        temperature, logits = self.options["temperature"], (student_logits, teacher_logits)
        (own, _), (taught, _) = (split(of, labels) for of in logits)
        (_, others), (_, targets) = (split(of / temperature, labels) for of in logits)
        of_label = -(taught[:, 0].exp() * own[:, 0]).mean()
        of_others = -(targets.exp() * others).sum(dim=1).mean()
        return of_label + self.options["gamma"] * temperature**2 * of_others
