"""LaTeX table of planned comparisons."""

from ...paper.numbers import Stated
from ...paper.tables import Shown
from .answer import planned

TABLES = {
    "planned": Shown(
        "Planned comparisons: differences in test top-1 [points], paired by seed, with the 95 % t interval. p: all of "
        "a family in one sign-flip test.",
        {
            "family": "family", "comparison": "comparison", "difference": "difference [95 % interval]", "SD": "SD",
            "seeds": "seeds", "p": "joint p",
        },
        "llrrrr",
        lambda tables, names: planned(tables["planned"]),
        place=22,
    )
}  # fmt: skip
NUMBERS = {"planned": Stated(("family", "comparison"))}
