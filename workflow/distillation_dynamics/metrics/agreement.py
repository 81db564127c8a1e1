"""How far a student predicts what its teacher predicts: equal top-1 and the divergence of the distributions.

In: logits [N, K] of student and teacher for the same images, NumPy. Out: percent and nats. Imports no torch.
"""

import numpy as np

NEEDS = "pair"


def agreement(student: np.ndarray, teacher: np.ndarray) -> tuple[float, float]:
    """Return the share of equal predictions in percent and mean KL(teacher || student) in nats, of logits [N, K].

    Raises ValueError where the shapes differ or are not [N, K] with N and K above 0, or for NaN or infinity.
    """
    stream = Agreement()
    stream.update(student, teacher)
    return stream.compute()


class Agreement:
    """`agreement` over a stream of images."""

    def __init__(self):
        self.images = 0
        self._equal = 0
        self._divergence = 0.0

    def update(self, student: np.ndarray, teacher: np.ndarray) -> None:
        """Take the logits [n, K] of some images; raise ValueError as `agreement` does."""
        shape = np.shape(student)
        if np.shape(teacher) != shape or len(shape) != 2 or 0 in shape:
            raise ValueError(f"logits must both be [N, K], no axis empty, got {shape} and {np.shape(teacher)}")
        student, teacher = (np.asarray(logits, dtype=np.float64) for logits in (student, teacher))
        if not (np.isfinite(student).all() and np.isfinite(teacher).all()):
            raise ValueError("logits hold NaN or infinity")
        student_log, teacher_log = _log_softmax(student), _log_softmax(teacher)
        self.images += shape[0]
        self._equal += int(np.sum(student.argmax(axis=1) == teacher.argmax(axis=1)))
        self._divergence += float(np.sum(np.exp(teacher_log) * (teacher_log - student_log)))

    def compute(self) -> tuple[float, float]:
        """Return (percent of equal predictions, mean KL(teacher || student) in nats) of all images so far.

        Raises ValueError where there were none.
        """
        if self.images == 0:
            raise ValueError("agreement needs at least one image")
        return 100 * self._equal / self.images, self._divergence / self.images


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
