"""LaTeX table on pairs of networks."""

import pandas as pd

from ...paper.numbers import Stated
from ...paper.tables import Shown, Tables
from ...spec.tables import Names
from ..shape.overview import unmoved_controls
from . import OWN
from .answer import pair_table, with_controls


def _pairs(tables: Tables, names: Names) -> pd.DataFrame:
    found, unmoved = tables["networks"], unmoved_controls(tables["shape"], names)
    own = found[found["kind"] == OWN].to_dict("records")
    return pair_table(with_controls(found, names, unmoved), own)


TABLES = {
    "networks": Shown(
        "Networks compared: mean best match over blocks by three measures, each with that of both "
        "networks' controls and chance. There is no interval and no test.",
        {
            "pair": "pair", "CKA": "CKA", "controls' CKA": "controls'", "mutual neighbours": "neighbours",
            "controls' neighbours": "controls'", "by chance": "by chance", "Procrustes": "Procrustes",
            "controls' Procrustes": "controls'", "shuffled": "shuffled",
        },
        "p{1.2in}rrrrrrrr",
        _pairs,
        place=80,
    ),
}  # fmt: skip
NUMBERS = {"networks": Stated(("network", "other"))}
