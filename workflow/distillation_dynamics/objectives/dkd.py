"""Decoupled distillation: separate weights for the label's class against the rest, and among the other classes.

Formula: tau^2 (alpha KL((t_y, 1 - t_y) || (s_y, 1 - s_y)) + beta KL(t' || s')), mean over the batch

Probabilities are those at temperature tau, t' and s' those of all classes but the label's, normalised. With alpha 1 and
beta 1 - t_y per image it equals soft distillation, which gives the other classes the least weight when the teacher is
confident. Each image needs one label.

Source: Zhao, Cui, Song, Qiu, Liang, Decoupled Knowledge Distillation, CVPR 2022. The defaults are those of its ImageNet
runs; for CIFAR-100 it takes beta 8 and temperature 4. Its code raises the weight over the first 20 epochs; here it is
constant unless a course says otherwise.

Reported: ResNet-34 to ResNet-18 71.70 %. ConvNeXt-T to DeiT-Tiny 73.95 %, and 72.17 % alone (recalled, not checked).
"""

from torch import Tensor
from torch.nn import functional as F

from ..objective import Term
from ._logits import split

SHARED = ("temperature",)
OPTIONS = {
    "alpha": {
        "type": "number",
        "minimum": 0,
        "default": 1.0,
        "description": "Weight of the divergence on the label's class.",
    },
    "beta": {
        "type": "number",
        "minimum": 0,
        "default": 0.5,
        "description": "Weight of the divergence on the other classes.",
    },
}


class Loss(Term):
    """Both divergences of logits [B, K] with labels [B], in nats."""

    def forward(self, student_logits: Tensor, teacher_logits: Tensor, labels: Tensor) -> Tensor:
        """Return the mean over the batch."""
        temperature = self.options["temperature"]
        own, others = split(student_logits / temperature, labels)
        taught, targets = split(teacher_logits / temperature, labels)
        of_label = F.kl_div(own, taught, reduction="batchmean", log_target=True)
        of_others = F.kl_div(others, targets, reduction="batchmean", log_target=True)
        return temperature**2 * (self.options["alpha"] * of_label + self.options["beta"] * of_others)
