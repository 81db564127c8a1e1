"""The tables on shapes over depth of a paper."""

import pandas as pd

from ...paper.tables import Shown, Tables
from ...spec.tables import MAIN_IMAGE_SET, Names
from .overview import count_table, network_table


def _networks(tables: Tables, names: Names) -> pd.DataFrame:
    shape = tables["shape"]
    return network_table(shape[shape["probe"] == MAIN_IMAGE_SET], names)


def _counts(tables: Tables, names: Names) -> pd.DataFrame:
    shape = tables["shape"]
    tested = shape[shape["probe"] == MAIN_IMAGE_SET]
    return count_table(tested, names) if len(tested) else tested


TABLES = {
    "shape": Shown(
        "Is it U-shaped? Fall to the lowest inner block and rise from it with 95 % intervals over images ({images}), "
        "last epoch; p: of no such fall and rise, adjusted over metrics and networks. Control: the network's own.",
        {
            "network": "network", "metric": "metric", "verdict": "verdict", "falls by": "falls by",
            "rises by": "rises by", "p": "p", "its verdict": "its control",
        },
        "lp{0.85in}p{0.75in}rrrp{0.75in}",
        _networks,
        place=60,
    ),
    "shape_counts": Shown(
        "How many networks, controls and students ({students}) are U-shaped, by metric ({images}, last epoch). "
        "Roles: a metric of the claim (paper), scale taken out (control), scale itself, permuted channels (null).",
        {"metric": "metric", "role": "role", "networks": "networks", "controls": "controls", "students": "students"},
        "lllll",
        _counts,
        place=70,
    ),
}  # fmt: skip
