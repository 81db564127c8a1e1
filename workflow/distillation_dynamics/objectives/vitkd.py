"""ViTKD: mimic the teacher's early blocks, and generate its last one from a masked map of the student's.

Formula: of an early pair alpha x sum of (A s - t)^2; of a generated one beta / masked x sum over masked places of (G(x)
- t)^2

Sums are over places and channels, with the mean over images. A maps the student's channels to the teacher's (nothing
where there are as many); x is A s with a share `masked` of each image's places, drawn at random, replaced by a token
that trains; G is two 3 x 3 convolutions with a ReLU between. All of it is discarded after training.

`generated` of the term's pairs, the last ones, are generated. As published: `pairs: [[0, 0], [1, 1], last]` with
`reduction: sum`. There features of the last block are taken after the final norm; here, as everywhere, before it.

Source: Yang, Li, Zeng, Li, Yuan, Li, ViTKD: Practical Guidelines for ViT Feature Knowledge Distillation, 2022. The
defaults are those of its code. Sums make a weight depend on the size: 3e-5 x 196 x 384 = 2.26 of a mean for DeiT.

Reported: DeiT III-S to DeiT-Tiny 76.06 %, with NKD 77.78 %, where the student alone has 74.42 % in that recipe.
"""

import torch
from torch import Tensor, nn

from ..errors import StudyError
from ..objective import Term
from ._generation import aligned, drawn, generator

SHARED = ("normalise_target", "robust")
OPTIONS = {
    "alpha": {
        "type": "number",
        "minimum": 0,
        "default": 3e-5,
        "description": "Factor of the summed squared error of early pairs; it grows with channels and patches.",
    },
    "beta": {
        "type": "number",
        "minimum": 0,
        "default": 3e-6,
        "description": "Factor of the summed squared error of generated pairs.",
    },
    "masked": {
        "type": "number",
        "exclusiveMinimum": 0,
        "exclusiveMaximum": 1,
        "default": 0.5,
        "description": "Share of patches that are masked and generated.",
    },
    "generated": {
        "type": "integer",
        "minimum": 0,
        "default": 1,
        "description": "Number of last pairs that are generated instead of imitated.",
    },
}


class Loss(Term):
    """Squared distances of mimicked and generated features, in squared units of the target, times their factors."""

    def build(self) -> None:
        """Create alignments, and of the generated pairs tokens and generators."""
        self.first = len(self.pairs) - self.options["generated"]
        if self.first < 0:
            raise StudyError(f"vitkd: generated is {self.options['generated']}, but there are {len(self.pairs)} pairs")
        self.aligned = nn.ModuleList(aligned(student.channels, teacher.channels) for student, teacher in self.pairs)
        widths = [teacher.channels for _, teacher in self.pairs[self.first :]]
        self.mask_tokens = nn.ParameterList(nn.Parameter(torch.zeros(width, 1, 1)) for width in widths)
        self.generators = nn.ModuleList(generator(width) for width in widths)

    def forward(self, pair: int, student_features: Tensor, teacher_features: Tensor) -> Tensor:
        """Return the distance for one pair: student [B, Cs, H, W], teacher [B, Ct, H, W]."""
        ours, images = self.aligned[pair](student_features), len(student_features)
        if pair < self.first:
            return self.options["alpha"] * (ours - teacher_features).square().sum() / images
        number, masked = pair - self.first, self.options["masked"]
        rank = drawn(images, ours.shape[2] * ours.shape[3], like=ours).argsort(dim=1).argsort(dim=1)
        hidden = (rank >= int(rank.shape[1] * (1 - masked))).unflatten(1, ours.shape[2:])[:, None]
        made = self.generators[number](torch.where(hidden, self.mask_tokens[number], ours))
        return self.options["beta"] / masked * ((made - teacher_features) * hidden).square().sum() / images
