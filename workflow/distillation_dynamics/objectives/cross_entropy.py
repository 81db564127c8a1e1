"""Cross-entropy with the label: the loss of a student without a teacher.

Formula: - sum over classes of y log softmax(s), mean over the batch

y is 1 for the label and 0 for other classes, a share `label_smoothing` of it spread over all classes, or the
probabilities of a mixed image.

Source: label smoothing: Szegedy, Vanhoucke, Ioffe, Shlens, Wojna, Rethinking the Inception Architecture, CVPR 2016.
"""

from torch import Tensor
from torch.nn import functional as F

from ..objective import Term

OPTIONS = {
    "label_smoothing": {
        "type": "number",
        "minimum": 0,
        "exclusiveMaximum": 1,
        "default": 0.0,
        "description": "Share of the target spread over all classes.",
    }
}


class Loss(Term):
    """Cross-entropy between student logits [B, K] and labels [B] or probabilities [B, K], in nats."""

    def forward(self, student_logits: Tensor, targets: Tensor) -> Tensor:
        """Return the mean over the batch."""
        return F.cross_entropy(student_logits, targets, label_smoothing=self.options["label_smoothing"])
