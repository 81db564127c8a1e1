"""Claims on the spectra of trained networks along channels.

In: the evidence. Out: a finding a claim. Networks are those of the study, students are not among them.
"""

import numpy as np
import pandas as pd

from ...statistics.evidence import Evidence
from ...statistics.thresholds import LEVEL
from ...words import listed
from .finding import CONTRADICTED, NO_CONTROL, SUPPORTED, UNDECIDED, Finding, untestable

BAND = "bandwidth_folded_95"
SPECTRUM = ("amplitude_p", BAND, f"{BAND}_null", f"{BAND}_null_low", f"{BAND}_null_high")


def spectra(evidence: Evidence) -> pd.DataFrame:
    """Return one row a block of a trained network: where its spectrum stands against permuted channels.

    Reads `amplitude_p` (the one test of the whole curve) and `bandwidth_folded_95` with its null of depth.parquet.
    `low`: significantly different after Holm over the blocks of the network, and its bandwidth below the null's mean;
    `like_chance`: its bandwidth is not below the null's 95 % band. `place`: 0 to 1 over depth.
    """
    rows = evidence.depth(*SPECTRUM)
    rows = rows[rows["network"].isin(evidence.names.ordered)].sort_values(["network", "block"])
    parts = []
    for _, own in rows.groupby("network", sort=False):
        below = own[BAND] < own[f"{BAND}_null"]
        low = _low_after_holm(own["amplitude_p"]) & below
        place = own["block"] / max(own["block"].max(), 1)
        parts.append(own.assign(low=low, like_chance=own[BAND] >= own[f"{BAND}_null_low"], place=place))
    return pd.concat(parts) if parts else rows.assign(low=False, like_chance=False, place=0.0)


def _low_after_holm(p: pd.Series) -> np.ndarray:
    """Return which of these p values, one family, are at most LEVEL after Holm."""
    order = np.argsort(p.to_numpy())
    low = np.empty(len(p), dtype=bool)
    low[order] = np.maximum.accumulate(p.to_numpy()[order] * np.arange(len(p), 0, -1)) <= LEVEL
    return low


def _band(row: pd.Series) -> str:
    return (
        f"95 % of the energy in {row[BAND]:.3f} of the frequencies, permuted {row[f'{BAND}_null_low']:.3f} to "
        f"{row[f'{BAND}_null_high']:.3f}, p {row['amplitude_p']:.2g}"
    )


def low_pass(evidence: Evidence) -> Finding:
    """Claim C: a block of the middle third is low-pass, none of the first and last third is."""
    rows = spectra(evidence)
    plain = [name for name in evidence.names.ordered if evidence.with_attention(name) is False]
    rows = rows[~rows["network"].isin(plain)]
    numbers, states = [], []
    for name, own in rows.groupby("network", sort=False):
        middle = own[(own["place"] >= 1 / 3) & (own["place"] <= 2 / 3)]
        if len(own) < 3 or middle.empty:
            continue
        least = middle.loc[(middle[BAND] - middle[f"{BAND}_null"]).idxmin()]
        numbers.append(f"{name} ({len(own)} blocks): block {int(least['block'])} of the middle, {_band(least)}")
        outer = own.drop(middle.index)
        supported = middle["low"].any() and not outer["low"].any()
        states.append(SUPPORTED if supported else CONTRADICTED if middle["like_chance"].all() else UNDECIDED)
    if not states:
        return untestable("no spectrum over depth of a network with attention was tested against permuted channels")
    why = {
        SUPPORTED: "low-pass in the middle alone, in all of these networks",
        CONTRADICTED: "no block of the middle holds its energy in fewer frequencies than permuted channels do",
        UNDECIDED: "neither; p of .05 after Holm over the blocks takes 20 permutations a block",
    }
    verdict = states[0] if len(set(states)) == 1 else UNDECIDED
    return Finding(verdict, "; ".join(numbers), "permuted channels: beside each number", why[verdict])


def late(evidence: Evidence) -> Finding:
    """Claim D: the last block is low-pass in networks without attention and in none with it."""
    rows = spectra(evidence)
    rows = rows[rows["place"] == 1].reset_index(drop=True)
    rows = rows.assign(low=_low_after_holm(rows["amplitude_p"]) & (rows[BAND] < rows[f"{BAND}_null"]))
    kinds = rows["network"].map(evidence.with_attention)
    plain, attending = rows[kinds.eq(False)], rows[kinds.eq(True)]
    number = "; ".join(f"{row['network']}: {_band(row)}" for _, row in rows.iterrows())
    if plain.empty or attending.empty:
        return untestable(_missing(rows, kinds, "without" if plain.empty else "with"), number)
    control = _accuracy_and_rank(evidence, list(rows["network"]))
    if plain["low"].all() and attending["like_chance"].all():
        return Finding(SUPPORTED, number, control, "in these networks; whether their accuracies are alike: see there")
    if plain["like_chance"].all() or attending["low"].all():
        why = "without attention none is low-pass" if plain["like_chance"].all() else "with attention all are low-pass"
        return Finding(CONTRADICTED, number, control, f"in these networks: {why}")
    return Finding(UNDECIDED, number, control, "networks of one kind differ, or are not certain to differ from chance")


def _missing(rows: pd.DataFrame, kinds: pd.Series, kind: str) -> str:
    """Return why there is no network `kind` ("with", "without") attention among those whose last spectrum is known."""
    if rows.empty:
        return "no spectrum of a last block was tested against permuted channels"
    unknown = list(rows.loc[kinds.isna(), "network"])
    if unknown:
        have = "has" if len(unknown) == 1 else "have"
        return f"whether {listed(unknown)} {have} attention was not measured (metric attention)"
    return f"no network {kind} attention was measured"


def _accuracy_and_rank(evidence: Evidence, networks: list[str]) -> str:
    runs = evidence.read("runs", "network", "test_top1").groupby("network")["test_top1"].mean()
    ranks = evidence.depth("pca_rank_95", "channels").sort_values("block").groupby("network").last()
    texts = []
    for name in networks:
        top1 = runs.get(name, np.nan)
        rank = NO_CONTROL
        if name in ranks.index:
            rank = f"{ranks.loc[name, 'pca_rank_95']:.0f} of {ranks.loc[name, 'channels']:.0f} directions"
        texts.append(f"{name}: top-1 {NO_CONTROL if np.isnan(top1) else f'{top1:.1f} %'}, rank {rank}")
    return "; ".join(texts)
