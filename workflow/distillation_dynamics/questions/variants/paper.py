"""LaTeX table on variants."""

from ...paper.numbers import Stated
from ...paper.tables import Shown
from .answer import variant_table

TABLES = {
    "variants": Shown(
        "Difference to {baseline} in test top-1 [points], paired by seed, last epoch, {test_images}: mean and 95 % t "
        "interval over seeds. p: all variants in one sign-flip test (step-down maximum of |t|); detectable: what it "
        "finds with 80 % power. Spread: standard deviation over seeds of the paired difference, and of one between "
        "unrelated seeds.",
        {
            "variant": "variant", "seeds": "seeds", "difference": "difference [95 % interval]", "spread": "spread",
            "p": "joint p", "detectable": "detectable", "verdict": "verdict",
        },
        "lrrrrrp{1.6in}",
        lambda tables, names: variant_table(tables["variants"]),
        place=20,
    ),
}  # fmt: skip
NUMBERS = {"variants": Stated(("variant",))}
