"""LaTeX table of controls."""

from ...paper.numbers import Stated
from ...paper.tables import Shown
from .answer import controls

TABLES = {
    "controls": Shown(
        "Controls: differences in test top-1 [points] between variants and the same with something else in the "
        "teacher's place, paired by seed, with the 95 % t interval. p: all of them in one sign-flip test.",
        {
            "variant": "variant", "control": "control", "in the teacher's place": "in the teacher's place",
            "variant minus control": "minus control [95 % interval]",
            "control minus baseline": "control minus baseline [95 % interval]", "seeds": "seeds", "p": "joint p",
        },
        "lllrrrr",
        lambda tables, names: controls(tables["controls"]),
        place=25,
    )
}  # fmt: skip
NUMBERS = {"controls": Stated(("variant", "control"))}
