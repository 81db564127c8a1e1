"""Networks beside each other: the section on the likeness of every pair, its controls and its ceiling.

In: the frame of networks.parquet and who is who. Out: Markdown. Likeness describes; no test is made of it.
"""

import numpy as np
import pandas as pd

from ...files import Column
from ...markdown import markdown
from ...spec.tables import Names
from ..networks import CONTROLS, MEASURES, NETWORKS, OWN, SEEDS
from ..thresholds import FEWEST_ROWS
from .words import listed, number, plural

SAID = {"cka": "CKA", "neighbours": "mutual neighbours", "procrustes": "Procrustes distance"}
PAIR_TABLE = {
    "pair": Column("", ""),
    "what": Column("", ""),
    "CKA": Column("", ""),
    "controls' CKA": Column("", ""),
    "mutual neighbours": Column("", ""),
    "controls' neighbours": Column("", ""),
    "by chance": Column("", ""),
    "Procrustes": Column("distance", ""),
    "controls' Procrustes": Column("distance", ""),
    "shuffled": Column("distance", ""),
}


def section(table: pd.DataFrame, names: Names, unmoved: set[str]) -> list[str]:
    """Return the paragraphs on pairs of networks; the controls in `unmoved` are none, as nothing happens in them."""
    if len(names.networks) < 2:
        count = "one network" if names.networks else "no network"
        return [f"**Cannot be asked: there is {count} in this study, and two are needed.**"]
    measured = [measure for measure in MEASURES if len(table) and table[measure].notna().any()]
    pairs = table[table["kind"].isin([NETWORKS, SEEDS])] if measured else table
    if pairs.empty or not measured:
        return ["**Cannot be asked: no measure of the likeness of two networks was taken.**"]
    rows = beside_controls(table, names, unmoved)
    return [
        f"**{answer(rows, measured, names, unmoved)}**",
        " ".join(
            [
                *beyond_controls(rows, measured),
                *no_controls(names, unmoved),
                *agreement(rows, measured),
                *few(pairs),
            ]
        ),
        markdown(pair_table(rows, _kind(table, OWN, set())), PAIR_TABLE),
        "Mean best match over blocks: of every block of either network the most alike block of the other, averaged. "
        "CKA and mutual neighbours are larger, Procrustes distances smaller, the more alike two networks are. The best "
        "of many blocks is high by chance, which the controls share. CKA alone can be high or low for reasons that "
        "have little to do with what is represented, and with few images any two networks come near in Procrustes "
        "distance (shuffled: the other network's images in a random order); read all three. No test is made. Each "
        "pair: networks.parquet; each pair of blocks: cka.parquet, neighbours.parquet, procrustes.parquet.",
    ]


def beside_controls(table: pd.DataFrame, names: Names, unmoved: set[str]) -> list[dict]:
    """Return the rows of pairs of two networks, each with those of its controls under `controls`."""
    control = {frozenset((row["network"], row["other"])): row for row in _kind(table, CONTROLS, unmoved)}
    pairs = table[table["kind"].isin([NETWORKS, SEEDS])].to_dict("records")
    return [{**row, "controls": _controls(row, names, control)} for row in pairs]


def _kind(table: pd.DataFrame, kind: str, unmoved: set[str]) -> list[dict]:
    rows = table[(table["kind"] == kind) & ~table["network"].isin(unmoved) & ~table["other"].isin(unmoved)]
    return rows.to_dict("records")


def _controls(row: dict, names: Names, control: dict[frozenset[str], dict]) -> dict:
    """Return the row of the controls of a pair, empty where they were not compared or are no controls."""
    both = frozenset(filter(None, (names.controls.get(row["network"]), names.controls.get(row["other"]))))
    return control.get(both, {})


def pair_of(row: dict) -> str:
    """Return 'vit and cait'."""
    return f"{row['network']} and {row['other']}"


def _having(rows: list[dict], kind: str, measure: str) -> list[dict]:
    """Return the pairs of a kind that have a value of a measure, the most alike first."""
    known = [row for row in rows if row["kind"] == kind and not np.isnan(row[measure])]
    return sorted(known, key=lambda row: row[measure], reverse=MEASURES[measure][1])


