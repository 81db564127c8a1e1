"""Soft distillation: tau^2 KL(softmax(t / tau) || softmax(s / tau)), mean over the batch ("batchmean").

Source: Hinton, Vinyals, Dean, Distilling the Knowledge in a Neural Network, 2015. The reduction matters: dividing by
the number of elements instead of the batch makes the term smaller by the number of classes.
"""

from torch import Tensor
from torch.nn import functional as F

from ..objective import Outputs, Term

REQUIRES = "teacher_logits"
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

    def forward(self, student: Outputs, teacher: Outputs, labels: Tensor) -> Tensor:
        """Return the mean over the batch of logits [B, K]."""
        temperature = self.options["temperature"]
        student_log = F.log_softmax(student.logits / temperature, dim=1)
        teacher_log = F.log_softmax(teacher.logits / temperature, dim=1)
        return temperature**2 * F.kl_div(student_log, teacher_log, reduction="batchmean", log_target=True)
