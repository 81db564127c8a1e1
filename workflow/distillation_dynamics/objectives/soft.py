"""Soft distillation: tau^2 KL(softmax(t / tau) || softmax(s / tau)), mean over the batch ("batchmean").

Source: Hinton, Vinyals, Dean, Distilling the Knowledge in a Neural Network, 2015. The reduction matters: dividing by
the number of elements instead of the batch makes the term smaller by the number of classes.
"""

from torch import Tensor

from ..objective import Term
from ._logits import divergence

OPTIONS = {
    "temperature": {
        "type": "number",
        "exclusiveMinimum": 0,
        "default": 1.0,
        "description": "that the logits of both are divided by",
    }
}


class Loss(Term):
    """Kullback-Leibler divergence from teacher to student at a temperature, times its square, in nats."""

    def forward(self, student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
        """Return the mean over the batch of logits [B, K]."""
        return divergence(student_logits, teacher_logits, self.options["temperature"])
