"""Networks beside each other: maps of blocks by blocks, one number a pair, and pairs of blocks that were aligned."""

from functools import reduce

import pandas as pd

from .. import charts
from ..panel import OWNER, Chart, PageData, Panel, choice, measure, named, slider

# Table of pairs -> what it measures of two blocks.
MEASURES = {
    "cka": ("cka_tokens", "cka_images"),
    "neighbours": ("neighbours",),
    "procrustes": ("procrustes",),
}
PAIR = ["network", "other", "epoch", "block", "block_name", "other_block", "other_block_name"]
ALIGNMENT = "cka", "untrained_cka", "gain"


def panels(data: PageData) -> list[Panel]:
    """Return the panels that there are tables for."""
    return [*_networks(data), *_blocks(data), *_alignment(data)]


def _networks(data: PageData) -> list[Panel]:
    shown = [name for name in MEASURES if data.has("networks", name)]
    if not shown:
        return []
    table = data.tables["networks"][["network", "other", "kind", *shown, "images"]]
    about = (
        "How alike two networks are: of every block of either the most like block of the other, mean over blocks. The "
        "best of many is high by chance: read it beside that of the controls, and below that of another seed."
    )
    columns = {"network": "network", "other": "other", "kind": "what", "value": "value", "images": "images"}
    spec = charts.heat(charts.place("x", "other", "other"), charts.place("y", "network", "network"))
    chart = Chart("Likeness of every two networks", about, "networks", spec, columns, ("measure", "kind"))
    kinds = {kind: kind for kind in table["kind"]}
    controls = measure(data.meanings("networks", shown)), choice("kind", "Pairs of", kinds)
    figures = "networks", "neighbours", "procrustes"
    return [Panel("networks", "Networks beside each other", (chart,), controls, {"networks": table}, figures=figures)]


def _blocks(data: PageData) -> list[Panel]:
    shown = {table: [name for name in names if data.has(table, name)] for table, names in MEASURES.items()}
    shown = {table: names for table, names in shown.items() if names}
    if not shown:
        return []
    means = [data.tables[name].groupby(PAIR, sort=False, as_index=False)[own].mean() for name, own in shown.items()]
    joined = reduce(lambda one, other: one.merge(other, how="outer", on=PAIR, sort=False), means)
    # A student is shown at the epoch of the slider, a network as it is; students come first.
    student = joined["network"].isin(data.names.variants)
    joined["epoch"] = joined["epoch"].where(student)
    joined = pd.concat([joined[student], joined[~student]], ignore_index=True)
    joined = data.owned(joined.assign(pair=joined["network"] + " | " + joined["other"]))
    about = (
        "Every block of one network beside every block of another, the same images; of students the mean over seeds, "
        "beside the teacher."
    )
    columns = {"pair": "networks", "block_name": "block", "other_block_name": "other's block", "value": "value"}
    meanings = {name: said for table, own in shown.items() for name, said in data.meanings(table, own).items()}
    owners = dict(zip(joined["pair"], joined[OWNER], strict=True))
    pairs = {pair: named(pair).replace("|", "beside") for pair in owners}
    controls = [measure(meanings), choice("pair", "Networks", pairs, owners)]
    if joined["epoch"].notna().any():
        controls.append(slider("epoch", "Epoch", joined["epoch"].dropna()))
    spec = charts.heat(charts.place("x", "other_block", "block of the other"), charts.place("y", "block", "block"))
    names = tuple(control.name for control in controls)
    chart = Chart("Likeness of blocks", about, "blocks", spec, columns, names)
    table = joined.drop(columns=["network", "other"])
    return [Panel("cka", "Blocks beside each other", (chart,), tuple(controls), {"blocks": table}, figures=("cka",))]


def _alignment(data: PageData) -> list[Panel]:
    shown = [name for name in ALIGNMENT if data.has("alignment", name)]
    if not shown:
        return []
    about = (
        f"Blocks of a student of {data.names.baseline} beside those of the teacher: CKA after training, before it, and "
        "the gain of the one on the other. A framed pair was aligned by a variant (hover for which). Likeness decides "
        "nothing about what aligning does."
    )
    table = data.tables["alignment"]
    aligned = table["aligned_by"].fillna("").astype(str)
    table = table[["student_block", "teacher_block", *shown, "cka_seeds"]].assign(
        aligned_by=aligned, aligned=aligned != ""
    )
    columns = {
        "student_block": "student block", "teacher_block": "teacher block", "value": "value", "cka_seeds": "seeds",
        "aligned_by": "aligned by",
    }  # fmt: skip
    x, y = charts.place("x", "teacher_block", "teacher block"), charts.place("y", "student_block", "student block")
    chart = Chart("Pairs of blocks", about, "alignment", charts.heat(x, y, "aligned"), columns, ("measure",))
    title, controls = "Which layers should be aligned?", (measure(data.meanings("alignment", shown)),)
    return [Panel("alignment", title, (chart,), controls, {"alignment": table}, figures=("alignment",))]
