"""Mixed images and labels (mixup, cutmix), as timm mixes them."""

from timm.data import Mixup
from torch import Tensor

from .. import distributed
from ..data.streams import drawn_from
from ..spec.training import Mixing

# Last number of the key of these draws; no other stream has a key of five numbers.
MIXING = 1


def mixed(mixing: Mixing, pixels: Tensor, labels: Tensor, classes: int, seed: int, step: int) -> tuple[Tensor, Tensor]:
    """Return pixels [B, C, H, W], mixed in place, and class probabilities [B, classes] for labels [B]; B is even.

    Each image is mixed with the one at the mirrored position. Draws depend only on seed and update. With several
    processes each mixes its own part of the batch with its own draws, as in timm. Labels are not smoothed: the
    objective does that.
    """
    mixup = Mixup(
        mixup_alpha=mixing.mixup,
        cutmix_alpha=mixing.cutmix,
        prob=mixing.probability,
        switch_prob=mixing.switch_probability,
        mode=mixing.mode,
        label_smoothing=0.0,
        num_classes=classes,
    )
    with drawn_from(seed, step, distributed.rank(), distributed.world(), MIXING):
        return mixup(pixels, labels)
