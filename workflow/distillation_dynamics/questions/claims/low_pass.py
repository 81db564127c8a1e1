"""Claim C: blocks of trained networks with attention against permuted channels, over depth."""

import pandas as pd

from ...statistics import spectra
from ...statistics.evidence import Evidence
from ._effects import AGAINST, FOR, OPEN
from ._finding import CONTRADICTED, NOT_SEEN, NOT_TESTABLE, SUPPORTED, Finding, why

PLACE = 40
CLAIM = "low-pass in the middle alone"
LETTER = "C"
TEXT = "Spectra over channels are flat early, low-pass in the middle and flat late"
DECIDES = "each block's spectrum against permuted channels, Holm over the blocks of a network"
RULE = (
    "supported: blocks of the middle third alone are low-pass; contradicted: blocks differ from permuted channels, "
    "others than the middle; not testable: none differs, since the order of channels is arbitrary"
)


def look(evidence: Evidence) -> Finding:
    """Return the finding. Networks without attention are not concerned."""
    rows = spectra.spectra(evidence)
    plain = [name for name in evidence.names.ordered if evidence.with_attention(name) is False]
    rows = rows[~rows["network"].isin(plain)]
    numbers, states, shown = [], {}, {}
    for name, own in rows.groupby("network", sort=False):
        middle = own[(own["place"] >= 1 / 3) & (own["place"] <= 2 / 3)]
        if len(own) < 3 or middle.empty:
            continue
        least = middle.loc[(middle[spectra.BAND] - middle[f"{spectra.BAND}_null"]).idxmin()]
        count = f"{int(own['differs'].sum())} of {len(own)} blocks differ"
        numbers.append(f"{name} ({count}): block {int(least['block'])} of the middle, {spectra.band(least)}")
        states[name], shown[name] = _state(own, middle), least
    if not states:
        return Finding(NOT_TESTABLE, why("no spectrum over depth"))
    number, control = "; ".join(numbers), "permuted channels: with each number"
    tested = rows[rows["network"].isin(list(states))]
    if not tested["differs"].any():
        of = f"block of {'these networks' if len(states) > 1 else next(iter(states))}"
        sentence = why("order is arbitrary", block=of, p=tested["amplitude_p"].min())
        return Finding(NOT_TESTABLE, sentence, number, control)
    sides = set(states.values())
    verdict = {frozenset({FOR}): SUPPORTED, frozenset({AGAINST}): CONTRADICTED}.get(frozenset(sides), NOT_SEEN)
    name = next(name for name, state in states.items() if state != OPEN or sides == {OPEN})
    at = {"network": name, "block": int(shown[name]["block"]), "band": spectra.band_said(shown[name])}
    sentence = why("spectra over depth", verdict=verdict, disagree=len(sides) > 1, **at)
    return Finding(verdict, sentence, number, control)


def _state(own: pd.DataFrame, middle: pd.DataFrame) -> str:
    """Return whether only the middle blocks of a network are low-pass (FOR), or others differ (AGAINST)."""
    outer = own.drop(middle.index)
    if middle["low"].any() and not outer["low"].any():
        return FOR
    return AGAINST if outer["differs"].any() and not middle["low"].any() else OPEN
