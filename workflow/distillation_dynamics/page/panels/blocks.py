"""Panel: maps comparing the blocks of one network with those of another."""

from functools import reduce

import pandas as pd

from ...words import spaced
from .. import charts
from ..leading import left_out, of_leading
from ..panel import OWNER, Chart, PageData, Panel, choice, measure, slider

# Table of pairs -> its measures of two blocks.
MEASURES = {"cka": ("cka_tokens", "cka_images"), "neighbours": ("neighbours",), "procrustes": ("procrustes",)}
PAIR = ["network", "other", "epoch", "block", "block_name", "other_block", "other_block_name"]


def panels(data: PageData) -> list[Panel]:
    """Return the panel on blocks; none if none were compared."""
    shown = {table: [name for name in names if data.has(table, name)] for table, names in MEASURES.items()}
    shown = {table: names for table, names in shown.items() if names}
    if not shown:
        return []
    means = [
        data.tables[name].groupby(PAIR, sort=False, as_index=False, dropna=False)[own].mean()
        for name, own in shown.items()
    ]
    joined = reduce(lambda one, other: one.merge(other, how="outer", on=PAIR, sort=False), means)
    joined = of_leading(data, joined, "network", "other")
    # A student is shown at the epoch of the slider, a network as it is; students come first.
    student = joined["network"].isin(data.names.variants)
    joined["epoch"] = joined["epoch"].where(student)
    joined = pd.concat([joined[student], joined[~student]], ignore_index=True)
    joined = data.owned(joined.assign(pair=joined["network"] + " | " + joined["other"]))
    about = (
        "Similarity of every block of one network to every block of another, on the same images. Students: mean over "
        "seeds, compared with the teacher."
    ) + left_out(data, "tables/cka.parquet")
    columns = {
        "pair": "networks", "block": "block", "block_name": "name in timm", "other_block": "other's block",
        "other_block_name": "other's name in timm", "value": charts.MEASURE,
    }  # fmt: skip
    meanings = {name: said for table, own in shown.items() for name, said in data.meanings(table, own).items()}
    owners = dict(zip(joined["pair"], joined[OWNER], strict=True))
    pairs = {pair: spaced(pair).replace("|", "beside") for pair in owners}
    controls = [measure(meanings), choice("pair", "Networks", pairs, owners)]
    if joined["epoch"].notna().any():
        controls.append(slider("epoch", "Epoch", joined["epoch"].dropna()))
    spec = charts.heat(charts.place("x", "other_block", "block of the other"), charts.place("y", "block", "block"))
    names = tuple(control.name for control in controls)
    chart = Chart("Similarity of blocks", about, "blocks", spec, columns, names)
    table = joined.drop(columns=["network", "other"])
    title, tables = "Blocks compared", {"blocks": table}
    return [Panel("cka", title, (chart,), tuple(controls), tables, figures=("cka",), place=84)]
