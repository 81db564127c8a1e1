"""Agreement of two networks' predictions: equal top-1, and KL divergence.

In: logits [N, K] of both for the same images, NumPy. Out: percent and nats. Imports no torch.
"""

import numpy as np

from ...files import Column
from .activations import Activations

REQUIRES = ("logits",)
NETWORK_COLUMNS = {
    "agreement": Column("%", "images on which both predict the same class; NaN unless both have as many logits"),
    "kl": Column("nats", "mean KL(other || network) of the predicted distributions; NaN where agreement is"),
    "top1": Column("%", "top-1 of the network on those of the images whose label it has a logit for; NaN without any"),
    "other_top1": Column("%", "the same of the other"),
}


def agreement(student: np.ndarray, teacher: np.ndarray) -> tuple[float, float]:
    """Return the percentage of equal predictions, and mean KL(teacher

    student) in nats, of logits [N, K].

    Raises ValueError for NaN or infinity.
    """
    student, teacher = (logits.astype(np.float64) for logits in (student, teacher))
    if not (np.isfinite(student).all() and np.isfinite(teacher).all()):
        raise ValueError("logits hold NaN or infinity")
    equal = np.mean(student.argmax(axis=1) == teacher.argmax(axis=1))
    student_log, teacher_log = _log_softmax(student), _log_softmax(teacher)
    divergences = np.sum(np.exp(teacher_log) * (teacher_log - student_log), axis=1)
    return 100 * float(equal), float(divergences.mean())


def top1(logits: np.ndarray | None, labels: np.ndarray) -> float:
    """Return the percentage of images [N] whose label is the largest of their logits [N, K].

    Counts images with a label (-1: none) that has a logit; NaN without any, or without logits.
    """
    if logits is None:
        return np.nan
    counted = (labels >= 0) & (labels < logits.shape[1])
    return 100 * float(np.mean(logits[counted].argmax(axis=1) == labels[counted])) if counted.any() else np.nan


def compare(first: Activations, second: Activations) -> dict[str, float]:
    """Return the columns of NETWORK_COLUMNS."""
    ours, theirs = first.logits, second.logits
    if ours is None or theirs is None or ours.shape != theirs.shape:
        equal, divergence = np.nan, np.nan
    else:
        equal, divergence = agreement(ours, theirs)
    own = {"top1": top1(ours, first.labels), "other_top1": top1(theirs, second.labels)}
    return {"agreement": equal, "kl": divergence} | own


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
