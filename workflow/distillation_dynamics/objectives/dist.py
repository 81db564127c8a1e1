"""DIST: correlation of student and teacher over classes within an image, and over images within a class.

Formula: tau^2 (beta (1 - mean over images of rho(s_i, t_i)) + gamma (1 - mean over classes of rho(s_j, t_j)))

rho is Pearson's correlation of probabilities at temperature tau: over the classes of an image i, and over the batch's
images of a class j. Scale and offset of the probabilities have no effect. The second part depends on the batch's size.

Source: Huang, You, Wang, Qian, Xu, Knowledge Distillation from A Stronger Teacher, NeurIPS 2022. tau^2 is in its code
and not in the paper. Defaults are those of its ImageNet runs, with weight 2 on this term and 1 on the cross-entropy.

Reported: ResNet-34 to ResNet-18 72.07 %, and ConvNeXt-T to DeiT-Tiny 74.07 %, 72.17 % alone (recalled, not checked).
"""

from torch import Tensor

from .. import distributed
from ..objective import Term

SHARED = ("temperature",)
OPTIONS = {
    "beta": {
        "type": "number",
        "minimum": 0,
        "default": 1.0,
        "description": "Weight of the correlation over classes, within an image.",
    },
    "gamma": {
        "type": "number",
        "minimum": 0,
        "default": 1.0,
        "description": "Weight of the correlation over images, within a class.",
    },
}
# Keeps the correlation of constant values finite, at 0.
EPSILON = 1e-8


class Loss(Term):
    """Both distances of logits [B, K], between 0 and 2 each at weight and temperature 1."""

    def forward(self, student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
        """Return the weighted sum."""
        temperature = self.options["temperature"]
        ours, theirs = ((logits / temperature).softmax(dim=1) for logits in (student_logits, teacher_logits))
        within_image = correlation(ours.mT, theirs.mT, len(ours.mT)).mean()
        images = len(ours) * distributed.world()
        within_class = correlation(ours, theirs, images, distributed.summed).mean()
        far = self.options["beta"] * (1 - within_image) + self.options["gamma"] * (1 - within_class)
        return temperature**2 * far


def correlation(ours: Tensor, theirs: Tensor, count: int, total=lambda part: part) -> Tensor:
    """Return Pearson's correlation of columns [N, C], [C]; `total` sums parts of `count` rows over processes."""
    ours, theirs = (values - total(values.sum(dim=0)) / count for values in (ours, theirs))
    products = (total((a * b).sum(dim=0)) for a, b in ((ours, theirs), (ours, ours), (theirs, theirs)))
    both, own, taught = products
    return both / (own * taught).clamp_min(EPSILON**2).sqrt()
