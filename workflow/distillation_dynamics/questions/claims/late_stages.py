"""Claim D: the last blocks of networks without and with attention against permuted channels."""

import numpy as np
import pandas as pd

from ...statistics import spectra
from ...statistics.evidence import Evidence
from ...statistics.thresholds import RANK
from ._finding import CONTRADICTED, NO_CONTROL, NOT_SEEN, NOT_TESTABLE, SUPPORTED, Finding, few, why

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
        sentence = why("order is arbitrary", block="last block of these networks", p=both["amplitude_p"].min())
        return Finding(NOT_TESTABLE, sentence, number, control)
    verdict = NOT_SEEN
    if plain["low"].all() and attending["like_chance"].all():
        verdict = SUPPORTED
    elif attending["low"].all() and plain["like_chance"].all():
        verdict = CONTRADICTED
    row = both.loc[(both[spectra.BAND] - both[f"{spectra.BAND}_null"]).idxmin()]
    values = {"low": int(both["low"].sum()), "of": len(both), "network": row["network"], "band": spectra.band_said(row)}
    return Finding(verdict, why("late stages", verdict=verdict, **values), number, control)


def _missing(rows: pd.DataFrame, kinds: pd.Series, kind: str) -> str:
    """Return why no network `kind` ("with", "without") attention has a tested spectrum of its last block."""
    if rows.empty:
        return why("no last spectrum")
    unknown = list(rows.loc[kinds.isna(), "network"])
    if unknown:
        return why("attention unknown", networks=few(unknown), count=len(unknown))
    return why("no such network", kind=kind)


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
