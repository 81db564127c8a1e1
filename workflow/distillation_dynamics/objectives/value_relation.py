"""Value relation (MiniLM): similarity of two tokens' values by head, as in the teacher's attention layer.

Formula: mean over images, heads and tokens of sum over tokens of a log(a / b), with a = softmax(v v^T / sqrt(d))

a is of the teacher's values v [B, heads, N, d] in a pair of blocks, and b the same of the student's. In nats. It has no
parameters.

Values are those of the block's self-attention layer, before it weighs them. Their channels are split in `heads`
relation heads of equal width d, by default as many as divide the attention heads of both (with equal numbers these
themselves); so heads and widths may differ. Tokens that both networks have are compared, as in `attention`.

Source: Wang, Wei, Dong, Bao, Yang, Zhou, MiniLM: Deep Self-Attention Distillation, NeurIPS 2020, section 3.2. There it
is added to the divergence of attention in the last layer (`attention` here); relation heads: Wang, Bao, Huang, Dong,
Wei, MiniLMv2, 2021. Both are of language models; we know of no result for a vision Transformer.
"""

import math

from torch import Tensor
from torch.nn import functional as F

from ..errors import StudyError
from ..objective import Term
from ._tokens import common

SHARED = ("mask_prefix",)
OPTIONS = {
    "heads": {
        "type": "integer",
        "minimum": 1,
        "description": "Number of relation heads; default: the largest divisor of both networks' attention heads.",
    },
}


class Loss(Term):
    """Divergence from teacher to student, in nats."""

    def build(self) -> None:
        """Find the relation heads of each pair."""
        given = self.options.get("heads")
        self.heads = [given or math.gcd(student.heads, teacher.heads) for student, teacher in self.pairs]
        for pair, heads in zip(self.pairs, self.heads, strict=True):
            if any(block.values % heads for block in pair):
                widths = " and ".join(str(block.values) for block in pair)
                raise StudyError(f"value_relation: {heads} heads do not divide the widths {widths}; give heads that do")

    def forward(self, pair: int, student_values: Tensor, teacher_values: Tensor) -> Tensor:
        """Return the divergence for one pair: student [B, Ns, Cs], teacher [B, Nt, Ct]."""
        kept = common(self.pairs[pair], self.options["mask_prefix"], student_values.device)
        values = zip((student_values, teacher_values), kept, strict=True)
        ours, theirs = (self.relation(of if which is None else of[:, which], self.heads[pair]) for of, which in values)
        return F.kl_div(ours, theirs, reduction="none", log_target=True).sum(dim=-1).mean()

    @staticmethod
    def relation(values: Tensor, heads: int) -> Tensor:
        """Return the log-similarity of values [B, N, C] by head, rows summing to 1, [B, heads, N, N]."""
        by_head = values.unflatten(2, (heads, -1)).transpose(1, 2)
        return (by_head @ by_head.mT / math.sqrt(by_head.shape[-1])).log_softmax(dim=-1)
