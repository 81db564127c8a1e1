"""MGD: two convolutions generate the teacher's features from the student's partly masked ones.

Formula: alpha x sum over channels and places of (G(M x A(s)) - t)^2, mean over images

A maps the student's channels to the teacher's (nothing where there are as many), M is 0 with probability `masked` and 1
elsewhere, drawn for each image and place, and G is two 3 x 3 convolutions with a ReLU between. A and G train with the
student and are discarded afterwards.

Source: Yang, Li, Shao, Shi, Yuan, Yuan, Masked Generative Distillation, ECCV 2022, section 3. alpha is that of its
ImageNet code, and belongs to a sum: it is alpha x C x H x W of the mean. That code masks channels instead of places
(`over: channels`), a share of .15 where its documentation says .5, the default here.

Reported: an issue of the code finds that a share of 0 does as well, so that what helps would be G and not the mask.
"""

from torch import Tensor, nn

from ..objective import Term
from ._generation import aligned, drawn, generator

SHARED = ("normalise_target", "robust")
OPTIONS = {
    "alpha": {
        "type": "number",
        "minimum": 0,
        "default": 7e-5,
        "description": "Factor of the summed squared error; it grows with channels and patches.",
    },
    "masked": {
        "type": "number",
        "minimum": 0,
        "exclusiveMaximum": 1,
        "default": 0.5,
        "description": "Probability that a position (or channel) of the student is masked.",
    },
    "over": {
        "type": "string",
        "enum": ["places", "channels"],
        "default": "places",
        "description": "Whether positions are masked in all channels, or channels at all positions.",
    },
}


class Loss(Term):
    """Squared distance of generated features, in squared units of the target, times alpha."""

    def build(self) -> None:
        """Create alignment and generator of each pair."""
        self.aligned = nn.ModuleList(aligned(student.channels, teacher.channels) for student, teacher in self.pairs)
        self.generators = nn.ModuleList(generator(teacher.channels) for _, teacher in self.pairs)

    def forward(self, pair: int, student_features: Tensor, teacher_features: Tensor) -> Tensor:
        """Return the distance for one pair: student [B, Cs, H, W], teacher [B, Ct, H, W]."""
        ours = self.aligned[pair](student_features)
        images, channels, rows, columns = ours.shape
        shape = (images, 1, rows, columns) if self.options["over"] == "places" else (images, channels, 1, 1)
        kept = drawn(*shape, like=ours) >= self.options["masked"]
        made = self.generators[pair](ours * kept)
        return self.options["alpha"] * (made - teacher_features).square().sum() / images
