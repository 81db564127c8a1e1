"""Networks beside each other: maps of blocks by blocks, one number a pair, and pairs of blocks that were aligned."""

from functools import reduce

import pandas as pd

from .. import charts
from ..panel import Chart, Control, PageData, Panel, choice, measure, named, slider

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
    table = data.tables["networks"]
    about = (
        "How alike two networks are: of every block of either the most like block of the other, mean over blocks. The "
        "best of many is high by chance: read it beside that of the controls, and below that of another seed."
    )
    columns = {"network": "network", "other": "other", "kind": "what", "value": "value", "images": "images"}
    tips = charts.tips(network_="network", other_="other", kind_="what", value="value", images="images")
    spec = charts.heat(charts.place("other", "other"), charts.place("network", "network"), tips)
    chart = Chart(
        "Likeness of every two networks", about, "networks", spec, columns, ("measure", "kind"), needs=("value",)
    )
    kinds = [(kind, kind) for kind in dict.fromkeys(table["kind"])]
    controls = measure(data, "networks", shown), choice("kind", "Pairs of", kinds)
    table = table[["network", "other", "kind", *shown, "images"]]
    return [
        Panel(
            "networks", "Networks beside each other", about, (chart,), controls, {"networks": table},
            "Networks beside each other", ("networks", "neighbours", "procrustes"),
        )
    ]  # fmt: skip


def _blocks(data: PageData) -> list[Panel]:
    shown = {table: [name for name in names if data.has(table, name)] for table, names in MEASURES.items()}
    shown = {table: names for table, names in shown.items() if names}
    if not shown:
        return []
    by_table = shown.items()
    means = [data.tables[name].groupby(PAIR, sort=False, as_index=False)[own].mean() for name, own in by_table]
    joined = reduce(lambda one, other: one.merge(other, how="outer", on=PAIR, sort=False), means)
    options = [option for name, own in by_table for option in measure(data, name, own).options]
    # A student is shown at the epoch of the slider, a network as it is; students come first.
    student = joined["network"].isin(data.names.variants)
    joined = pd.concat([joined[student], joined[~student]], ignore_index=True)
    last = joined["epoch"].where(joined["network"].isin(data.names.variants))
    joined = data.owned(joined.assign(epoch=last, pair=joined["network"] + " | " + joined["other"]))
    about = (
        "Every block of one network beside every block of another, the same images; of students the mean over seeds, "
        "beside the teacher."
    )
    columns = {"pair": "networks", "block_name": "block", "other_block_name": "other's block", "value": "value"}
    tips = charts.tips(pair_="networks", block_name_="block", other_block_name_="other's block", value="value")
    x, y = charts.place("other_block", "block of the other"), charts.place("block", "block")
    names = ["measure", "pair"]
    pairs = [(pair, named(pair).replace("|", "beside")) for pair in dict.fromkeys(joined["pair"])]
    owners = dict(zip(joined["pair"], joined["owner"], strict=True))
    controls = [Control("measure", "measure", "Measure", tuple(options)), choice("pair", "Networks", pairs, owners)]
    if joined["epoch"].notna().any():
        names.append("epoch")
        controls.append(slider("epoch", "Epoch", joined["epoch"].dropna()))
    spec = charts.heat(x, y, tips)
    chart = Chart("Likeness of blocks", about, "blocks", spec, columns, tuple(names), needs=("value",))
    measures = [name for columns in shown.values() for name in columns]
    table = joined[["owner", "pair", "epoch", "block", "block_name", "other_block", "other_block_name", *measures]]
    return [
        Panel("cka", "Blocks beside each other", about, (chart,), tuple(controls), {"blocks": table}, figures=("cka",))
    ]


def _alignment(data: PageData) -> list[Panel]:
    shown = [name for name in ALIGNMENT if data.has("alignment", name)]
    if not shown:
        return []
    table = data.tables["alignment"]
    baseline = data.names.baseline
    about = (
        f"Blocks of a student of {baseline} beside those of the teacher: CKA after training, before it, and the gain "
        "of the one on the other. A framed pair was aligned by a variant (hover for which). Likeness decides nothing "
        "about what aligning does."
    )
    aligned = table["aligned_by"].fillna("").astype(str)
    table = table.assign(aligned_by=aligned, aligned=aligned != "")
    table = table[
        ["student_block", "teacher_block", *shown, "gain_low", "gain_high", "cka_seeds", "aligned_by", "aligned"]
    ]
    columns = {"student_block": "student block", "teacher_block": "teacher block", "value": "value"}
    columns |= {"cka_seeds": "seeds", "aligned_by": "aligned by"}
    title = "Which layers should be aligned?"
    tips = charts.tips(
        student_block_="student block", teacher_block_="teacher block", value="value", aligned_by_="aligned by"
    )
    spec = charts.heat(
        charts.place("teacher_block", "teacher block"), charts.place("student_block", "student block"), tips, "aligned"
    )
    chart = Chart("Pairs of blocks", about, "alignment", spec, columns, ("measure",), needs=("value",))
    return [
        Panel(
            "alignment", title, about, (chart,), (measure(data, "alignment", shown),), {"alignment": table}, title,
            ("alignment",),
        )
    ]  # fmt: skip
