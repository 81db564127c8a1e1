"""Manifold matching: cosines between patches, regardless of channels.

Formula: mean of (G(t) - G(s))^2, with G the cosines of all pairs of rows

Rows are, by `over`: `patches`, those of an image, [B, N, N]; `images`, the patches at one place in all images, [N, B,
B]; `random`, `sampled` patches of the batch, the same of both, [K, K]. It has no parameters and accepts any widths.

The published loss is the sum of three terms, one of each kind: patches at 4, images at .1 and random at .2 (K 192),
over the pairs of the first and the last four blocks, with soft distillation. Rows of `images` are of all processes,
those of `random` of each; they are drawn by torch's generator of the CPU, which a training seeds. A patch of zeros has
cosines 0.

Source: Hao, Guo, Jia, Han, Tang, Zhang, Hu, Wang, Learning Efficient Vision Transformers via Fine-Grained Manifold
Distillation, NeurIPS 2022. The README of its code names these weights; those of the code itself are 1.

Reported: CaiT-S24 to DeiT-Tiny 76.4 to 76.5 %; a reproduction in an issue of the code has 75.7 %.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from .. import distributed
from ..objective import Term
from ._features import tokens

SHARED = ("normalise_target", "robust")
OPTIONS = {
    "over": {
        "type": "string",
        "enum": ["patches", "images", "random"],
        "default": "patches",
        "description": "Compared tokens: patches of an image, one position in all images, or random patches.",
    },
    "sampled": {
        "type": "integer",
        "minimum": 2,
        "default": 192,
        "description": "Number of random patches for `over: random`; memory grows with its square.",
    },
}


class Loss(Term):
    """Squared distance of cosines, between 0 and 4."""

    def forward(self, student_features: Tensor, teacher_features: Tensor) -> Tensor:
        """Return the distance for one pair: student [B, Cs, H, W], teacher [B, Ct, H, W]."""
        rows = [F.normalize(tokens(features), dim=-1) for features in (student_features, teacher_features)]
        if self.options["over"] == "images":
            rows = [distributed.gathered(of).transpose(0, 1) for of in rows]
        if self.options["over"] == "random":
            images, patches, _ = rows[0].shape
            sampled = torch.randperm(images * patches)[: self.options["sampled"]].to(rows[0].device)
            rows = [of.flatten(0, 1)[sampled] for of in rows]
        ours, theirs = (of @ of.mT for of in rows)
        return F.mse_loss(ours, theirs)
