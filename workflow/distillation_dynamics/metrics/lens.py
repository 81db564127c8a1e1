"""Logit lens: the head's prediction from every block, to find where the final prediction appears.

In: the logits [B, K] of the network and, by block, of its head applied to the block's output. Out: by image and block
whether the lens is right, whether it agrees with the final prediction, and KL(final

lens) in nats. Source: nostalgebraist, interpreting GPT: the logit lens, 2020; Belrose et al. (arXiv 2303.08112).
Networks without a head have no lens; a block that the head cannot read (other channels) is NaN.
"""

import numpy as np
import torch

from ..files import Column
from ..outputs import Outputs, check_values
from .accumulator import Accumulator

REQUIRES = ("logits", "lens")
IMAGE_COLUMNS = {
    "lens_top1": Column("%", "100 where the head, reading the block, predicts the label, else 0; NaN without a label"),
    "lens_agreement": Column("%", "100 where it predicts what the network predicts, else 0"),
    "lens_kl": Column("nats", "KL(prediction of the network || that of the head reading the block)"),
}


def lens_scalars(lens: torch.Tensor, logits: torch.Tensor, labels: torch.Tensor | None = None) -> dict[str, np.ndarray]:
    """Return the columns of IMAGE_COLUMNS, [B], from a block's logits [B, K], the network's [B, K] and labels [B].

    Labels without a logit (-1: no label) count as missing.
    """
    said, final = lens.double(), logits.double()
    own, log = final.log_softmax(dim=1), said.log_softmax(dim=1)
    top1 = torch.full((len(said),), torch.nan, dtype=torch.float64, device=said.device)
    if labels is not None:
        labels = labels.to(said.device)
        counted = (labels >= 0) & (labels < said.shape[1])
        top1[counted] = 100 * (said.argmax(dim=1) == labels).double()[counted]
    values = {
        "lens_top1": top1,
        "lens_agreement": 100 * (said.argmax(dim=1) == final.argmax(dim=1)).double(),
        "lens_kl": (own.exp() * (own - log)).sum(dim=1).clamp(min=0),
    }
    return {name: value.cpu().numpy() for name, value in values.items()}


class Metric(Accumulator):
    """The lens of every block."""

    _seen = 0

    def update(self, outputs: Outputs) -> None:
        """Add logits of network and blocks, and labels; raise NotFinite for NaN or infinity."""
        if outputs.logits is None or not outputs.lens:
            return
        check_values(outputs.logits, "logits,", self._seen)
        blocks = max(len(self.context.shapes), 1 + max(outputs.lens))
        empty = np.full(len(outputs.logits), np.nan)
        values = [dict.fromkeys(IMAGE_COLUMNS, empty) for _ in range(blocks)]
        for block, lens in outputs.lens.items():
            check_values(lens, f"lens of block {block},", self._seen)
            values[block] = lens_scalars(lens, outputs.logits, outputs.targets)
        self.images.add(values)
        self._seen += len(outputs.logits)
