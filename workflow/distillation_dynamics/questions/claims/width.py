"""Claim E: effect of aligning the last blocks on the narrowest student minus that on the widest of its architecture."""

from collections.abc import Iterator
from typing import NamedTuple

import pandas as pd

from ...spec.training import TermSpec
from ...statistics import terms
from ...statistics.evidence import Evidence
from ...statistics.thresholds import RANK
from . import _arms, _effects
from ._effects import GAIN, HARM
from ._finding import NO_CONTROL, NOT_SEEN, NOT_TESTABLE, SUPPORTED, Finding, why

PLACE = 60
CLAIM = "late alignment hurts narrow students more"
LETTER = "E"
TEXT = "Aligning late blocks hurts because the student has too few channels"
DECIDES = (
    "(last minus baseline) in the narrowest student minus the same in the widest of its architecture, at one dose, "
    "paired by seed"
)
RULE = (
    "supported: harm in the narrowest, more than in the widest, against null targets too; contradicted: an excess of "
    "0.15 points is excluded; not testable: one width, the teacher's last block needs no more directions than the "
    "narrowest student has, or 0.30 points would not be found"
)
WHAT = "excess harm"


class Ends(NamedTuple):
    """The same alignment of the narrowest and widest student, their channels, and the teacher of both."""

    narrow: str
    wide: str
    channels: tuple[float, float]
    teacher: str


def look(evidence: Evidence) -> Finding:
    """Return the finding. The same contrast minus a null target is the control, tested jointly."""
    own, values = _arms.aligning(evidence, _arms.LAST), _arms.differences(evidence)
    if not own:
        return Finding(NOT_TESTABLE, why("no variant", place=_arms.LAST))
    listed = [ends for ends in _ends(evidence, own) if {ends.narrow, ends.wide} <= set(values)]
    if not listed:
        found = _effects.family(values[[name for name in own if name in values]], effects=False)
        return Finding(NOT_TESTABLE, why("one width"), _effects.number(found))
    needs = evidence.depth("channels", RANK).sort_values("block").groupby("network")[RANK].last()
    control = f"{', '.join(_needed(ends, needs) for ends in {ends.teacher: ends for ends in listed}.values())}"
    # If the teacher's rank was not measured, it is not known to be too low.
    tight = [ends for ends in listed if not needs.get(ends.teacher, float("inf")) <= ends.channels[0]]
    if not tight:
        sentence = why("enough channels", directions=needs[listed[0].teacher], channels=listed[0].channels[0])
        return Finding(NOT_TESTABLE, sentence, control=control)
    columns = {f"{one.narrow}/{one.wide}": values[one.narrow] - values[one.wide] for one in tight}
    names, null_columns = list(columns), dict[str, pd.Series]()
    for one in tight:
        for narrow, wide in _nulls(evidence, one):
            if {narrow, wide} <= set(values):
                of = values[one.narrow] - values[narrow] - (values[one.wide] - values[wide])
                null_columns[f"{one.narrow}-{narrow}/{one.wide}-{wide}"] = of
    found = _effects.family(pd.DataFrame(columns | null_columns))
    names = [name for name in names if name in found.index]
    if not names:
        return Finding(NOT_TESTABLE, why("one seed"), control=control)
    rows, nulls = found.loc[names], found.drop(index=names)
    said = _effects.states(rows, HARM)
    less_nulls = f"minus null targets: {_effects.number(nulls) if len(nulls) else NO_CONTROL}; {control}"
    finding = _effects.decide(rows, said, HARM, control=less_nulls, what=WHAT)
    if finding.verdict != SUPPORTED:
        return finding
    against = nulls[~_effects.certain(nulls, HARM)]
    if len(against):
        sentence = why("not against a null target", least=_effects.extreme(against, -HARM))
        return finding._replace(verdict=NOT_SEEN, sentence=sentence)
    own_effects = _effects.family(values[list({one.narrow: one for one in tight})], effects=False)
    unharmed = own_effects[own_effects["mean"] >= 0]
    if len(unharmed):
        sentence = why("smaller gain", gain=_effects.extreme(unharmed, GAIN))
        return finding._replace(verdict=NOT_SEEN, sentence=sentence)
    return finding


def _ends(evidence: Evidence, own: dict[str, TermSpec]) -> Iterator[Ends]:
    """Yield, for each alignment that several widths of one architecture have at one dose, the narrowest and widest."""
    widths = evidence.depth("channels").sort_values("block").groupby("network")["channels"].last()
    arms, setting = evidence.names.arms, evidence.setting
    groups: dict[tuple, list[str]] = {}
    for name, term in own.items():
        if name in widths.index and setting is not None:
            trained = setting.arms[name]
            student = arms[name].teacher, trained.architecture, trained.blocks, trained.epochs
            given = term.objective, terms.options_of(term), terms.dose_of(term), tuple(sorted(term.pairs))
            groups.setdefault((*student, *given), []).append(name)
    for (teacher, *_), names in groups.items():
        order = widths[names].sort_values(kind="stable")
        if order.nunique() > 1:
            narrow, wide = order.index[0], order.index[-1]
            yield Ends(narrow, wide, (float(widths[narrow]), float(widths[wide])), teacher)


def _nulls(evidence: Evidence, ends: Ends) -> Iterator[tuple[str, str]]:
    """Yield the null-target arms of both ends with the same target."""
    for narrow in _arms.nulls_of(evidence, ends.narrow):
        for wide in _arms.nulls_of(evidence, ends.wide):
            if _targets(evidence, narrow) == _targets(evidence, wide):
                yield narrow, wide


def _targets(evidence: Evidence, arm: str) -> list[str]:
    return sorted(term.target for term in evidence.terms[arm] if term.pairs)


def _needed(ends: Ends, needs: pd.Series) -> str:
    """Return how many directions a teacher's last block needs, and how many channels its students have."""
    low, high = ends.channels
    need = f"{needs[ends.teacher]:.0f} directions" if ends.teacher in needs.index else "directions not measured"
    return f"last block of {ends.teacher}: {need}, students have {low:.0f} to {high:.0f} channels"
