"""LaTeX tables and numbers on shapes over depth."""

import pandas as pd

from ...files import Column
from ...paper.numbers import Stated
from ...paper.tables import Shown, Tables
from ...spec.tables import MAIN_IMAGE_SET, Names
from ...statistics.u_shape import U_SHAPED, UNDECIDED
from .overview import count_table, network_table

COUNT_COLUMNS = {
    "metric": Column("", "column of scalars.parquet"),
    "members": Column("", "networks, their controls, or students (every seed counts)"),
    "u_shaped": Column("", "how many of them are U-shaped"),
    "undecided": Column("", "how many are undecided"),
    "measured": Column("", "of how many"),
}


def _networks(tables: Tables, names: Names) -> pd.DataFrame:
    shape = tables["shape"]
    return network_table(shape[shape["probe"] == MAIN_IMAGE_SET], names)


def _counts(tables: Tables, names: Names) -> pd.DataFrame:
    shape = tables["shape"]
    tested = shape[shape["probe"] == MAIN_IMAGE_SET]
    return count_table(tested, names) if len(tested) else tested


def _one_by_one(table: pd.DataFrame, names: Names) -> pd.DataFrame:
    """Return the rows of networks and controls: the report lists no single student."""
    return table[(table["probe"] == MAIN_IMAGE_SET) & table["network"].isin(names.fixed)]


def counts(shape: pd.DataFrame, names: Names) -> pd.DataFrame:
    """Return one row per metric and kind of network: how many are U-shaped, undecided, and measured."""
    kinds = {"networks": names.networks, "controls": names.controls.values(), "students": names.variants}
    kind_of = {name: kind for kind, members in kinds.items() for name in members}
    rows = shape[shape["probe"] == MAIN_IMAGE_SET]
    verdicts = {"u_shaped": rows["verdict"] == U_SHAPED, "undecided": rows["verdict"] == UNDECIDED}
    rows = rows.assign(members=rows["network"].map(kind_of), **verdicts)
    groups = rows.groupby(["metric", "members"], sort=False)
    return groups[["u_shaped", "undecided"]].sum().assign(measured=groups.size()).reset_index()


TABLES = {
    "shape": Shown(
        "Is it U-shaped? Fall to the lowest inner block and rise from it with 95 % intervals over images ({images}), "
        "last epoch; p: of no such fall and rise, adjusted over metrics and networks. Control: the network's own.",
        {
            "network": "network", "metric": "metric", "verdict": "verdict", "falls by": "falls by",
            "rises by": "rises by", "p": "p", "its control": "its control",
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
NUMBERS = {
    "shape": Stated(("network", "metric"), lambda tables, names: _one_by_one(tables["shape"], names)),
    "u_shaped": Stated(("metric", "members"), lambda tables, names: counts(tables["shape"], names), COUNT_COLUMNS),
}
