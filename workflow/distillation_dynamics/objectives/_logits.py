"""Helpers of logit objectives: divergence at a temperature, and separation of the label's class from the others."""

import torch
from torch import Tensor
from torch.nn import functional as F


def divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return tau^2 KL(softmax(t / tau) || softmax(s / tau)) of logits [B, K], mean over the batch, in nats."""
    student_log = F.log_softmax(student / temperature, dim=1)
    teacher_log = F.log_softmax(teacher / temperature, dim=1)
    return temperature**2 * F.kl_div(student_log, teacher_log, reduction="batchmean", log_target=True)


def split(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return log-probabilities (label's class, sum of all others) [B, 2], and among the others [B, K - 1]."""
    images, classes = logits.shape
    is_label = F.one_hot(labels, classes).bool()
    other = logits[~is_label].reshape(images, classes - 1)
    both = torch.stack([logits[is_label], other.logsumexp(dim=1)], dim=1)
    return both.log_softmax(dim=1), other.log_softmax(dim=1)
