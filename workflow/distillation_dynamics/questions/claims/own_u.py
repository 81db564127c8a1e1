"""Claim I on the baseline, if it is soft distillation: fall and rise of its entropy."""

import numpy as np

from ...statistics.evidence import Evidence
from ...statistics.finished import rise_an_epoch
from ...statistics.thresholds import FINISHED
from . import _entropy
from ._effects import AGAINST, FOR, OPEN
from ._entropy import ENTROPY, LEAST, STANDARDISED, Change
from ._finding import AS_SCALE, CONTRADICTED, NO_CONTROL, NOT_TESTABLE, SUPPORTED, Finding, why

PLACE = 110
CLAIM = "soft distillation forms the U by itself"
LETTER = "I soft"
TEXT = "A student of soft distillation forms the U by itself"
DECIDES = "fall to and rise from the lowest block of its entropy under the teacher's range, over seeds"
RULE = (
    "supported: falls and rises by 0.07 bits or more, with the scale taken out too; as scale: not with it out; "
    "contradicted: no fall, or no rise, of 0.07 bits after a finished training; not testable: training is not "
    "finished"
)


def look(evidence: Evidence) -> Finding:
    """Return the finding."""
    listed, parts = evidence.terms, {"cross_entropy", "soft"}
    baselines = [
        one for one in evidence.names.baselines.values() if {term.objective for term in listed.get(one, ())} == parts
    ]
    if not baselines:
        return Finding(NOT_TESTABLE, why("other baseline"))
    if few := _entropy.unresolved(evidence, baselines):
        return _entropy.too_few_bins(few)

    def measured(column: str) -> dict[str, Change]:
        rows = _entropy.phases(evidence, column)
        own = {one: rows[rows.index.get_level_values("network") == one] for one in baselines}
        return _entropy.changes({
            f"{one}'s {part}": phase[part].to_numpy() for one, phase in own.items() for part in ("fall", "rise")
        })  # fmt: skip

    found, free = measured(ENTROPY), measured(STANDARDISED)
    if len(found) < 2 * len(baselines):
        return Finding(NOT_TESTABLE, why("entropy of few"))
    number, sides = _entropy.numbers(found), {name: _side(change) for name, change in found.items()}
    control = f"standardised: {_entropy.numbers(free) or NO_CONTROL}"
    if _entropy.in_other_bins(measured, sides, _side):
        return Finding(NOT_TESTABLE, why("other bins"), number, control)
    least = min(found, key=lambda name: found[name].mean)
    if set(sides.values()) == {FOR}:
        if not free:
            return Finding(NOT_TESTABLE, why("own scale unknown"), number)
        kept = all(_side(change) == FOR for change in free.values())
        sentence = why("falls and rises", least=LEAST, scale=not kept, change=found[least].said(least))
        return Finding(SUPPORTED, sentence, number, control, "" if kept else AS_SCALE)
    rises = {one: rise_an_epoch(evidence, one) for one in baselines}
    most = max(rises, key=lambda one: np.nan_to_num(rises[one], nan=np.inf))
    if not rises[most] <= FINISHED:
        sentence = why("not finished", rise=rises[most], student=most, change=found[least].said(least))
        return Finding(NOT_TESTABLE, sentence, number, control)
    if AGAINST in sides.values() and all(_without(sides, one) for one in baselines):
        sentence = why("no fall or rise", least=LEAST, change=found[least].said(least))
        return Finding(CONTRADICTED, sentence, number, control)
    return _entropy.open_finding(found, sides, number, control, "")


def _side(change: Change) -> str:
    """Return whether a fall or rise is at least LEAST bits, smaller, or undecided."""
    return FOR if change.low >= LEAST else AGAINST if change.high < LEAST else OPEN


def _without(sides: dict[str, str], baseline: str) -> bool:
    """Return whether a baseline lacks a fall or a rise."""
    return AGAINST in (sides[f"{baseline}'s fall"], sides[f"{baseline}'s rise"])
