"""LaTeX tables on dose and place, and on effects of alignment."""

from ...paper.numbers import Stated
from ...paper.tables import Shown
from ..alignment.answer import effect_table
from .answer import contrasts

TABLES = {
    "dose_and_place": Shown(
        "Place and dose: differences in test top-1 [points] between variants that differ from {baseline} in one term "
        "with pairs, paired by seed, with the 95 % t interval. Share: of the loss in epoch 1. p: all contrasts of "
        "place and of dose in one sign-flip test.",
        {
            "contrast": "contrast", "variant minus other": "variant minus other", "pairs": "pairs",
            "share of the loss": "share [%]", "difference": "difference [95 % interval]", "seeds": "seeds",
            "p": "joint p", "verdict": "verdict",
        },
        "lp{1.2in}p{0.55in}rrrrp{1.1in}",
        lambda tables, names: contrasts(tables["dose_and_place"]),
        place=30,
    ),
    "effects": Shown(
        "What aligning did: difference of each variant to {baseline} in test top-1 [points] with the 95 % t "
        "interval, by the terms that align blocks. Share: of the loss in epoch 1, and over training. Test and p are "
        "those of all variants.",
        {
            "variant": "variant", "objective": "objective", "pairs": "pairs", "share of the loss": "share [%]",
            "effect": "effect [95 % interval]", "seeds": "seeds", "p": "joint p", "verdict": "verdict",
        },
        "lp{0.9in}lrrrrp{1.1in}",
        lambda tables, names: effect_table(tables["effects"]),
        place=40,
    ),
}  # fmt: skip
NUMBERS = {
    "effects": Stated(("variant", "objective", "pairs")),
    "dose_and_place": Stated(("contrast", "variant", "other")),
}
