"""Claim D: the last blocks of networks without and with attention against permuted channels."""

import numpy as np
import pandas as pd

from ...statistics import spectra
from ...statistics.evidence import Evidence
from ...statistics.thresholds import RANK
from ._finding import CONTRADICTED, NO_CONTROL, NOT_SEEN, NOT_TESTABLE, SUPPORTED, Finding, few

PLACE = 50
CLAIM = "late stages of convolutions stay low-pass"
LETTER = "D"
TEXT = "Late stages of convolutional networks stay low-pass, late ViT blocks do not"
DECIDES = "the last block of networks without and with attention against permuted channels, Holm over the networks"
RULE = (
    "supported: low-pass in all without attention, like chance in all with it; contradicted: the reverse; not "
    "testable: none differs from permuted channels, since their order is arbitrary, or one kind of network"
)


def look(evidence: Evidence) -> Finding:
    """Return the finding, with accuracy and rank of the networks for comparison."""
    rows = spectra.spectra(evidence)
    rows = spectra.against_null(rows[rows["place"] == 1].reset_index(drop=True))
    kinds = rows["network"].map(evidence.with_attention)
    plain, attending = rows[kinds.eq(False)], rows[kinds.eq(True)]
    number = "; ".join(f"{row['network']}: {spectra.band(row)}" for _, row in rows.iterrows())
    control = _accuracy_and_rank(evidence, list(rows["network"])) or NO_CONTROL
    if plain.empty or attending.empty:
        return Finding(NOT_TESTABLE, _missing(rows, kinds, "without" if plain.empty else "with"), number, control)
    both = pd.concat([plain, attending])
    if not both["differs"].any():
        text = spectra.NULL_IS_TRUE.format(of="last block of these networks", p=both["amplitude_p"].min())
        return Finding(NOT_TESTABLE, text, number, control)
    if plain["low"].all() and attending["like_chance"].all():
        verdict, text = SUPPORTED, "Low-pass without attention, like chance with it"
    elif attending["low"].all() and plain["like_chance"].all():
        verdict, text = CONTRADICTED, "Low-pass with attention, like chance without it"
    else:
        low, of = int(both["low"].sum()), len(both)
        verdict, text = NOT_SEEN, f"The kinds do not differ as claimed: {low} of {of} are low-pass"
    row = both.loc[(both[spectra.BAND] - both[f"{spectra.BAND}_null"]).idxmin()]
    return Finding(verdict, f"{text}; {row['network']}: {spectra.band_said(row)}.", number, control)


def _missing(rows: pd.DataFrame, kinds: pd.Series, kind: str) -> str:
    """Return why no network `kind` ("with", "without") attention has a tested spectrum of its last block."""
    if rows.empty:
        return "No spectrum of a last block was tested against permuted channels."
    unknown = list(rows.loc[kinds.isna(), "network"])
    if unknown:
        return f"Whether {few(unknown)} {'has' if len(unknown) == 1 else 'have'} attention was not measured."
    return f"No network {kind} attention was measured."


def _accuracy_and_rank(evidence: Evidence, networks: list[str]) -> str:
    runs = evidence.read("runs", "network", "test_top1").groupby("network")["test_top1"].mean()
    ranks = evidence.depth(RANK, "channels").sort_values("block").groupby("network").last()
    texts = []
    for name in networks:
        top1 = runs.get(name, np.nan)
        rank = NO_CONTROL
        if name in ranks.index:
            rank = f"{ranks.loc[name, RANK]:.0f} of {ranks.loc[name, 'channels']:.0f} directions"
        texts.append(f"{name}: top-1 {NO_CONTROL if np.isnan(top1) else f'{top1:.1f} %'}, rank {rank}")
    return "; ".join(texts)