def answer(rows: list[dict], measured: list[str], names: Names, unmoved: set[str]) -> str:
    """Return the answer: which networks are most alike, their controls, and the ceiling or that there is none."""
    measure = next((measure for measure in measured if _having(rows, NETWORKS, measure)), measured[0])
    pairs, seeds = (_having(rows, kind, measure) for kind in (NETWORKS, SEEDS))
    ceiling = listed([f"{row[measure]:.2f} ({pair_of(row)})" for row in seeds])
    if not pairs:
        return f"Only networks that differ in their seed were compared, {SAID[measure]}: {ceiling}."
    best = pairs[0]
    of = f"Most alike of {len(pairs)} pairs by {SAID[measure]}: " if len(pairs) > 1 else f"{SAID[measure]} of "
    text = f"{of}{pair_of(best)}, {best[measure]:.2f}"
    theirs = best["controls"].get(measure, np.nan)
    flat = [names.controls[name] for name in (best["network"], best["other"]) if names.controls.get(name) in unmoved]
    if flat:
        text += f"; {listed(flat)}, flat over depth, {'is no control' if len(flat) == 1 else 'are no controls'}"
    else:
        text += "; no controls of both were compared" if np.isnan(theirs) else f"; their controls: {theirs:.2f}"
    if seeds:
        return f"{text}; of one network with another seed: {ceiling}."
    why = "The networks that differ in their seed were not compared" if names.seeds else "No network has a second seed"
    return f"{text}. {why}, so that nothing tells how alike two networks can come."


def beyond_controls(rows: list[dict], measured: list[str]) -> list[str]:
    """Return a sentence on how many pairs are more alike than their controls; none where no controls were compared."""
    texts = []
    for measure in measured:
        known = [row for row in _having(rows, NETWORKS, measure) if not np.isnan(row["controls"].get(measure, np.nan))]
        sign = 1 if MEASURES[measure][1] else -1
        more = sum(sign * row[measure] > sign * row["controls"][measure] for row in known)
        if known:
            texts.append(f"by {SAID[measure]} in {more} of {plural(len(known), 'pair')}")
    said = f"More alike than their controls: {listed(texts)}. What the controls have too takes no training."
    return [said] if texts else []


def no_controls(names: Names, unmoved: set[str]) -> list[str]:
    """Return a sentence on controls that are none, as nothing happens in them."""
    flat = [control for control in names.controls.values() if control in unmoved]
    one = len(flat) == 1
    said = f"{listed(flat)} {'is' if one else 'are'} flat over depth and stand{'s' * one} for no control here."
    return [said] if flat else []


def agreement(rows: list[dict], measured: list[str]) -> list[str]:
    """Return a sentence on whether the measures name the same pair; none with a single pair or measure."""
    first = {measure: _having(rows, NETWORKS, measure) for measure in measured}
    named = {measure: pair_of(pairs[0]) for measure, pairs in first.items() if len(pairs) > 1}
    if len(named) < 2:
        return []
    (_, pair), *others = named.items()
    apart = [f"{other} by {SAID[measure]}" for measure, other in others if other != pair]
    if apart:
        return [f"The measures do not agree on it: {listed(apart)}."]
    text = listed([SAID[measure] for measure, _ in others])
    return [f"{text[0].upper()}{text[1:]} name{'s' * (len(others) == 1)} the same pair."]


def few(pairs: pd.DataFrame) -> list[str]:
    """Return what CKA rests on, and that it is few."""
    count = pairs["cka_rows"].min()
    if np.isnan(count):
        return []
    kind = pairs.loc[pairs["cka_kind"] != "", "cka_kind"].iloc[0]
    text = f"CKA rests on {count:,.0f} rows ({kind})"
    return [
        f"{text}, fewer than {FEWEST_ROWS:,}: small differences mean nothing." if count < FEWEST_ROWS else f"{text}."
    ]


def pair_table(rows: list[dict], own: list[dict]) -> pd.DataFrame:
    """Return a row a pair: two networks, two seeds, and below them each network beside its own control."""
    what = {NETWORKS: "two networks", SEEDS: "another seed", OWN: "network and its control"}
    return pd.DataFrame(
        {
            "pair": pair_of(row),
            "what": what[row["kind"]],
            "CKA": number(row["cka"]),
            "controls' CKA": number(row.get("controls", {}).get("cka", np.nan)),
            "mutual neighbours": number(row["neighbours"]),
            "controls' neighbours": number(row.get("controls", {}).get("neighbours", np.nan)),
            "by chance": number(row["neighbours_chance"]),
            "Procrustes": number(row["procrustes"]),
            "controls' Procrustes": number(row.get("controls", {}).get("procrustes", np.nan)),
            "shuffled": number(row["procrustes_shuffled"]),
        }
        for row in [*rows, *own]
    )
